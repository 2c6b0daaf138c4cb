"""The thread that writes a file: what came waits in a queue, bounded in bytes, until the disk takes it.

Who gives the data never waits. When the queue is full, what comes is dropped and counted; the file gets all
that came before, and ends there: it never has a gap that it does not tell of.

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

if TYPE_CHECKING:
    from .hdf import HdfFile

log = logging.getLogger(__name__)

#: Bytes of samples that may wait for the disk: more than a second of a fast PandA.
QUEUE_BYTES = 96 << 20

#: Seconds that samples may wait for more of them, and bytes that are enough.
_LONGEST_WAIT = 0.1
_ENOUGH_BYTES = 4 << 20

#: Bytes that a frame takes beside its samples.
_FRAME_BYTES = 512

Written = StartData | FrameData | EndData


class FileWriter:
    """Writes one file.

    Args:
        make_file: makes it, in the thread
        columns: which are stored of an acquisition
        flush_period: seconds after which what was written is readable for others; 0 for at once
        lazy: make the file when the first acquisition begins, and not before
        limit: bytes of samples that may wait
        ended: called in the thread when the file is closed, for whatever reason

    Attributes:
        rows: samples that are written
        flushed: samples that others can read
        dropped: samples that did not fit into the queue
        queued_bytes: bytes of samples that wait
        swmr: whether others can read the file as it grows
        limit: bytes of samples that may wait
        error: why it could not be written; None if all is well
    """

    def __init__(
        self,
        make_file: Callable[[], "HdfFile"],
        columns: Callable[[StartData], Sequence[Column]],
        ended: Callable[[], None],
        *,
        flush_period: float = 1.0,
        lazy: bool = False,
        limit: int = QUEUE_BYTES,
    ) -> None:
        self.rows, self.flushed, self.dropped, self.queued_bytes = 0, 0, 0, 0
        self.swmr = False
        self.error: PandaError | None = None
        self._flush_period = flush_period
        self._make_file = make_file
        self._columns = columns
        self._ended = ended
        self._lazy = lazy
        self.limit = limit
        self._queue: deque[Written] = deque()
        self._wake = threading.Condition()
        self._flush_wanted: list[threading.Event] = []
        self._flush_served: list[threading.Event] = []
        self._closing = self._closed = False
        self._failure = ""
        self._file: HdfFile | None = None
        self._opened = threading.Event()
        threading.Thread(target=self._run, name="file writer", daemon=True).start()

    def put(self, data: Written) -> bool:
        """Give it something to write; return whether there was room. It never waits."""
        size = _size(data)
        with self._wake:
            # After a gap nothing more is taken, not even an end: the file is not to say that all went well.
            if self.dropped or (isinstance(data, FrameData) and self.queued_bytes + size > self.limit):
                self.dropped += len(data.data) if isinstance(data, FrameData) else 0
                self._wake.notify()
                return False
            self._queue.append(data)
            self.queued_bytes += size
            self._wake.notify()
        return True

    def wait_opened(self, timeout: float) -> bool:
        """Wait, not in an event loop, until the file is made or that failed; return whether that was in time."""
        return self._opened.wait(timeout)

    def flush(self, timeout: float) -> bool:
        """Make all that came readable for others, and wait for it, not in an event loop.

        Returns:
            whether that was in time; it need not have gone well: see `error`
        """
        done = threading.Event()
        with self._wake:
            if self.closed:
                return True
            self._flush_wanted.append(done)
            self._wake.notify()
        return done.wait(timeout)

    def set_flush_period(self, seconds: float) -> None:
        """Change after how long what was written is readable for others; it holds at once."""
        with self._wake:
            self._flush_period = seconds
            self._wake.notify()

    def close(self, failure: str = "") -> None:
        """Write what waits, then close the file; `ended` tells when.

        Args:
            failure: what went wrong with the capture, for the file to tell
        """
        with self._wake:
            self._closing = True
            self._failure = failure
            self._wake.notify()

    @property
    def closed(self) -> bool:
        """Whether the thread has nothing more to do with the file."""
        return self._closed

    def _run(self) -> None:
        try:
            if not self._lazy:
                self._open()
            self._write()
            if self._file is not None:
                self._file.close(self._failure)
        except PandaError as error:
            self.error = CaptureError(str(error))
            self._abandon(self.error)
        except Exception:  # not what a disk does, but no reason to say that all is well
            log.exception("the file writer failed")
            self.error = CaptureError("the file writer failed by an error of its own, which the log has")
            self._abandon(self.error)
        finally:
            if self._file is not None:
                self.flushed = self._file.flushed_rows
            self.swmr = False
            self._let_go()
            self._opened.set()
            with self._wake:
                self._queue.clear()
                self.queued_bytes = 0
                self._closed = True
                waiting = [*self._flush_wanted, *self._flush_served]
            for done in waiting:
                done.set()
            self._ended()

    def _let_go(self) -> None:
        """Forget all of HDF5 in this thread: freed in another, it would wait for whoever writes the next file."""
        del self._make_file, self._columns
        self._file = None

    def _open(self) -> "HdfFile":
        if self._file is None:
            self._file = self._make_file()
        self._opened.set()
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
            if dirty and (wanted or time.monotonic() >= flushed_at + self._flush_period):
                self._flush()
                flushed_at, dirty = time.monotonic(), False
            for done in wanted:
                done.set()
            if self.dropped and idle:
                self._end_at_gap()
            if closing and idle:
                return

    def _end_at_gap(self) -> None:
        if self._file is not None:
            self._file.end("Disk too slow")
        raise CaptureError(
            f"the disk was too slow: {self.dropped} samples did not fit into the {self.limit / 2**20:g} MiB "
            "that may wait for it, and are missing"
        )

    def _next(self, flushed_at: float | None) -> tuple[deque[Written], list[threading.Event], bool]:
        """Wait until there is something to do: data, a flush that is due or wanted, the end."""
        with self._wake:
            while not (self._queue or self._flush_wanted or self._closing or self.dropped):
                timeout = None if flushed_at is None else flushed_at + self._flush_period - time.monotonic()
                if timeout is not None and timeout <= 0:
                    break
                self._wake.wait(timeout)
            if self._queue and self._flush_period:
                self._wake.wait_for(self._is_urgent, min(self._flush_period, _LONGEST_WAIT))
            batch, self._queue = self._queue, deque()
            self._flush_served, self._flush_wanted = self._flush_wanted, []
            return batch, self._flush_served, self._closing

    def _is_urgent(self) -> bool:
        return bool(
            self.queued_bytes >= _ENOUGH_BYTES
            or self._closing
            or self._flush_wanted
            or self.dropped
            or isinstance(self._queue[-1], EndData)
        )

    def _store(self, data: Written) -> None:
        file = self._open()
        match data:
            case StartData():
                file.begin(data, self._columns(data))
                self.swmr = True
                self.flushed = file.flushed_rows
            case FrameData():
                file.write(data.data)
                self.rows = file.rows
                with self._wake:
                    self.queued_bytes -= _size(data)
            case EndData():
                file.end(data.reason)
                self.flushed = file.flushed_rows

    def _flush(self) -> None:
        if self._file is not None:
            self._file.flush()
            self.flushed = self._file.flushed_rows

    def _abandon(self, failure: CaptureError) -> None:
        if self._file is not None:
            try:
                self._file.abandon(str(failure))
            except CaptureError as error:
                log.warning("%s", error)


def _size(data: Written) -> int:
    """What waits, in bytes: the samples, and what it takes to tell of them."""
    return data.data.nbytes + _FRAME_BYTES if isinstance(data, FrameData) else 0
