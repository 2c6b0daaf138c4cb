"""The thread that writes the log, so that who reads it, or does not, holds up nobody else."""

import logging
import os
import threading
import time
from collections import deque

#: Bytes of lines that may wait to be written.
_ROOM = 2**20

#: Seconds that the end of a process waits for what is left.
_PATIENCE = 1.5


class LogWriter(logging.Handler):
    """Writes lines to a file descriptor, in order; when too much waits, lines are left out, and how many is told.

    Lines are formatted by who logs them, and written one by one, past all buffers of Python: these have locks, which
    the end of a process would wait for.

    Args:
        descriptor: where to
        encoding: what lines are written in
        room: bytes that may wait to be written
    """

    def __init__(self, descriptor: int, encoding: str = "utf-8", room: int = _ROOM) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._encoding = encoding
        self._room = room
        self._changed = threading.Condition()
        self._lines: deque[bytes] = deque()
        self._size = 0  # of the lines that wait, and of the one that is being written
        self._left_out = 0
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Have a record written; this never waits for who reads."""
        try:
            line = self._line(record)
        except Exception:  # noqa: BLE001 - a line that cannot be formatted is no reason to fail
            self.handleError(record)
            return
        with self._changed:
            # Once something is missing, so is all until nothing is left to write: that makes one gap, in one place.
            if self._left_out or self._size + len(line) > self._room:
                self._left_out += 1
            else:
                self._append(line)

    def flush(self) -> None:
        """Wait until all is written, but not for ever."""
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
            line = self._take()
            self._write(line)
            with self._changed:
                self._size -= len(line)
                self._changed.notify_all()

    def _take(self) -> bytes:
        """Wait for the next line."""
        with self._changed:
            while not self._lines:
                if self._left_out:
                    text = f"{self._left_out} lines are missing here: the log was not read"
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
            except BlockingIOError:  # whoever else has the other end may have wished for that
                time.sleep(0.05)
            except OSError:  # nobody reads it any more
                return
