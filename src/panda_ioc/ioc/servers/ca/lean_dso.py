"""Faster import of softioc, without setuptools.

softioc finds its libraries with `setuptools_dso.runtime`. The package `setuptools_dso` also imports setuptools, which
is only needed to build libraries and takes 0.1 s. To find its caller, the module reads the source of every function on
the stack several times, which takes another 0.1 s.
"""

import importlib
import importlib.util
import sys
from types import ModuleType


def skip_setuptools() -> None:
    """Import `setuptools_dso` without its build part."""
    name = "setuptools_dso"
    spec = importlib.util.find_spec(name) if name not in sys.modules else None
    if spec is None or spec.submodule_search_locations is None:
        return
    package = ModuleType(name)
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules[name] = package
    runtime = importlib.import_module(f"{name}.runtime")
    vars(runtime)["_auto_pkg"] = _caller
    for public in runtime.__all__:
        setattr(package, public, getattr(runtime, public))


def load_epics() -> None:
    """Import the Channel Access server; may be called in any thread."""
    skip_setuptools()
    importlib.import_module(f"{__package__}.server")


def _caller() -> str:
    """Return the module that called the caller, to resolve relative names."""
    return str(sys._getframe(2).f_globals["__name__"])  # noqa: SLF001 - `inspect` uses it, too
