"""A capture into one file, from its start until the file is closed.

A recorder receives the events of a data connection in an event loop and never blocks: the selected samples are passed
to the writer thread. When its queue is full, `wait_room` waits for space. `progress` is the state of the capture.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..protocol import Data, EndData, PandaError, StartData
from .acquisition import AcquisitionState, samples_in
from .columns import Column, stored_columns
from .errors import CaptureError
from .progress import Phase, Progress
from .selection import Selected, Selection
from .writer import QUEUE_BYTES, FileWriter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .hdf import HdfFile

#: End reasons in a file for an acquisition whose end was not received.
STOPPED = "Capture stopped"
LOST = "Connection lost"


@dataclass(frozen=True)
class FilePlan:
    """The options of a capture.

    Attributes:
        make_file: function that creates the file; called in the writer thread
        columns: function that returns the columns of an acquisition to store; called when the acquisition starts
        flush_period: time in s after which samples become visible to readers; 0 for immediately
        lazy: create the file at the start of the first acquisition
        queue_bytes: intended maximum size of the write queue in bytes
    """

    make_file: Callable[[], "HdfFile"]
    columns: Callable[[StartData], Sequence[Column]] = stored_columns
    flush_period: float = 1.0
    lazy: bool = False
    queue_bytes: int = QUEUE_BYTES


class Recorder:
    """A running capture.

    Args:
        plan: options of the capture
        selection: selection of the samples to store
        changed: called in the event loop after a change of the state of the file
    """

    def __init__(self, plan: FilePlan, selection: Selection, changed: Callable[[], None] = lambda: None) -> None:
        loop = asyncio.get_running_loop()
        self._selection = selection
        self._tell = changed
        self._changed = asyncio.Event()
        self._find_columns = plan.columns
        self._columns: Sequence[Column] = ()
        self._start: StartData | None = None  # of the last acquisition counted
        self._received = self._missed = self._dropped = self._acquisitions = 0
        self._end_reason = ""
        self._error: PandaError | None = None
        self._writer = FileWriter(
            plan.make_file,
            lambda: _call(loop, self._writer_changed),
            flush_period=plan.flush_period,
            lazy=plan.lazy,
            limit=plan.queue_bytes,
        )

    @property
    def progress(self) -> Progress:
        """The current state."""
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
        """Whether samples are accepted."""
        return self._writer.phase is Phase.CAPTURING

    @property
    def full(self) -> bool:
        """Whether the write queue is full, so that the caller should pause: see `wait_room`."""
        return self._writer.full and self.capturing

    def process(self, data: Data, acquisition: AcquisitionState) -> None:
        """Process an event of the data port. Events after the end of the capture are ignored.

        Args:
            data: event
            acquisition: state of its acquisition, including this event; a capture can start within an acquisition
        """
        if not self.capturing:
            return
        try:
            self._count(data, acquisition)
            self._write(self._selection.process(data, acquisition))
        except PandaError as error:
            self.finish(error)
            return
        if self._selection.done:
            self.finish()

    def finish(self, error: PandaError | None = None, reason: str = STOPPED) -> None:
        """End the capture: write the queue and close the file; see `wait_closed`.

        Args:
            error: error that ends the capture, which is stored in the file
            reason: end reason for an acquisition that has not ended
        """
        if not self.capturing:
            return
        self._error = self._error or error
        self._write(self._selection.stop(reason))
        self._writer.close(str(self._error or ""))
        self._changed.set()

    def set_flush_period(self, seconds: float) -> None:
        """Set the time in s after which samples become visible to readers."""
        self._writer.set_flush_period(seconds)

    async def wait_opened(self, timeout: float) -> bool:
        """Wait until the file was created or its creation failed; return False after the timeout in s."""
        return await self._until(lambda: self._writer.opened, timeout)

    async def wait_room(self, timeout: float | None = None) -> bool:
        """Wait until the write queue has space or the capture has ended; return False after the timeout in s."""
        return await self._until(lambda: not self.full, timeout)

    async def flush(self, timeout: float) -> bool:
        """Make all samples received visible to readers; return False after the timeout in s.

        Raises:
            PandaError: the file cannot be written
        """
        flushes = self._writer.request_flush()
        in_time = await self._until(
            lambda: self._writer.flushes >= flushes or self._writer.phase is Phase.CLOSED, timeout
        )
        if self._writer.error is not None:
            raise self._writer.error
        return in_time

    async def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the file is closed; return False after the timeout in s."""
        return await self._until(lambda: self._writer.phase is Phase.CLOSED, timeout)

    def _count(self, data: Data, acquisition: AcquisitionState) -> None:
        samples = samples_in(data)
        if self._start is not acquisition.start:
            self._start = acquisition.start
            self._missed += acquisition.start.missed + acquisition.samples - samples
            self._acquisitions += 1
            self._end_reason = ""
            # Not when they are written: until then, users may change the settings for the next acquisition.
            self._columns = self._find_columns(acquisition.start)
        self._received += samples
        if isinstance(data, EndData):
            self._dropped += acquisition.lost
            if acquisition.problem and self._error is None:
                # The file is complete up to here; the error is stored in it.
                self._error = CaptureError(acquisition.problem)

    def _write(self, selected: "Iterable[Selected]") -> None:
        for data in selected:
            if isinstance(data, EndData):
                self._end_reason = data.reason
            self._writer.put(data, self._columns if isinstance(data, StartData) else ())

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
    with contextlib.suppress(RuntimeError):  # the event loop has ended
        loop.call_soon_threadsafe(callback)
