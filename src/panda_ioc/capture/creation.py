"""Creation of HDF5 files, and the error messages of HDF5."""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from ..opening import opened


def create_file(path: Path, cache: Mapping[str, Any]) -> h5py.File:
    """Create a file. If that fails, no partial file remains.

    Args:
        path: path, which must not exist
        cache: chunk cache arguments of `h5py.File`

    Raises:
        OSError: the file cannot be created
    """
    return opened(_create, path, cache)


def _create(path: Path, cache: Mapping[str, Any]) -> h5py.File:
    try:
        return h5py.File(path, "x", libver="latest", **cache)
    except FileExistsError:
        raise
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def reason_of(error: Exception) -> str:
    """Return the operating system's error message, without HDF5 internals."""
    match = re.search(r"error message = '([^']*)'", str(error))
    return match[1] if match else getattr(error, "strerror", None) or str(error)
