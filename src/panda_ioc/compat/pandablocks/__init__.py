"""The public names of pandablocks 0.10, over the connections of panda-ioc.

A script runs unchanged with

    python -m panda_ioc.compat.pandablocks script.py ARGUMENTS

or, in a program, after `install()`, which lets `import pandablocks` find these modules. Written from the public
documentation of pandablocks and its observed behaviour; where results differ is told in docs/how-to/python.md.
"""

import importlib
import sys

from ... import __version__

_MODULES = ("asyncio", "blocking", "commands", "connections", "hdf", "responses", "utils")

__all__ = ["__version__", "install"]


def install() -> None:
    """Let `import pandablocks` find these modules, in this process.

    Raises:
        ImportError: the real pandablocks has been imported
    """
    present = sys.modules.get("pandablocks")
    if present is not None and present is not sys.modules[__name__]:
        raise ImportError("cannot stand in for pandablocks: it has been imported already; call install() before that")
    sys.modules["pandablocks"] = sys.modules[__name__]
    for name in _MODULES:
        sys.modules[f"pandablocks.{name}"] = importlib.import_module(f"{__name__}.{name}")
