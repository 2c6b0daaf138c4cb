"""Captured data for programs: an iterator of acquisitions, or of their samples as they come, for both clients.

The PandA sends raw data and they are scaled here, which is far faster. A slow consumer holds the PandA back.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator, Iterator
from dataclasses import dataclass
from typing import overload

from ..client import AsyncioClient, BlockingClient
from ..protocol import Data, EndData, PandaError
from .columns import stored_columns
from .errors import CaptureError
from .samples import MAX_BYTES, Acquisition, Assembler, Columns, IncompleteAcquisitionError, Samples
from .stream import Run, async_events, events

#: Acquisitions of so many bytes are scaled in a thread, so that the event loop goes on meanwhile.
_THREAD_BYTES = 1 << 22


@dataclass
class _Output:
    """What is made of what comes, the same for both clients.

    Attributes:
        assembler: puts it together
        strict: whether an incomplete acquisition is raised
        pieces: whether samples are given as they come
    """

    assembler: Assembler
    strict: bool
    pieces: bool

    def whole(self, end: EndData) -> Acquisition:
        """Return the acquisition that ended."""
        problem = self.assembler.problem(end)
        acquisition = self.assembler.acquisition(end, problem)
        if problem is not None and self.strict:
            raise IncompleteAcquisitionError(str(problem), acquisition)
        return acquisition

    def ended(self, data: Data) -> None:
        """Check the end of an acquisition that was given in pieces."""
        if not isinstance(data, EndData):
            return
        problem = self.assembler.problem(data)
        self.assembler.start = None
        if problem is not None and self.strict:
            raise IncompleteAcquisitionError(str(problem), None)

    @contextlib.contextmanager
    def honest(self) -> Iterator[None]:
        """Raise what there is of an acquisition, if the connection is lost in the middle of it."""
        try:
            yield
        except PandaError as error:
            if self.assembler.start is None or isinstance(error, CaptureError):
                raise
            reason = f"the acquisition was lost: {error}"
            acquisition = None if self.pieces else self.assembler.acquisition(None, CaptureError(reason))
            raise IncompleteAcquisitionError(reason, acquisition) from error


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
        strict: raise an acquisition that is incomplete; otherwise it is given, with its `error`. One that is lost
            with the connection is raised in any case
        max_bytes: raw samples of an acquisition that may be held
        columns: what is made of an acquisition; see `panda_ioc.capture.columns`

    Raises:
        IncompleteAcquisitionError: an acquisition does not have all that was to be captured; what there is of it
            is in `acquisition`
        CaptureError: an acquisition has more than `max_bytes`, or columns that cannot be made
        CommandError: the PandA refused to arm
        PandaError: see `AsyncioClient.data`
    """
    run = Run(arm, count, timeout)
    output = _Output(Assembler(columns, max_bytes), strict, pieces=False)
    return _async_whole(client, run, output) if isinstance(client, AsyncioClient) else _whole(client, run, output)


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
    run = Run(arm, count, timeout)
    output = _Output(Assembler(columns), strict, pieces=True)
    return _async_pieces(client, run, output) if isinstance(client, AsyncioClient) else _pieces(client, run, output)


def _whole(client: BlockingClient, run: Run, output: _Output) -> Generator[Acquisition, None, None]:
    with output.honest(), contextlib.closing(events(client, run)) as stream:
        for data in stream:
            output.assembler.take(data)
            if isinstance(data, EndData):
                yield output.whole(data)


def _pieces(client: BlockingClient, run: Run, output: _Output) -> Generator[Samples, None, None]:
    with output.honest(), contextlib.closing(events(client, run)) as stream:
        for data in stream:
            output.assembler.take(data)
            piece = output.assembler.samples()
            if piece is not None:
                yield piece
            output.ended(data)


async def _async_whole(client: AsyncioClient, run: Run, output: _Output) -> AsyncGenerator[Acquisition, None]:
    with output.honest():
        async with contextlib.aclosing(async_events(client, run)) as stream:
            async for data in stream:
                output.assembler.take(data)
                if not isinstance(data, EndData):
                    continue
                if output.assembler.held_bytes > _THREAD_BYTES:
                    yield await asyncio.to_thread(output.whole, data)
                else:
                    yield output.whole(data)


async def _async_pieces(client: AsyncioClient, run: Run, output: _Output) -> AsyncGenerator[Samples, None]:
    with output.honest():
        async with contextlib.aclosing(async_events(client, run)) as stream:
            async for data in stream:
                output.assembler.take(data)
                piece = output.assembler.samples()
                if piece is not None:
                    yield piece
                output.ended(data)
