"""A log handler with a writer thread, so that a slow reader of the log cannot block the IOC."""

import logging
import os
import threading
import time
from collections import deque

#: Size of the buffer in bytes.
_ROOM = 2**20

#: Seconds that flushing waits for the buffer to empty.
_PATIENCE = 1.5


class LogWriter(logging.Handler):
    """A log handler that writes to a file descriptor from a thread; when its buffer is full, lines are dropped.

    The log states how many lines were dropped. Lines are formatted by the thread that logs them. They are written one
    by one with `os.write`, because the locks of Python's buffered streams could block the exit of the process.

    Args:
        descriptor: file descriptor to write to
        encoding: text encoding
        room: size of the buffer in bytes
    """

    def __init__(self, descriptor: int, encoding: str = "utf-8", room: int = _ROOM) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._encoding = encoding
        self._room = room
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._size = 0  # of the buffered lines, and the line being written
        self._left_out = 0
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Buffer a record for writing; this never blocks on the reader."""
        try:
            line = self._line(record)
        except Exception:  # noqa: BLE001 - a bad log call must not break the caller
            self.handleError(record)
            return
        with self._changed:
            # After a drop, keep dropping until the buffer is empty: this makes one gap instead of many.
            if self._left_out or self._size + len(line) > self._room:
                self._left_out += 1
            else:
                self._append(line)

    def flush(self) -> None:
        """Wait until all lines are written, with a time limit."""
        with self._changed:
            self._changed.wait_for(lambda: not self._size and not self._left_out, _PATIENCE)

    def _line(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(self._encoding, "backslashreplace")

    def _append(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            line = self._next_line()
            self._write(line)
            with self._changed:
                self._size -= len(line)
                self._changed.notify_all()

    def _next_line(self) -> bytes:
        """Wait for the next line."""
        with self._changed:
            while not self._lines:
                if self._left_out:
                    text = f"{self._left_out} lines were dropped here: standard output was not read in time"
                    self._append(self._line(logging.LogRecord(__name__, logging.WARNING, "", 0, text, None, None)))
                    self._left_out = 0
                else:
                    self._changed.wait()
            return self._lines.popleft()

    def _write(self, line: bytes) -> None:
        left = memoryview(line)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:  # another process made the shared descriptor non-blocking
                time.sleep(0.05)
            except OSError:  # standard output is closed
                return
