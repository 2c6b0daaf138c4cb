"""Closing a file that the disk failed for, so that it opens as any other.

HDF5 frees what it has of a file even if closing it fails, and may use it again later, which ends the process. So it is
never let to fail: what it still wants to write goes to a piece of memory in place of the file. The file itself is as it
was flushed last, which is consistent in SWMR mode; it is marked as closed, and columns that are longer than others are
cut to the rows that all have.
"""

import contextlib
import os
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py

from ..opening import opened
from .superblock import mark_closed

_ERRORS = (OSError, RuntimeError, KeyError)


def close_broken(file: h5py.File, path: Path, names: Sequence[str], rows: int) -> str:
    """Close a file after the disk failed; datasets that are in use are closed, too.

    Args:
        file: it
        path: where it is
        names: of its columns
        rows: that all of them have

    Returns:
        what to know when it is opened, for a message; "" if it is as any other
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
        return f"; open it with h5py.File({str(path)!r}, swmr=True): {rows} rows are complete"
    return "" if lengths <= {rows} else f"; {rows} rows of it are complete"


def _cut(file: h5py.File, names: Sequence[str], rows: int) -> None:
    """Cut columns to a number of rows, and write what there is room for."""
    with contextlib.suppress(*_ERRORS):
        for name in names:
            if len(file[name]) > rows:
                file[name].resize(rows, axis=0)
    with contextlib.suppress(*_ERRORS):
        file.flush()


def close_unwritten(file: h5py.File) -> None:
    """Close a file without writing to it: what HDF5 has not written goes nowhere."""
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
    """Let files be as long as they may be at most: a piece of memory counts as one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
