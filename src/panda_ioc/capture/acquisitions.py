"""Captured data for programs: an iterator of acquisitions, or of their samples as they come, for both clients.

The PandA sends raw data and they are scaled here, which is far faster. A slow consumer holds the PandA back.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import dataclass
from typing import overload

from ..client import AsyncioClient, BlockingClient
from ..protocol import Arm, CommandError, Data, Disarm, EndData, PandaError, ReadyData
from .columns import stored_columns
from .errors import CaptureError
from .samples import MAX_BYTES, Acquisition, Assembler, Columns, IncompleteAcquisitionError, Samples

#: Seconds over which frames are put together.
_FLUSH_PERIOD = 0.1

#: Acquisitions of so many bytes are scaled in a thread, so that the event loop goes on meanwhile.
_THREAD_BYTES = 1 << 22


@dataclass
class _Run:
    """What is the same for both clients: when to arm, what comes out, when it is enough.

    Attributes:
        assembler: puts it together
        arm: whether to arm PCAP for each acquisition
        count: acquisitions until the end; None for no limit
        strict: whether an incomplete acquisition is raised
        armed: whether PCAP may be armed by us
    """

    assembler: Assembler
    arm: bool
    count: int | None
    strict: bool
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
        self.assembler.take(data)
        if isinstance(data, EndData):
            self.armed = False
            self.count = self.count if self.count is None else self.count - 1
        return self.arm and not self.done and isinstance(data, ReadyData | EndData)

    def whole(self, end: EndData) -> Acquisition:
        """Return the acquisition that ended."""
        problem = self.assembler.problem(end)
        acquisition = self.assembler.acquisition(end, problem)
        if problem is not None and self.strict:
            raise IncompleteAcquisitionError(str(problem), acquisition)
        return acquisition

    def ended(self, end: EndData) -> None:
        """Check the end of an acquisition that was given in pieces."""
        problem = self.assembler.problem(end)
        self.assembler.start = None
        if problem is not None and self.strict:
            raise IncompleteAcquisitionError(str(problem), None)

    @contextlib.contextmanager
    def arming(self) -> Iterator[None]:
        """Know whether PCAP may be armed by us: not if it refuses, as it may be armed by others."""
        self.armed = True
        try:
            yield
        except CommandError:
            self.armed = False
            raise

    def is_whole(self, error: PandaError) -> bool:
        """Whether an error says all there is to say: nothing was lost in the middle of an acquisition."""
        return self.assembler.start is None or isinstance(error, CaptureError)

    def lost(self, error: PandaError, *, pieces: bool) -> IncompleteAcquisitionError:
        """Return what to raise when the data connection was lost in the middle of an acquisition."""
        reason = f"the acquisition was lost: {error}"
        acquisition = None if pieces else self.assembler.acquisition(None, CaptureError(reason))
        return IncompleteAcquisitionError(reason, acquisition)


@overload
def acquisitions(
    client: AsyncioClient,
    *,
    arm: bool = ...,
    count: int | None = ...,
    timeout: float | None = ...,
    strict: bool = ...,
    max_bytes: int = ...,
    columns: Columns = ...,
) -> AsyncGenerator[Acquisition, None]: ...
@overload
def acquisitions(
    client: BlockingClient,
    *,
    arm: bool = ...,
    count: int | None = ...,
    timeout: float | None = ...,
    strict: bool = ...,
    max_bytes: int = ...,
    columns: Columns = ...,
) -> Generator[Acquisition, None, None]: ...
def acquisitions(
    client: AsyncioClient | BlockingClient,
    *,
    arm: bool = False,
    count: int | None = None,
    timeout: float | None = None,
    strict: bool = True,
    max_bytes: int = MAX_BYTES,
    columns: Columns = stored_columns,
) -> AsyncGenerator[Acquisition, None] | Generator[Acquisition, None, None]:
    """Connect to the data port and give each acquisition when it has ended, as arrays in physical units.

    Args:
        client: connected, if `arm` is wanted. An `AsyncioClient` gives an asynchronous generator
        arm: arm PCAP once the data port is ready, and after each acquisition. PCAP is disarmed if the iteration
            ends before an acquisition does
        count: end after so many acquisitions; None for never
        timeout: seconds of silence of the data port after which to give up; None waits as long as it takes
        strict: raise an acquisition that is incomplete; otherwise it is given, with its `error`
        max_bytes: raw samples of an acquisition that may be held
        columns: what is made of an acquisition; see `panda_ioc.capture.columns`

    Raises:
        IncompleteAcquisitionError: an acquisition does not have all that was to be captured; what there is of it
            is in `acquisition`
        CaptureError: an acquisition has more than `max_bytes`, or columns that cannot be made
        CommandError: the PandA refused to arm
        PandaError: see `AsyncioClient.data`
    """
    run = _Run(Assembler(columns, max_bytes), arm, count, strict)
    return _async_whole(client, run, timeout) if isinstance(client, AsyncioClient) else _whole(client, run, timeout)


@overload
def samples(
    client: AsyncioClient,
    *,
    arm: bool = ...,
    count: int | None = ...,
    timeout: float | None = ...,
    strict: bool = ...,
    columns: Columns = ...,
) -> AsyncGenerator[Samples, None]: ...
@overload
def samples(
    client: BlockingClient,
    *,
    arm: bool = ...,
    count: int | None = ...,
    timeout: float | None = ...,
    strict: bool = ...,
    columns: Columns = ...,
) -> Generator[Samples, None, None]: ...
def samples(
    client: AsyncioClient | BlockingClient,
    *,
    arm: bool = False,
    count: int | None = None,
    timeout: float | None = None,
    strict: bool = True,
    columns: Columns = stored_columns,
) -> AsyncGenerator[Samples, None] | Generator[Samples, None, None]:
    """Connect to the data port and give samples as they come, as arrays in physical units, in a few MiB of memory.

    The first samples of an acquisition have `first` 0. All arguments are as for `acquisitions`.

    Raises:
        IncompleteAcquisitionError: an acquisition ended, and not all that was to be captured was given
        PandaError: see `acquisitions`
    """
    run = _Run(Assembler(columns), arm, count, strict)
    return _async_pieces(client, run, timeout) if isinstance(client, AsyncioClient) else _pieces(client, run, timeout)


def _events(client: BlockingClient, run: _Run, timeout: float | None, *, pieces: bool) -> Generator[Data, None, None]:
    """Give what the data port sends, when the run has taken it; arm when that is due."""
    try:
        with contextlib.closing(client.data(scaled=False, timeout=timeout)) as stream:
            for data in stream:
                wanted = run.take(data)
                yield data
                if run.done:
                    return
                if wanted:
                    with run.arming():
                        client.send(Arm())
    except PandaError as error:
        if run.is_whole(error):
            raise
        raise run.lost(error, pieces=pieces) from error
    finally:
        if run.armed:
            with contextlib.suppress(PandaError):
                client.send(Disarm())


def _whole(client: BlockingClient, run: _Run, timeout: float | None) -> Generator[Acquisition, None, None]:
    with contextlib.closing(_events(client, run, timeout, pieces=False)) as events:
        for data in events:
            if isinstance(data, EndData):
                yield run.whole(data)


def _pieces(client: BlockingClient, run: _Run, timeout: float | None) -> Generator[Samples, None, None]:
    with contextlib.closing(_events(client, run, timeout, pieces=True)) as events:
        for data in events:
            piece = run.assembler.samples()
            if piece is not None:
                yield piece
            if isinstance(data, EndData):
                run.ended(data)


async def _async_events(
    client: AsyncioClient, run: _Run, timeout: float | None, *, pieces: bool
) -> AsyncGenerator[Data, None]:
    """The same for asyncio."""
    try:
        async with contextlib.aclosing(
            client.data(scaled=False, flush_period=_FLUSH_PERIOD, timeout=timeout)
        ) as stream:
            async for data in stream:
                wanted = run.take(data)
                yield data
                if run.done:
                    return
                if wanted:
                    with run.arming():
                        await client.send(Arm())
    except PandaError as error:
        if run.is_whole(error):
            raise
        raise run.lost(error, pieces=pieces) from error
    finally:
        if run.armed:
            with contextlib.suppress(PandaError):
                await client.send(Disarm())


async def _async_whole(client: AsyncioClient, run: _Run, timeout: float | None) -> AsyncGenerator[Acquisition, None]:
    async with contextlib.aclosing(_async_events(client, run, timeout, pieces=False)) as events:
        async for data in events:
            if isinstance(data, EndData):
                if run.assembler.held_bytes > _THREAD_BYTES:
                    yield await asyncio.to_thread(run.whole, data)
                else:
                    yield run.whole(data)


async def _async_pieces(client: AsyncioClient, run: _Run, timeout: float | None) -> AsyncGenerator[Samples, None]:
    async with contextlib.aclosing(_async_events(client, run, timeout, pieces=True)) as events:
        async for data in events:
            piece = run.assembler.samples()
            if piece is not None:
                yield piece
            if isinstance(data, EndData):
                run.ended(data)
