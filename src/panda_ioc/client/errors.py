"""What can go wrong on the way to a PandA, besides what `panda_ioc.protocol` knows.

Both are also the built-in errors of their kind, so code that knows nothing of PandAs can catch them.
"""

from ..protocol import PandaError


class PandaConnectionError(PandaError, ConnectionError):
    """There is no connection: it could not be made, was lost, or was closed.

    Attributes:
        is_permanent: whether trying again makes no sense: there is no such host
    """

    def __init__(self, message: str, *, is_permanent: bool = False) -> None:
        super().__init__(message)
        self.is_permanent = is_permanent


class PandaTimeoutError(PandaError, TimeoutError):
    """The PandA did not answer in time. The connection goes on; a late answer is dropped."""
