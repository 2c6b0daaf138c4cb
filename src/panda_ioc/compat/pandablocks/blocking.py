"""The blocking client of pandablocks."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from ... import protocol as ours
from ...client import BlockingClient as OurClient
from ...ports import CONTROL_PORT, DATA_PORT
from . import _convert
from .asyncio import TIMEOUT
from .responses import Data

__all__ = ["BlockingClient"]

T = TypeVar("T")


class BlockingClient:
    """A blocking connection to a PandA.

    Attributes:
        client: underlying panda_ioc client
    """

    def __init__(self, host: str, control_port: int = CONTROL_PORT, data_port: int = DATA_PORT) -> None:
        self.client = OurClient(host, control_port, data_port, timeout=TIMEOUT)

    def connect(self) -> None:
        """Connect to the control port."""
        self.client.connect()

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    @overload
    def send(self, commands: ours.Command[T], timeout: float | None = None) -> T: ...
    @overload
    def send(self, commands: Iterable[ours.Command[Any]], timeout: float | None = None) -> list[Any]: ...
    def send(self, commands: ours.Command[Any] | Iterable[ours.Command[Any]], timeout: float | None = None) -> Any:
        """Send one command or several; return the response or a list of responses."""
        return self.client.send(commands, timeout=timeout)

    def data(self, scaled: bool = True, frame_timeout: float | None = None) -> Iterator[Data]:  # noqa: FBT001, FBT002
        """Connect to the data port and yield its events."""
        with closing(self.client.data(scaled, timeout=frame_timeout)) as stream:
            yield from map(_convert.data, stream)

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
