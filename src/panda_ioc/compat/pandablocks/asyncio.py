"""The asyncio client of pandablocks."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self, TypeVar

from ... import protocol as ours
from ...client import AsyncioClient as OurClient
from ...ports import CONTROL_PORT, DATA_PORT
from . import _convert
from .responses import Data

__all__ = ["AsyncioClient"]

T = TypeVar("T")

#: Default timeout of connecting and of commands in s. pandablocks has none.
TIMEOUT = 30.0


class AsyncioClient:
    """An asyncio connection to a PandA.

    Attributes:
        client: underlying panda_ioc client
    """

    def __init__(self, host: str, control_port: int = CONTROL_PORT, data_port: int = DATA_PORT) -> None:
        self.client = OurClient(host, control_port, data_port, timeout=TIMEOUT)

    async def connect(self) -> None:
        """Connect to the control port."""
        await self.client.connect()

    def is_connected(self) -> bool:
        """Return whether the client is connected."""
        return self.client.connected

    async def close(self) -> None:
        """Close the connection."""
        await self.client.close()

    async def send(self, command: ours.Command[T], timeout: float | None = None) -> T:
        """Send a command and return its response."""
        return await self.client.send(command, timeout=timeout)

    async def data(
        self,
        scaled: bool = True,  # noqa: FBT001, FBT002 - signature of pandablocks
        flush_period: float | None = None,
        frame_timeout: float | None = None,
    ) -> AsyncGenerator[Data, None]:
        """Connect to the data port and yield its events."""
        async with aclosing(self.client.data(scaled, flush_period, timeout=frame_timeout)) as stream:
            async for data in stream:
                yield _convert.data(data)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
