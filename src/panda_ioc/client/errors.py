"""Connection errors and timeouts. Protocol errors are in `panda_ioc.protocol`.

Both classes also derive from the built-in error of their kind, so that generic code can catch them.
"""

from ..protocol import PandaError


class PandaConnectionError(PandaError, ConnectionError):
    """A missing connection: connecting failed, or the connection was lost or closed.

    Attributes:
        is_permanent: whether a retry is useless because the host does not exist
    """

    def __init__(self, message: str, *, is_permanent: bool = False) -> None:
        super().__init__(message)
        self.is_permanent = is_permanent


class PandaTimeoutError(PandaError, TimeoutError):
    """A timeout: the PandA did not reply in time. The connection remains usable; a late reply is discarded."""
