"""Captured data into HDF5 files, for programs, with both clients: the data port, stages of your own, a file.

A slow disk holds the PandA back, which has a buffer of its own; nothing is dropped. `recorder` is for an IOC, which
must serve others meanwhile.
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

from ..calls import Calls
from ..client import AsyncioClient, BlockingClient
from ..protocol import Data, EndData, FrameData, PandaError, ReadyData, StartData
from .columns import stored_columns
from .errors import CaptureError
from .files import numbered
from .hdf import HdfFile
from .samples import Columns, problem_of
from .stream import Run, async_events, events

T = TypeVar("T")

#: Takes what comes, and gives what is to be written in its place. Each acquisition that begins must also end.
Stage = Callable[[Data], Iterable[Data]]

Files = str | Path | Iterable[str | Path]


@dataclass(frozen=True)
class WrittenFile:
    """A file that is complete and closed.

    Attributes:
        path: where it is
        samples: samples in it
        acquisitions: acquisitions in it
        missed: samples that the PandA had lost before the client connected
        end_reason: why the PandA ended the last acquisition
        error: why it does not have all that was to be captured; None if it does
    """

    path: Path
    samples: int
    acquisitions: int
    missed: int
    end_reason: str
    error: CaptureError | None = None


class IncompleteFileError(CaptureError):
    """A file does not have all that was to be captured.

    Attributes:
        file: what it has
    """

    def __init__(self, reason: str, file: WrittenFile) -> None:
        super().__init__(f"{file.path}: {reason}")
        self.file = file


@dataclass(frozen=True)
class Writing:
    """How files are written: the parts that can be replaced.

    Attributes:
        stages: what is done to the data before they are written, in order; arrays that they give must not change any
            more
        columns: which columns there are of an acquisition, and how their values are made
        make_file: makes a file; `functools.partial(HdfFile, options=...)` gives it other options
        flush_period: seconds after which what was written is made readable for others, when more comes
        strict: raise a file that is incomplete; otherwise it is given, with its `error`
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
    """Write what the data port sends into files; give each file when it is closed.

    Args:
        client: connected, if `arm` is wanted. An `AsyncioClient` gives an asynchronous generator
        files: one path: all acquisitions go into this file. A path with %d, %04d and the like in its name: a file for
            each acquisition, numbered from 1. Several paths: a file for each acquisition, in order
        writing: how, with your own stages
        arm: arm PCAP once the data port is ready, and after each acquisition. PCAP is disarmed if the iteration
            ends before an acquisition does
        count: end after so many acquisitions; None for never
        timeout: seconds of silence of the data port after which to give up; None waits as long as it takes

    Raises:
        IncompleteFileError: an acquisition does not have all that was to be captured, or was lost; the file has
            what came, and says why
        CaptureError: a file cannot be made or written, or there are too few paths
        NoAnswerError: the disk does not answer (asyncio only)
        PandaError: see `panda_ioc.capture.acquisitions`
    """
    sink = _Sink(files, writing or Writing())
    run = Run(arm, count, timeout)
    return _async_write(client, run, sink) if isinstance(client, AsyncioClient) else _write(client, run, sink)


class _Sink:
    """Writes what comes into one file after the other. Every call may wait for the disk."""

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
        """What is written to, for messages."""
        return "the file" if self._file is None else str(self._file.path)

    def take(self, data: Data) -> WrittenFile | None:
        """Take what comes; return the file that it completes."""
        problem = None
        match data:
            case ReadyData():
                self._opened()  # so that a file that cannot be made is told before anything is armed
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
        """Close the file and return it; None if there is none, or if it got no acquisition: then it is removed.

        Raises:
            IncompleteFileError: there is a problem, and it is to be raised
        """
        if self._file is None:
            return None
        file, self._file = self._file, None
        problem, self._problem = self._problem, None
        if not self._acquisitions:
            file.close()
            file.path.unlink(missing_ok=True)
            return None
        if self._acquiring:
            self._end_reason = "Capture stopped"
            file.end(self._end_reason)
        file.close(str(problem or ""))
        written = WrittenFile(file.path, file.rows, self._acquisitions, self._missed, self._end_reason, problem)
        self._acquiring, self._acquisitions, self._missed = False, 0, 0
        if problem is not None and self._strict:
            raise IncompleteFileError(str(problem), written)
        return written

    def fail(self, error: BaseException) -> None:
        """Close the file, with what came, after an error, which the file tells.

        Raises:
            IncompleteFileError: in place of a lost connection
        """
        if isinstance(error, CaptureError) and self._file is not None:  # the disk failed, or the columns changed
            file, self._file = self._file, None
            file.abandon(str(error))
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
                self._file.write(np.ascontiguousarray(data.data))  # a stage may leave out samples
                if time.monotonic() >= self._flushed_at + self._writing.flush_period:
                    self._file.flush()
                    self._flushed_at = time.monotonic()
            case EndData() if self._file is not None:
                self._file.end(data.reason)

    def _opened(self) -> HdfFile:
        if self._file is None:
            path = next(self._paths, None)
            if path is None:
                raise CaptureError("there is an acquisition, but no file name is left for it")
            self._file = self._writing.make_file(path)
        return self._file


def _paths(files: Files) -> tuple[Iterator[Path], bool]:
    """Return the paths of all files, and whether each is for one acquisition."""
    if not isinstance(files, str | Path):
        return map(Path, files), True
    path = Path(files)
    make_path = numbered(path)
    return (iter([path]), False) if make_path is None else (map(make_path, itertools.count(1)), True)


def _write(client: BlockingClient, run: Run, sink: _Sink) -> Generator[WrittenFile, None, None]:
    try:
        with contextlib.closing(events(client, run)) as stream:
            for data in stream:
                written = sink.take(data)
                if written is not None:
                    yield written
        last = sink.close()
        if last is not None:
            yield last
    except BaseException as error:
        sink.fail(error)
        raise


async def _async_write(client: AsyncioClient, run: Run, sink: _Sink) -> AsyncGenerator[WrittenFile, None]:
    disk = Calls()
    try:
        async with contextlib.aclosing(async_events(client, run)) as stream:
            async for data in stream:
                written = await _on_disk(disk, sink, sink.take, data)
                if written is not None:
                    yield written
        last = await _on_disk(disk, sink, sink.close)
        if last is not None:
            yield last
    except BaseException as error:
        await _on_disk(disk, sink, sink.fail, error)
        raise


async def _on_disk(disk: Calls, sink: _Sink, function: Callable[..., T], *arguments: object) -> T:
    """Call what may wait for the disk; one that was begun is waited for, also by who is cancelled."""
    call = asyncio.ensure_future(disk.call(sink.what, function, *arguments))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        with contextlib.suppress(PandaError):
            await call
        raise
