"""What the data port sends, with PCAP armed for each acquisition if that is wanted: the same for both clients."""

import contextlib
from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import dataclass

from ..client import AsyncioClient, BlockingClient
from ..protocol import Arm, CommandError, Data, Disarm, EndData, PandaError, ReadyData
from .errors import CaptureError

#: Seconds over which frames are put together.
_FLUSH_PERIOD = 0.1


@dataclass
class Run:
    """When to arm, and when it is enough.

    Attributes:
        arm: whether to arm PCAP for each acquisition; it is disarmed if the end comes before that of an acquisition
        count: acquisitions until the end; None for no limit
        timeout: seconds of silence after which to give up; None for never
        armed: whether PCAP may be armed by us

    Raises:
        CaptureError: the count is not at least 1
    """

    arm: bool = False
    count: int | None = None
    timeout: float | None = None
    armed: bool = False

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise CaptureError(f"the number of acquisitions must be at least 1, not {self.count}")

    @property
    def done(self) -> bool:
        """Whether enough acquisitions have ended."""
        return self.count == 0

    def take(self, data: Data) -> bool:
        """Take what comes; return whether to arm now."""
        if isinstance(data, EndData):
            self.armed = False
            self.count = self.count if self.count is None else self.count - 1
        return self.arm and not self.done and isinstance(data, ReadyData | EndData)

    @contextlib.contextmanager
    def arming(self) -> Iterator[None]:
        """Know whether PCAP may be armed by us: not if it refuses, as it may be armed by others."""
        self.armed = True
        try:
            yield
        except CommandError:
            self.armed = False
            raise


def events(client: BlockingClient, run: Run) -> Generator[Data, None, None]:
    """Connect to the data port and give what it sends.

    Raises:
        CommandError: the PandA refused to arm
        PandaError: see `BlockingClient.data`
    """
    try:
        with contextlib.closing(client.data(scaled=False, timeout=run.timeout)) as stream:
            for data in stream:
                wanted = run.take(data)
                yield data
                if run.done:
                    return
                if wanted:
                    with run.arming():
                        client.send(Arm())
    finally:
        if run.armed:
            with contextlib.suppress(PandaError):
                client.send(Disarm())


async def async_events(client: AsyncioClient, run: Run) -> AsyncGenerator[Data, None]:
    """The same for asyncio."""
    data_of = client.data(scaled=False, flush_period=_FLUSH_PERIOD, timeout=run.timeout)
    try:
        async with contextlib.aclosing(data_of) as stream:
            async for data in stream:
                wanted = run.take(data)
                yield data
                if run.done:
                    return
                if wanted:
                    with run.arming():
                        await client.send(Arm())
    finally:
        if run.armed:
            with contextlib.suppress(PandaError):
                await client.send(Disarm())
