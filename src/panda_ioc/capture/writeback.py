"""Letting the system write a growing file to the disk as it grows.

Left to itself, Linux collects gigabytes, and then stops whoever writes for seconds.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor

#: Bytes that a file grows by before the system is asked to write them.
_BYTES = 8 << 20


class Writeback:
    """Asks the system to begin to write what is new in a file, in a thread, as that may wait for the disk.

    Args:
        descriptor: of the file, which stays open until this is closed
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._thread = ThreadPoolExecutor(1, "writeback")
        self._asked: Future[None] | None = None
        self._on_its_way = 0

    def grown(self, size: int) -> None:
        """Note the size of the file; ask once that is worth it, and the system has taken what it was asked before.

        Raises:
            OSError: the system refused
        """
        if size - self._on_its_way < _BYTES or (self._asked is not None and not self._asked.done()):
            return
        if self._asked is not None:
            self._asked.result()
        # What is still to be written is not forgotten but written: so the advice costs readers nothing.
        new = self._descriptor, self._on_its_way, size - self._on_its_way
        self._asked = self._thread.submit(os.posix_fadvise, *new, os.POSIX_FADV_DONTNEED)
        self._on_its_way = size

    def close(self) -> None:
        """Wait until the system has taken what it was asked."""
        self._thread.shutdown()
