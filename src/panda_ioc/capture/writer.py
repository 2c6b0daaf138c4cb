"""The thread that writes a file: what came waits in a queue until the disk takes it.

Whoever gives the data never waits, and nothing is dropped. When the queue is full, `full` asks for no more, until
some of it is written: meanwhile the data port is not read, and the PandA buffers what it captures.

The thread sleeps until there is something to do, and then for up to the flush period (at most 0.1 s) so that
many small frames are one piece of work. A flush makes all that was written readable for others.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..protocol import EndData, FrameData, PandaError, StartData
from .columns import Column
from .errors import CaptureError
from .progress import Phase
from .selection import Selected

if TYPE_CHECKING:
    from .hdf import HdfFile

log = logging.getLogger(__name__)

#: Bytes of samples that may wait for the disk, unless told otherwise.
QUEUE_BYTES = 32 << 20

#: Seconds that samples may wait for more of them, and bytes that are enough.
_LONGEST_WAIT = 0.1
_ENOUGH_BYTES = 4 << 20

#: Part of a full queue that must be written before it asks for more. The PandA's buffer runs full meanwhile.
_ROOM = 1 / 8

#: Bytes that a frame takes beside its samples, the end of an acquisition, and the beginning, which tells all fields.
_EVENT_BYTES, _START_BYTES = 512, 4096


class FileWriter:
    """Writes one file.

    Args:
        make_file: makes it, in the thread
        columns: which are stored of an acquisition
        changed: called in the thread when the file was made, the queue has room again, a flush was served, something
            went wrong, or the file was closed
        flush_period: seconds after which what was written is readable for others; 0 for at once
        lazy: make the file when the first acquisition begins, and not before
        limit: bytes of samples that may wait

    Attributes:
        phase: what it does
        opened: whether the file was made, or that failed
        accepted: samples that were given to it
        flushed: samples that others can read
        flushes: how many requested flushes were served
        queued_bytes: bytes of samples that wait
        limit: bytes of samples that may wait
        full: whether nothing should be given to it; what is given nevertheless is taken
        swmr: whether others can read the file as it grows
        error: what is wrong with the file; None if all is well
    """

    def __init__(
        self,
        make_file: Callable[[], "HdfFile"],
        columns: Callable[[StartData], Sequence[Column]],
        changed: Callable[[], None],
        *,
        flush_period: float = 1.0,
        lazy: bool = False,
        limit: int = QUEUE_BYTES,
    ) -> None:
        self.phase = Phase.CAPTURING
        self.opened = self.full = self.swmr = False
        self.accepted, self.flushed, self.flushes, self.queued_bytes = 0, 0, 0, 0
        self.limit = limit
        self.error: PandaError | None = None
        self._flush_period = flush_period
        self._make_file = make_file
        self._columns = columns
        self._changed = changed
        self._lazy = lazy
        self._queue: deque[Selected] = deque()
        self._wake = threading.Condition()
        self._flushes_wanted = 0
        self._failure = ""
        self._file: HdfFile | None = None
        threading.Thread(target=self._run, name="file writer", daemon=True).start()

    def put(self, data: Selected) -> None:
        """Give it something to write. It never waits."""
        with self._wake:
            if self.phase is not Phase.CAPTURING:
                return
            if isinstance(data, FrameData):
                self.accepted += len(data.data)
            self.queued_bytes += _size(data)
            self.full = self.full or self.queued_bytes >= self.limit
            self._queue.append(data)
            self._wake.notify()

    def request_flush(self) -> int:
        """Ask that all that came becomes readable for others; return how many `flushes` there are then."""
        with self._wake:
            self._flushes_wanted += 1
            self._wake.notify()
            return self._flushes_wanted

    def set_flush_period(self, seconds: float) -> None:
        """Change after how long what was written is readable for others; it holds at once."""
        with self._wake:
            self._flush_period = seconds
            self._wake.notify()

    def close(self, failure: str = "") -> None:
        """Write what waits, then close the file.

        Args:
            failure: what went wrong with the capture, for the file to tell
        """
        with self._wake:
            if self.phase is Phase.CAPTURING:
                self.phase = Phase.CLOSING
                self._failure = failure
                self._wake.notify()

    def _run(self) -> None:
        try:
            if not self._lazy:
                self._open()
            self._write()
            if self._file is not None:
                self._file.close(self._failure)
                self._look_after(self._file)
        except PandaError as error:
            self._abandon(str(error))
        except Exception:  # not what a disk does, but no reason to say that all is well
            log.exception("the file writer failed")
            self._abandon("the file writer failed by an error of its own, which the log has")
        finally:
            self._let_go()
            with self._wake:
                self._queue.clear()
                self.queued_bytes, self.full, self.swmr, self.opened = 0, False, False, True
                self.phase = Phase.CLOSED
            self._changed()

    def _let_go(self) -> None:
        """Forget all of HDF5 in this thread: freed in another, it would wait for whoever writes the next file."""
        del self._make_file, self._columns
        self._file = None

    def _open(self) -> "HdfFile":
        if self._file is None:
            self._file = self._make_file()
            self.opened = True
            self._changed()
        return self._file

    def _write(self) -> None:
        flushed_at = time.monotonic()
        dirty = False
        while True:
            batch, wanted, closing = self._next(flushed_at if dirty else None)
            idle = not batch
            while batch:
                self._store(batch.popleft())  # and let go of it: its memory is counted as free from here on
                dirty = True
            if dirty and (wanted > self.flushes or time.monotonic() >= flushed_at + self._flush_period):
                self._flush()
                flushed_at, dirty = time.monotonic(), False
            if wanted > self.flushes:
                self.flushes = wanted
                self._changed()
            if closing and idle:
                return

    def _next(self, flushed_at: float | None) -> tuple[deque[Selected], int, bool]:
        """Wait until there is something to do: data, a flush that is due or wanted, the end."""
        with self._wake:
            while not (self._queue or self._is_wanted()):
                timeout = None if flushed_at is None else flushed_at + self._flush_period - time.monotonic()
                if timeout is not None and timeout <= 0:
                    break
                self._wake.wait(timeout)
            if self._queue and self._flush_period:
                self._wake.wait_for(self._is_urgent, min(self._flush_period, _LONGEST_WAIT))
            batch, self._queue = self._queue, deque()
            return batch, self._flushes_wanted, self.phase is Phase.CLOSING

    def _is_wanted(self) -> bool:
        return self.phase is Phase.CLOSING or self._flushes_wanted > self.flushes

    def _is_urgent(self) -> bool:
        return self.queued_bytes >= _ENOUGH_BYTES or self._is_wanted() or isinstance(self._queue[-1], EndData)

    def _store(self, data: Selected) -> None:
        file = self._open()
        match data:
            case StartData():
                file.begin(data, self._columns(data))
                self.swmr = True
                self._look_after(file)
            case FrameData():
                file.write(data.data)
            case EndData():
                file.end(data.reason)
                self._look_after(file)
        self._make_room(_size(data))

    def _make_room(self, size: int) -> None:
        with self._wake:
            self.queued_bytes -= size
            emptied = self.full and self.queued_bytes <= self.limit * (1 - _ROOM)
            if emptied:
                self.full = False
        if emptied:
            self._changed()

    def _flush(self) -> None:
        if self._file is not None:
            self._file.flush()
            self._look_after(self._file)

    def _look_after(self, file: "HdfFile") -> None:
        """Note how far the file is, and whether something is wrong with it, after it was flushed."""
        self.flushed = file.flushed_rows
        if file.problem and self.error is None:
            self.error = CaptureError(file.problem)
            self._changed()

    def _abandon(self, failure: str) -> None:
        self.error = CaptureError(failure)
        if self._file is None:
            return
        try:
            self.error = CaptureError(f"{failure}{self._file.abandon(failure)}")
        except Exception:
            log.exception("%s is not closed", self._file.path)
        self.flushed = self._file.flushed_rows


def _size(data: Selected) -> int:
    """What waits, in bytes: the samples, and what it takes to tell of them."""
    if isinstance(data, FrameData):
        return data.data.nbytes + _EVENT_BYTES
    return _START_BYTES if isinstance(data, StartData) else _EVENT_BYTES
