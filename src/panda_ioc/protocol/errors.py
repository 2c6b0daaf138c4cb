"""What can go wrong, split by who broke the rules.

Nothing here knows of sockets: a lost connection or a time limit is the business of `panda_ioc.client`.
"""


class PandaError(Exception):
    """Base of every error that this package raises on purpose."""


class LocalProtocolError(PandaError):
    """The caller asked for something that the protocol cannot carry; nothing was sent."""


class RemoteProtocolError(PandaError):
    """The server said something that is not the PandA protocol, or closed in the middle of it."""


class CommandError(PandaError):
    """The server understood the command and refused it with `ERR reason`.

    Attributes:
        request: the command line as it was sent, without its newline
        reason: the server's own words
    """

    def __init__(self, request: str, reason: str) -> None:
        super().__init__(f"{request!r} was refused: {reason}")
        self.request = request
        self.reason = reason
