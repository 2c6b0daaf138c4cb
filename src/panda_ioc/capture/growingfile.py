"""Open files that may still be written to, and damaged ones.

HDF5 in SWMR mode retries indefinitely to read damaged metadata. Files are therefore opened in this mode only if they
are marked as being written, and after a check.
"""

import io
import os
import time
from pathlib import Path
from typing import Any

import h5py

from .errors import CaptureError
from .superblock import Superblock, marked_closed, parse_superblock, read_head

#: Errors of h5py for a damaged file.
DAMAGED = (OSError, RuntimeError, KeyError, ValueError)

#: Number of attempts to read a file that is being written, and the pause between them in s.
_TRIES, _PAUSE = 5, 0.1


class AsClosed(io.FileIO):
    """A file to read as if it were marked as closed."""

    def readinto(self, buffer: Any) -> int:
        at = self.tell()
        count = super().readinto(buffer)
        head = marked_closed(read_head(self.fileno()), os.fstat(self.fileno()).st_size)
        part = (head or b"")[at : at + count]
        memoryview(buffer).cast("B")[: len(part)] = part
        return count


def open_to_read(path: str | Path) -> h5py.File:
    """Open a file, which may still be written to.

    Raises:
        CaptureError: the file cannot be opened, or it is damaged
    """
    try:
        block = _superblock(path)
        if block is None or not block.being_written:
            return h5py.File(path, "r")
        for attempt in range(_TRIES):
            if _is_complete(path):
                return h5py.File(path, "r", swmr=True)
            time.sleep(_PAUSE if attempt else 0)  # the writer may have been at work
    except DAMAGED as error:
        reason = getattr(error, "strerror", None) or error  # str() of an OSError has the path again
        raise CaptureError(f"cannot read {path}: {reason}") from error
    raise CaptureError(f"cannot read {path}: it is damaged, for example an incomplete copy of a file being written")


def _superblock(path: str | Path) -> Superblock | None:
    with Path(path).open("rb") as file:
        return parse_superblock(read_head(file.fileno()))


def _is_complete(path: str | Path) -> bool:
    """Whether a file has its full length and all its objects can be opened."""
    block = _superblock(path)
    try:
        with AsClosed(path) as content, h5py.File(content, "r") as file:
            for name in file:
                dict(file[name].attrs)
    except DAMAGED:
        return False
    return block is not None and Path(path).stat().st_size >= block.end
