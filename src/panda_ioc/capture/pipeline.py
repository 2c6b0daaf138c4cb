"""Pipeline from the data port through optional stages to HDF5 files, for both clients.

If the disk is slow, the PandA buffers the data, and nothing is dropped. IOCs use `recorder` instead, which does not
block other tasks.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, overload

import numpy as np

from ..calls import SerialExecutor
from ..client import AsyncioClient, BlockingClient
from ..protocol import Data, EndData, FrameData, PandaError, ReadyData, StartData
from .columns import stored_columns
from .errors import CaptureError
from .files import numbered
from .hdf import HdfFile
from .samples import Columns, problem_of
from .stream import Run, async_events, events

__all__ = ["Files", "IncompleteFileError", "Stage", "Writing", "WrittenFile", "write_files"]

T = TypeVar("T")

#: A function that receives an event and returns the events to write instead. Each start must be followed by an end.
Stage = Callable[[Data], Iterable[Data]]

#: One path for all acquisitions, a path with a number, or a path for each acquisition; see `write_files`.
Files = str | Path | Iterable[str | Path]


@dataclass(frozen=True)
class WrittenFile:
    """A closed file, returned by `write_files`.

    Attributes:
        path: path of the file
        samples: number of samples in the file
        acquisitions: number of acquisitions in the file
        missed: number of samples taken before the client connected, which are not in the file
        end_reason: end reason of the last acquisition
        error: why samples are missing; None if the file is complete
    """

    path: Path
    samples: int
    acquisitions: int
    missed: int
    end_reason: str
    error: CaptureError | None = None


class IncompleteFileError(CaptureError):
    """An incomplete file: samples were lost.

    Attributes:
        file: description of the file, which has the samples that were received
    """

    def __init__(self, reason: str, file: WrittenFile) -> None:
        super().__init__(f"{file.path}: {reason}")
        self.file = file


@dataclass(frozen=True)
class Writing:
    """The replaceable parts of `write_files`.

    Attributes:
        stages: functions that transform the events before they are written, in order. Arrays that
            they return must not change afterwards
        columns: function that selects the columns of an acquisition and their scaling
        make_file: function that creates a file, such as `functools.partial(HdfFile, options=...)`. To keep an existing
            file until there is an acquisition to replace it with, add `empty=False`
        flush_period: minimum time in s between flushes, which make samples visible to readers of the file
        strict: True raises an incomplete file; False yields it with its `error`

    Example:
        >>> from panda_ioc.capture.pipeline import Writing
        >>> from panda_ioc.protocol import FrameData
        >>> def every_tenth(data):
        ...     yield FrameData(data.data[::10]) if isinstance(data, FrameData) else data
        >>> writing = Writing(stages=[every_tenth])
    """

    stages: Sequence[Stage] = ()
    columns: Columns = stored_columns
    make_file: Callable[[Path], HdfFile] = HdfFile
    flush_period: float = 1.0
    strict: bool = True


@overload
def write_files(
    client: AsyncioClient,
    files: Files,
    writing: Writing = ...,
    *,
    arm: bool = ...,
    count: int | None = ...,
    timeout: float | None = ...,
) -> AsyncGenerator[WrittenFile, None]: ...
@overload
def write_files(
    client: BlockingClient,
    files: Files,
    writing: Writing = ...,
    *,
    arm: bool = ...,
    count: int | None = ...,
    timeout: float | None = ...,
) -> Generator[WrittenFile, None, None]: ...
def write_files(
    client: AsyncioClient | BlockingClient,
    files: Files,
    writing: Writing | None = None,
    *,
    arm: bool = False,
    count: int | None = 1,
    timeout: float | None = None,
) -> AsyncGenerator[WrittenFile, None] | Generator[WrittenFile, None, None]:
    """Write acquisitions to HDF5 files; yield each file after it was closed.

    Args:
        client: client, which must be connected if `arm` is True. An `AsyncioClient` returns an asynchronous generator
        files: a path: one file for all acquisitions. A path with %d or %04d in its name: one file for each
            acquisition, numbered from 1. An iterable of paths: one file for each acquisition, in order
        writing: replaceable parts; see `Writing`
        arm: arm PCAP when the data port is ready and after each acquisition. If the iteration is stopped during an
            acquisition, PCAP is disarmed
        count: number of acquisitions; None for no limit
        timeout: maximum time in s without data from the PandA; None for no timeout

    Raises:
        IncompleteFileError: samples of an acquisition were lost; the file has the received ones and the reason
        CaptureError: a file cannot be created or written, or there are too few paths
        NoAnswerError: the disk does not answer (asyncio only)
        PandaError: see `panda_ioc.capture.acquisitions`

    Example:
        >>> from panda_ioc.capture.pipeline import write_files
        >>> from panda_ioc.client import BlockingClient
        >>> with BlockingClient("panda.example") as panda:
        ...     for file in write_files(panda, "scan_%04d.h5", arm=True, count=2):
        ...         print(file.path, file.samples, file.end_reason)
        scan_0001.h5 500 Ok
        scan_0002.h5 500 Ok
    """
    sink = _Sink(files, writing or Writing())
    run = Run(arm, count, timeout)
    return _async_write(client, run, sink) if isinstance(client, AsyncioClient) else _write(client, run, sink)


class _Sink:
    """The writer of the files, one after the other. Each call may block on the disk."""

    def __init__(self, files: Files, writing: Writing) -> None:
        self._paths, self._one_each = _paths(files)
        self._writing = writing
        self._strict = writing.strict
        self._problem: CaptureError | None = None
        self._file: HdfFile | None = None
        self._acquiring = False
        self._received = self._acquisitions = self._missed = 0
        self._end_reason = ""
        self._flushed_at = 0.0

    @property
    def what(self) -> str:
        """The current file, for messages."""
        return "the file" if self._file is None else str(self._file.path)

    def process(self, data: Data) -> WrittenFile | None:
        """Process an event; return the file that it completes."""
        problem = None
        match data:
            case ReadyData():
                self._opened()  # fails before PCAP is armed if the file cannot be created
            case StartData():
                self._acquiring, self._received = True, 0
                self._missed += data.missed
            case FrameData():
                self._received += len(data.data)
            case EndData():
                self._acquiring, self._end_reason = False, data.reason
                problem = problem_of(data, self._received)
        for made in self._staged([data], self._writing.stages):
            self._store(made)
        if isinstance(data, EndData):
            self._problem = self._problem or problem
            if self._one_each or (self._problem is not None and self._strict):
                return self.close()
        return None

    def close(self) -> WrittenFile | None:
        """Close the file and return its description, or None without file. A file without acquisition is removed.

        Raises:
            IncompleteFileError: the file is incomplete and `Writing.strict` is True
        """
        if self._file is None:
            return None
        file, self._file = self._file, None
        problem, self._problem = self._problem, None
        if not self._acquisitions:
            file.discard()
            return None
        try:
            if self._acquiring:
                self._end_reason = "Capture stopped"
                file.end(self._end_reason)
            file.close(str(problem or ""))
        except CaptureError as error:
            raise _abandoned(file, error) from error
        written = WrittenFile(file.path, file.rows, self._acquisitions, self._missed, self._end_reason, problem)
        self._acquiring, self._acquisitions, self._missed = False, 0, 0
        if problem is not None and self._strict:
            raise IncompleteFileError(str(problem), written)
        return written

    def fail(self, error: BaseException) -> None:
        """Close the file after an error, which is stored in it.

        Raises:
            IncompleteFileError: the connection was lost during an acquisition
            CaptureError: the file cannot be closed; the message describes how to open it
        """
        if isinstance(error, CaptureError) and self._file is not None:  # disk error, or the columns have changed
            file, self._file = self._file, None
            complete = _abandoned(file, error)
            if str(complete) != str(error):
                raise complete from error
        elif isinstance(error, PandaError) and self._acquiring and self._file is not None:
            self._problem = self._problem or CaptureError(f"the acquisition was lost: {error}")
            self._strict = True
            self.close()
        else:
            self.close()

    def _staged(self, given: Iterable[Data], stages: Sequence[Stage]) -> Iterator[Data]:
        if not stages:
            yield from given
            return
        for data in given:
            yield from self._staged(stages[0](data), stages[1:])

    def _store(self, data: Data) -> None:
        match data:
            case StartData():
                self._opened().begin(data, self._writing.columns(data))
                self._acquisitions += 1
                self._flushed_at = time.monotonic()
            case FrameData() if self._file is not None:
                self._file.write(np.ascontiguousarray(data.data))  # a stage may return a strided array
                if time.monotonic() >= self._flushed_at + self._writing.flush_period:
                    self._file.flush()
                    self._flushed_at = time.monotonic()
            case EndData() if self._file is not None:
                self._file.end(data.reason)

    def _opened(self) -> HdfFile:
        if self._file is None:
            path = next(self._paths, None)
            if path is None:
                raise CaptureError("no file path left for the next acquisition: give more paths")
            self._file = self._writing.make_file(path)
        return self._file


def _abandoned(file: HdfFile, error: CaptureError) -> CaptureError:
    """Close a file after an error; return the error with a note on how to open the file, if that is needed."""
    return CaptureError(f"{error}{file.abandon(str(error))}")


def _paths(files: Files) -> tuple[Iterator[Path], bool]:
    """Return the paths of the files, and whether each file is for one acquisition."""
    if not isinstance(files, str | Path):
        return map(Path, files), True
    path = Path(files)
    make_path = numbered(path)
    return (iter([path]), False) if make_path is None else (map(make_path, itertools.count(1)), True)


def _write(client: BlockingClient, run: Run, sink: _Sink) -> Generator[WrittenFile, None, None]:
    try:
        with contextlib.closing(events(client, run)) as stream:
            for data in stream:
                written = sink.process(data)
                if written is not None:
                    yield written
        last = sink.close()
        if last is not None:
            yield last
    except BaseException as error:
        sink.fail(error)
        raise


async def _async_write(client: AsyncioClient, run: Run, sink: _Sink) -> AsyncGenerator[WrittenFile, None]:
    disk = SerialExecutor()
    try:
        async with contextlib.aclosing(async_events(client, run)) as stream:
            async for data in stream:
                written = await _on_disk(disk, sink, sink.process, data)
                if written is not None:
                    yield written
        last = await _on_disk(disk, sink, sink.close)
        if last is not None:
            yield last
    except BaseException as error:
        await _on_disk(disk, sink, sink.fail, error)
        raise


async def _on_disk(disk: SerialExecutor, sink: _Sink, function: Callable[..., T], *arguments: object) -> T:
    """Call a function that may block on the disk. A call that has started is awaited even after cancellation."""
    call = asyncio.ensure_future(disk.call(sink.what, function, *arguments))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        with contextlib.suppress(PandaError):
            await call
        raise
