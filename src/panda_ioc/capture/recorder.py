"""One capture: from the moment it is asked for until its file is closed.

It is given all that a data connection gives, in an event loop, and never waits: what is selected goes to the thread
that writes. When that has enough to do, `wait_room` says when to go on. How it goes is one record: `progress`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..protocol import Data, EndData, PandaError, StartData
from .acquisition import Acquisition, samples_in
from .columns import Column, stored_columns
from .errors import CaptureError
from .progress import Phase, Progress
from .selection import Selected, Selection
from .writer import QUEUE_BYTES, FileWriter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .hdf import HdfFile

#: What a file says of an acquisition that it does not have the end of.
STOPPED = "Capture stopped"
LOST = "Connection lost"


@dataclass(frozen=True)
class Storing:
    """How samples become a file.

    Attributes:
        make_file: makes it; called in the thread that writes
        columns: what is stored of an acquisition; called in that thread
        flush_period: seconds until what was written is readable for others; 0 for at once
        lazy: make the file when the first acquisition begins
        queue_bytes: of samples that may wait for the disk
    """

    make_file: Callable[[], "HdfFile"]
    columns: Callable[[StartData], Sequence[Column]] = stored_columns
    flush_period: float = 1.0
    lazy: bool = False
    queue_bytes: int = QUEUE_BYTES


class Recorder:
    """A capture under way.

    Args:
        storing: how
        selection: what
        changed: called in the event loop when something happened to the file
    """

    def __init__(self, storing: Storing, selection: Selection, changed: Callable[[], None] = lambda: None) -> None:
        loop = asyncio.get_running_loop()
        self._selection = selection
        self._tell = changed
        self._changed = asyncio.Event()
        self._start: StartData | None = None  # of the acquisition that was counted last
        self._received = self._missed = self._dropped = self._acquisitions = 0
        self._end_reason = ""
        self._error: PandaError | None = None
        self._writer = FileWriter(
            storing.make_file,
            storing.columns,
            lambda: _call(loop, self._writer_changed),
            flush_period=storing.flush_period,
            lazy=storing.lazy,
            limit=storing.queue_bytes,
        )

    @property
    def progress(self) -> Progress:
        """How it goes, at this moment."""
        writer = self._writer
        return Progress(
            phase=writer.phase,
            received=self._received,
            missed=self._missed,
            dropped=self._dropped,
            acquisitions=self._acquisitions,
            end_reason=self._end_reason,
            accepted=writer.accepted,
            flushed=writer.flushed,
            queued_bytes=writer.queued_bytes,
            queue_limit=writer.limit,
            full=writer.full,
            swmr=writer.swmr,
            error=writer.error or self._error,
        )

    @property
    def capturing(self) -> bool:
        """Whether it takes more."""
        return self._writer.phase is Phase.CAPTURING

    @property
    def full(self) -> bool:
        """Whether it should be given no more for now: see `wait_room`."""
        return self._writer.full and self.capturing

    def take(self, data: Data, acquisition: Acquisition) -> None:
        """Take what comes; what comes after the end is let go.

        Args:
            data: from the data port
            acquisition: that it is of, as it is with it; the capture may begin in the middle of one
        """
        if not self.capturing:
            return
        self._count(data, acquisition)
        try:
            self._write(self._selection.take(data, acquisition))
        except PandaError as error:
            self.finish(error)
            return
        if self._selection.done:
            self.finish()

    def finish(self, error: PandaError | None = None, reason: str = STOPPED) -> None:
        """Take no more; write what waits and close the file: `wait_closed`.

        Args:
            error: what went wrong, if that is why; the file tells it
            reason: what the file says of the acquisition that is under way, if one is
        """
        if not self.capturing:
            return
        self._error = self._error or error
        self._write(self._selection.stop(reason))
        self._writer.close(str(self._error or ""))
        self._changed.set()

    def set_flush_period(self, seconds: float) -> None:
        """Change after how long what was written is readable for others."""
        self._writer.set_flush_period(seconds)

    async def wait_opened(self, timeout: float) -> bool:
        """Wait until the file is made or that failed; return whether that was in time."""
        return await self._until(lambda: self._writer.opened, timeout)

    async def wait_room(self, timeout: float | None = None) -> bool:
        """Wait until it should be given more, or takes no more; return whether that was in time."""
        return await self._until(lambda: not self.full, timeout)

    async def flush(self, timeout: float) -> bool:
        """Make all that came readable for others; return whether that was in time.

        Raises:
            PandaError: the file could not be written
        """
        flushes = self._writer.request_flush()
        in_time = await self._until(
            lambda: self._writer.flushes >= flushes or self._writer.phase is Phase.CLOSED, timeout
        )
        if self._writer.error is not None:
            raise self._writer.error
        return in_time

    async def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the file is closed; return whether it is."""
        return await self._until(lambda: self._writer.phase is Phase.CLOSED, timeout)

    def _count(self, data: Data, acquisition: Acquisition) -> None:
        samples = samples_in(data)
        if self._start is not acquisition.start:
            self._start = acquisition.start
            self._missed += acquisition.start.missed + acquisition.samples - samples
            self._acquisitions += 1
            self._end_reason = ""
        self._received += samples
        if isinstance(data, EndData):
            self._dropped += acquisition.lost
            if acquisition.problem and self._error is None:
                # The file is complete up to here, and says why there is no more.
                self._error = CaptureError(acquisition.problem)

    def _write(self, selected: "Iterable[Selected]") -> None:
        for data in selected:
            if isinstance(data, EndData):
                self._end_reason = data.reason
            self._writer.put(data)

    def _writer_changed(self) -> None:
        self._changed.set()
        self._tell()

    async def _until(self, reached: Callable[[], bool], timeout: float | None) -> bool:
        try:
            async with asyncio.timeout(timeout):
                while not reached():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and all who might want to know with it
        loop.call_soon_threadsafe(callback)
