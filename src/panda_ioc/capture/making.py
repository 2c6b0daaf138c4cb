"""Making an HDF5 file, and what HDF5 says when that or writing it fails."""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from ..opening import opened


def make_file(path: Path, cache: Mapping[str, Any]) -> h5py.File:
    """Make a file; where that fails, none is left.

    Args:
        path: where; it must not exist
        cache: arguments of `h5py.File` for its chunk cache

    Raises:
        OSError: it cannot be made
    """
    return opened(_made, path, cache)


def _made(path: Path, cache: Mapping[str, Any]) -> h5py.File:
    try:
        return h5py.File(path, "x", libver="latest", **cache)
    except FileExistsError:
        raise
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def reason_of(error: Exception) -> str:
    """Return what the system said, without the innards of HDF5."""
    match = re.search(r"error message = '([^']*)'", str(error))
    return match[1] if match else getattr(error, "strerror", None) or str(error)
