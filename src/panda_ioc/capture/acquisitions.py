"""Iterators over captured data, for both clients: whole acquisitions, or samples as they arrive.

The PandA sends raw data, and panda_ioc scales them, which is much faster. If the caller is slow, the PandA buffers
the data.
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

__all__ = ["acquisitions", "samples"]

#: Size in bytes from which an acquisition is scaled in a thread, so that the event loop is not blocked.
_THREAD_BYTES = 1 << 22


@dataclass
class _Output:
    """The conversion of events to results, shared by both clients.

    Attributes:
        assembler: collects the samples
        strict: raise an incomplete acquisition
        pieces: yield samples as they arrive
    """

    assembler: Assembler
    strict: bool
    pieces: bool

    def whole(self, end: EndData) -> Acquisition:
        """Return the acquisition that has ended."""
        problem = self.assembler.problem(end)
        acquisition = self.assembler.acquisition(end, problem)
        if problem is not None and self.strict:
            raise IncompleteAcquisitionError(str(problem), acquisition)
        return acquisition

    def ended(self, data: Data) -> None:
        """Check the end of an acquisition whose samples were yielded as they arrived."""
        if not isinstance(data, EndData):
            return
        problem = self.assembler.problem(data)
        self.assembler.start = None
        if problem is not None and self.strict:
            raise IncompleteAcquisitionError(str(problem), None)

    @contextlib.contextmanager
    def losses(self) -> Iterator[None]:
        """Convert the loss of the connection during an acquisition to `IncompleteAcquisitionError`."""
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
    """Connect to the data port and yield each acquisition when it has ended, as arrays in physical units.

    Args:
        client: client, which must be connected if `arm` is True. An `AsyncioClient` returns an asynchronous generator
        arm: arm PCAP when the data port is ready and after each acquisition. If the iteration is stopped during an
            acquisition, PCAP is disarmed
        count: number of acquisitions; None for no limit
        timeout: maximum time in s without data from the PandA; None for no timeout
        strict: True raises an incomplete acquisition; False yields it with its `error`. An acquisition lost with the
            connection is always raised
        max_bytes: maximum size of the raw samples of one acquisition in bytes
        columns: function that selects the columns and their scaling; see `panda_ioc.capture.columns`

    Raises:
        IncompleteAcquisitionError: samples of an acquisition were lost; its `acquisition` has the received ones
        CaptureError: an acquisition is larger than `max_bytes`, or a column cannot be scaled
        CommandError: the PandA refused to arm
        PandaError: see `AsyncioClient.data`

    Example:
        >>> from panda_ioc.capture.acquisitions import acquisitions
        >>> from panda_ioc.client import BlockingClient
        >>> with BlockingClient("panda.example") as panda:
        ...     for acquisition in acquisitions(panda, arm=True, count=1):
        ...         values = acquisition.columns["COUNTER1.OUT.Value"]
        >>> values.shape, values.dtype
        ((500,), dtype('float64'))
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
    """Connect to the data port and yield samples as they arrive, as arrays in physical units.

    Needs a few MiB of memory. `Samples.first` is 0 for the first samples of each acquisition.

    Args:
        client: client; an `AsyncioClient` returns an asynchronous generator
        arm: arm PCAP, as for `acquisitions`
        count: number of acquisitions; None for no limit
        timeout: maximum time in s without data from the PandA; None for no timeout
        strict: raise `IncompleteAcquisitionError` at the end of an incomplete acquisition
        columns: function that selects the columns and their scaling, as for `acquisitions`

    Raises:
        IncompleteAcquisitionError: samples of an acquisition were lost; its `acquisition` is `None`
        PandaError: see `acquisitions`

    Example:
        >>> from panda_ioc.capture.acquisitions import samples
        >>> from panda_ioc.client import BlockingClient
        >>> with BlockingClient("panda.example") as panda:
        ...     count = sum(len(piece) for piece in samples(panda, arm=True, count=1))
        >>> count
        500
    """
    run = Run(arm, count, timeout)
    output = _Output(Assembler(columns), strict, pieces=True)
    return _async_pieces(client, run, output) if isinstance(client, AsyncioClient) else _pieces(client, run, output)


def _whole(client: BlockingClient, run: Run, output: _Output) -> Generator[Acquisition, None, None]:
    with output.losses(), contextlib.closing(events(client, run)) as stream:
        for data in stream:
            output.assembler.process(data)
            if isinstance(data, EndData):
                yield output.whole(data)


def _pieces(client: BlockingClient, run: Run, output: _Output) -> Generator[Samples, None, None]:
    with output.losses(), contextlib.closing(events(client, run)) as stream:
        for data in stream:
            output.assembler.process(data)
            piece = output.assembler.samples()
            if piece is not None:
                yield piece
            output.ended(data)


async def _async_whole(client: AsyncioClient, run: Run, output: _Output) -> AsyncGenerator[Acquisition, None]:
    with output.losses():
        async with contextlib.aclosing(async_events(client, run)) as stream:
            async for data in stream:
                output.assembler.process(data)
                if not isinstance(data, EndData):
                    continue
                if output.assembler.held_bytes > _THREAD_BYTES:
                    yield await asyncio.to_thread(output.whole, data)
                else:
                    yield output.whole(data)


async def _async_pieces(client: AsyncioClient, run: Run, output: _Output) -> AsyncGenerator[Samples, None]:
    with output.losses():
        async with contextlib.aclosing(async_events(client, run)) as stream:
            async for data in stream:
                output.assembler.process(data)
                piece = output.assembler.samples()
                if piece is not None:
                    yield piece
                output.ended(data)
