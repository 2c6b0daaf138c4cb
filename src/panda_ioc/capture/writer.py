"""Thread that writes a file from a queue.

`put` never blocks and nothing is dropped. When the queue is full, `full` is True until part of it is written: meanwhile
the caller does not read the data port, and the PandA buffers the data.

The thread waits for data, and then for up to the flush period (at most 0.1 s) to write many small frames together. A
flush makes the written samples visible to readers of the file.
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

#: Default of the maximum size of the queue in bytes.
QUEUE_BYTES = 32 << 20

#: Maximum time in s to wait for more samples, and the size in bytes from which to write immediately.
_LONGEST_WAIT = 0.1
_ENOUGH_BYTES = 4 << 20

#: Part of a full queue to write before it accepts more. It is small because the PandA's buffer fills meanwhile.
_ROOM = 1 / 8

#: Memory in bytes for a frame in addition to its samples, or for an end event.
_EVENT_BYTES = 512


class FileWriter:
    """The writer of one file, with its own thread.

    Args:
        make_file: function that creates the file; called in the thread
        changed: called in the thread after the file was created, the queue has space again, a requested flush was done,
            an error occurred, or the file was closed
        flush_period: time in s after which samples become visible to readers; 0 for immediately
        lazy: create the file at the start of the first acquisition
        limit: intended maximum size of the queue in bytes

    Attributes:
        phase: current phase
        opened: whether the file was created or its creation failed
        accepted: number of samples queued or written
        flushed: number of samples visible to readers
        flushes: number of requested flushes done
        queued_bytes: size of the queue in bytes
        limit: intended maximum size of the queue in bytes
        full: whether the queue is full; further samples are still accepted
        swmr: whether the file can be read while it is written
        error: error of the file, or None
    """

    def __init__(
        self,
        make_file: Callable[[], "HdfFile"],
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
        self._changed = changed
        self._lazy = lazy
        self._queue: deque[tuple[Selected, Sequence[Column]]] = deque()
        self._wake = threading.Condition()
        self._flushes_wanted = 0
        self._failure = ""
        self._file: HdfFile | None = None
        threading.Thread(target=self._run, name="file writer", daemon=True).start()

    def put(self, data: Selected, columns: Sequence[Column] = ()) -> None:
        """Queue an event to write. Never blocks.

        Args:
            data: event
            columns: columns to store of an acquisition that starts
        """
        with self._wake:
            if self.phase is not Phase.CAPTURING:
                return
            if isinstance(data, FrameData):
                self.accepted += len(data.data)
            self.queued_bytes += _size(data)
            self.full = self.full or self.queued_bytes >= self.limit
            self._queue.append((data, columns))
            self._wake.notify()

    def request_flush(self) -> int:
        """Request a flush of all samples queued so far; return the value of `flushes` when it is done."""
        with self._wake:
            self._flushes_wanted += 1
            self._wake.notify()
            return self._flushes_wanted

    def set_flush_period(self, seconds: float) -> None:
        """Set the time in s after which samples become visible to readers, with immediate effect."""
        with self._wake:
            self._flush_period = seconds
            self._wake.notify()

    def close(self, failure: str = "") -> None:
        """Write the queue, then close the file.

        Args:
            failure: error of the capture, which is stored in the file
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
        except Exception:  # a bug: report it as an error of the file
            log.exception("the file writer failed")
            self._abandon("internal error of the file writer: see the log")
        finally:
            self._release()
            with self._wake:
                self._queue.clear()
                self.queued_bytes, self.full, self.swmr, self.opened = 0, False, False, True
                self.phase = Phase.CLOSED
            self._changed()

    def _release(self) -> None:
        """Release all HDF5 objects in this thread: another thread would block on the lock of the next writer."""
        del self._make_file
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
                self._store(*batch.popleft())  # releases the memory, which _store counts as free
                dirty = True
            if dirty and (wanted > self.flushes or time.monotonic() >= flushed_at + self._flush_period):
                self._flush()
                flushed_at, dirty = time.monotonic(), False
            if wanted > self.flushes:
                self.flushes = wanted
                self._changed()
            if closing and idle:
                return

    def _next(self, flushed_at: float | None) -> tuple[deque[tuple[Selected, Sequence[Column]]], int, bool]:
        """Wait for data, a flush that is due or requested, or the end."""
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
        return self.queued_bytes >= _ENOUGH_BYTES or self._is_wanted() or isinstance(self._queue[-1][0], EndData)

    def _store(self, data: Selected, columns: Sequence[Column]) -> None:
        file = self._open()
        match data:
            case StartData():
                file.begin(data, columns)
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
        """Update `flushed` and `error` from the file after a flush."""
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
            log.exception("cannot close %s", self._file.path)
        self.flushed = self._file.flushed_rows


def _size(data: Selected) -> int:
    """Return the size of an event in the queue in bytes."""
    if isinstance(data, FrameData):
        return data.data.nbytes + _EVENT_BYTES
    return data.memory if isinstance(data, StartData) else _EVENT_BYTES
