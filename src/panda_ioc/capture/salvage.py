"""Close a file after a disk error so that it can be opened normally.

If closing a file fails, HDF5 frees its state but may use it again later, which crashes the process. Therefore the close
must not fail: the file descriptor is redirected to memory first. The file then has the content of the last flush,
which is consistent in SWMR mode. It is marked as closed, and its columns are truncated to a common length.
"""

import contextlib
import os
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py

from ..opening import opened
from .growingfile import AsClosed
from .superblock import mark_closed

_ERRORS = (OSError, RuntimeError, KeyError)


def close_broken(file: h5py.File, path: Path, names: Sequence[str], rows: int) -> tuple[int, str]:
    """Close a file after a disk error, including its open datasets.

    Args:
        file: file to close
        path: path of the file
        names: dataset names of its columns
        rows: number of rows that all columns have

    Returns:
        the number of rows that the file has, and a note for the error message on how to open it; "" if it opens
        normally
    """
    _cut(file, names, rows)
    close_unwritten(file)
    try:
        mark_closed(path)
        again = opened(h5py.File, path, "r+", locking=False)
        _cut(again, names, rows)
        close_unwritten(again)
        mark_closed(path)
        with opened(h5py.File, path, "r", locking=False) as closed:
            lengths = {len(closed[name]) for name in names}
    except _ERRORS:
        return _found(path, names, closed=False)
    # The disk may have refused the lengths of rows that it had accepted.
    complete = min(lengths, default=rows)
    return complete, "" if lengths <= {complete} else f"; {complete} rows are complete"


def mark_left_open(path: Path, names: Sequence[str]) -> tuple[int, str]:
    """Mark a file as closed that HDF5 failed to close; arguments and result as for `close_broken`.

    HDF5 may still have the file in its list of open files, so it must not open the path again.
    """
    closed = False
    with contextlib.suppress(OSError):
        closed = mark_closed(path)
    return _found(path, names, closed=closed)


def _found(path: Path, names: Sequence[str], *, closed: bool) -> tuple[int, str]:
    """Return the result of `close_broken` for a file as it is, marked as closed or not."""
    try:
        with opened(AsClosed, path) as content, h5py.File(content, "r") as file:
            rows = min((len(file[name]) for name in names), default=0)
    except _ERRORS:
        return 0, "; the file cannot be opened"
    return rows, "" if closed else f"; open it with h5py.File({str(path)!r}, swmr=True): {rows} rows are complete"


def _cut(file: h5py.File, names: Sequence[str], rows: int) -> None:
    """Truncate columns to a number of rows, and flush as far as the disk allows."""
    with contextlib.suppress(*_ERRORS):
        for name in names:
            if len(file[name]) > rows:
                file[name].resize(rows, axis=0)
    with contextlib.suppress(*_ERRORS):
        file.flush()


def close_unwritten(file: h5py.File) -> None:
    """Close a file without writing to it. Data that HDF5 has not written are discarded."""
    descriptor = file.id.get_vfd_handle()
    nowhere = os.memfd_create("not written")
    try:
        os.dup2(nowhere, descriptor, inheritable=False)
    finally:
        os.close(nowhere)
    with contextlib.suppress(*_ERRORS), _no_limit():
        file.close()


@contextlib.contextmanager
def _no_limit() -> Iterator[None]:
    """Raise the soft limit of the file size, which also applies to a memory file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
