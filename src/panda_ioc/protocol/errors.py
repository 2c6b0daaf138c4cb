"""Protocol errors, by the side that caused them.

Lost connections and timeouts are errors of `panda_ioc.client`.
"""


class PandaError(Exception):
    """Base class of all errors that panda_ioc raises on purpose."""


class LocalProtocolError(PandaError):
    """An invalid request by the caller. Nothing was sent."""


class RemoteProtocolError(PandaError):
    """Data from the server that violates the PandA protocol, or an unexpected end of the stream."""


class CommandError(PandaError):
    """A command that the server refused with `ERR reason`.

    Attributes:
        request: command line as sent, without its newline
        reason: reason given by the server
    """

    def __init__(self, request: str, reason: str) -> None:
        super().__init__(f"{request!r} was refused: {reason}")
        self.request = request
        self.reason = reason
