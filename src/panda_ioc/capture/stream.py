"""Events of the data port, optionally with arming of PCAP for each acquisition, for both clients."""

import contextlib
from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import dataclass

from ..client import AsyncioClient, BlockingClient
from ..protocol import Arm, CommandError, Data, Disarm, EndData, PandaError, ReadyData
from .errors import CaptureError

#: Time in s over which frames are merged.
_FLUSH_PERIOD = 0.1


@dataclass
class Run:
    """The arming and counting of acquisitions.

    Attributes:
        arm: arm PCAP for each acquisition, and disarm it if the stream is closed during one
        count: number of remaining acquisitions; None for no limit
        timeout: maximum time in s without data; None for no timeout
        armed: whether PCAP may have been armed by this program

    Raises:
        CaptureError: the count is less than 1
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
        """Whether all acquisitions have ended."""
        return self.count == 0

    def process(self, data: Data) -> bool:
        """Process an event; return whether to arm PCAP now."""
        if isinstance(data, EndData):
            self.armed = False
            self.count = self.count if self.count is None else self.count - 1
        return self.arm and not self.done and isinstance(data, ReadyData | EndData)

    @contextlib.contextmanager
    def arming(self) -> Iterator[None]:
        """Set `armed`, unless PCAP refuses: then another client may have armed it."""
        self.armed = True
        try:
            yield
        except CommandError:
            self.armed = False
            raise


def events(client: BlockingClient, run: Run) -> Generator[Data, None, None]:
    """Connect to the data port and yield its events.

    Raises:
        CommandError: the PandA refused to arm
        PandaError: see `BlockingClient.data`
    """
    try:
        with contextlib.closing(client.data(scaled=False, timeout=run.timeout)) as stream:
            for data in stream:
                wanted = run.process(data)
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
    """Connect to the data port and yield its events; see `events`."""
    data_of = client.data(scaled=False, flush_period=_FLUSH_PERIOD, timeout=run.timeout)
    try:
        async with contextlib.aclosing(data_of) as stream:
            async for data in stream:
                wanted = run.process(data)
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
