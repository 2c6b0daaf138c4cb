"""HDF5 compression filters."""

import importlib
from typing import Any

from .errors import CaptureError
from .options import COMPRESSIONS


def filters(compression: str) -> dict[str, Any]:
    """Return the arguments of `create_dataset` for a key of COMPRESSIONS.

    Raises:
        CaptureError: the compression is unknown, or needs a package that is not installed
    """
    if compression not in COMPRESSIONS:
        raise CaptureError(f"unknown compression {compression!r}: use {', '.join(COMPRESSIONS)}")
    name = COMPRESSIONS[compression]
    if name is None:
        return {}
    if name == "gzip":
        return {"compression": "gzip", "compression_opts": 4}
    try:
        plugin = importlib.import_module("hdf5plugin")
    except ImportError:
        raise CaptureError(f"{compression} compression needs the package hdf5plugin: install it") from None
    return dict(getattr(plugin, name)())
