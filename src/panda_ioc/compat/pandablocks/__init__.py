"""Drop-in replacement for pandablocks 0.10, based on the connections of panda_ioc.

A script runs unchanged with

    python -m panda_ioc.compat.pandablocks script.py ARGUMENTS

or, within a program, after `install()`, which redirects `import pandablocks` to this package. It was written from the
public documentation of pandablocks and its observed behaviour; docs/how-to/python.md lists the differences.
"""

import importlib
import sys

from ... import __version__

_MODULES = ("asyncio", "blocking", "commands", "connections", "hdf", "responses", "utils")

__all__ = ["__version__", "install"]


def install() -> None:
    """Redirect `import pandablocks` to these modules in this process.

    Raises:
        ImportError: the real pandablocks has already been imported
    """
    present = sys.modules.get("pandablocks")
    if present is not None and present is not sys.modules[__name__]:
        raise ImportError("cannot replace pandablocks: it is already imported; call install() before importing it")
    sys.modules["pandablocks"] = sys.modules[__name__]
    for name in _MODULES:
        sys.modules[f"pandablocks.{name}"] = importlib.import_module(f"{__name__}.{name}")
