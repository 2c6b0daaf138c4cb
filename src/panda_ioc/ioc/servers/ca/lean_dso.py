"""Keep setuptools out of a process that only runs an IOC.

softioc finds its libraries with `setuptools_dso.runtime`, which needs nothing else; but the package around
it imports all of setuptools, to build such libraries: a tenth of a second at every start. To learn who calls it,
it then reads the source of every function on the stack, several times: more than another tenth.
"""

import importlib
import importlib.util
import sys
from types import ModuleType


def skip_setuptools() -> None:
    """Import `setuptools_dso` without the half of it that builds."""
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
    """Import what serves Channel Access, as fast as it goes. It may be called in any thread."""
    skip_setuptools()
    importlib.import_module(f"{__package__}.server")


def _caller() -> str:
    """The module that calls what called this, for names that are relative to it."""
    return str(sys._getframe(2).f_globals["__name__"])  # noqa: SLF001 - what `inspect` looks at, too
