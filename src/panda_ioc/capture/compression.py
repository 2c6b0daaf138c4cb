"""How datasets are compressed, as HDF5 filters."""

import importlib
from typing import Any

from .errors import CaptureError
from .options import COMPRESSIONS


def filters(compression: str) -> dict[str, Any]:
    """Return the arguments of `create_dataset` for a key of COMPRESSIONS.

    Raises:
        CaptureError: there is no such compression, or it needs a package that is not installed
    """
    if compression not in COMPRESSIONS:
        raise CaptureError(f"{compression!r} is none of {', '.join(COMPRESSIONS)}")
    name = COMPRESSIONS[compression]
    if name is None:
        return {}
    if name == "gzip":
        return {"compression": "gzip", "compression_opts": 4}
    try:
        plugin = importlib.import_module("hdf5plugin")
    except ImportError:
        raise CaptureError(f"compression with {compression} needs the package hdf5plugin") from None
    return dict(getattr(plugin, name)())
