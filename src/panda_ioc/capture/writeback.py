"""Early write-back of a growing file to the disk.

By default, Linux buffers gigabytes and then blocks the writer for seconds.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor

#: Number of new bytes from which a write-back is requested.
_BYTES = 8 << 20


class Writeback:
    """A thread that requests the write-back of new data in a file, because the request may block on the disk.

    Args:
        descriptor: file descriptor, which must remain open until `close`
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._thread = ThreadPoolExecutor(1, "writeback")
        self._request: Future[None] | None = None
        self._requested_bytes = 0

    def grown(self) -> None:
        """Request the write-back of new data if there are enough, and the previous request has finished.

        Raises:
            OSError: the previous request failed, or the file cannot be accessed
        """
        size = os.fstat(self._descriptor).st_size
        if size - self._requested_bytes < _BYTES or (self._request is not None and not self._request.done()):
            return
        if self._request is not None:
            self._request.result()
        # For dirty pages, DONTNEED starts the write-back but keeps the pages, so readers lose nothing.
        new = self._descriptor, self._requested_bytes, size - self._requested_bytes
        self._request = self._thread.submit(os.posix_fadvise, *new, os.POSIX_FADV_DONTNEED)
        self._requested_bytes = size

    def close(self) -> None:
        """Wait until the last request has finished."""
        self._thread.shutdown()
