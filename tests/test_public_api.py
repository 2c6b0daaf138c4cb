"""The docstrings of the public API: complete, and their examples run."""

import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from enum import Enum

import pytest

from panda_ioc.validation import Checked

PACKAGES = ("panda_ioc.simulator", "panda_ioc.trial")

#: Packages whose examples need a PandA: tests/docs/test_api.py runs them.
WITH_PANDA = (
    "panda_ioc.protocol",
    "panda_ioc.client",
    "panda_ioc.settings",
    "panda_ioc.capture",
    "panda_ioc.capture.acquisitions",
    "panda_ioc.capture.columns",
    "panda_ioc.capture.hdf",
    "panda_ioc.capture.options",
    "panda_ioc.capture.pipeline",
    "panda_ioc.capture.samples",
)

#: Sections of a docstring that describe parameters and fields.
_SECTION = re.compile(r"^(?:Args|Attributes):\n((?:    .*\n|\n)+)", re.MULTILINE)


def public(package: str) -> Iterator[tuple[str, object]]:
    """Yield the classes and functions that a package exports, and the public methods that the classes define."""
    module = importlib.import_module(package)
    for name in module.__all__:
        exported = getattr(module, name)
        if not inspect.isclass(exported) and not inspect.isfunction(exported):
            continue
        yield name, exported
        for attribute, method in vars(exported).items() if inspect.isclass(exported) else ():
            if inspect.isfunction(inspect.unwrap(method)) and not attribute.startswith("_"):
                yield f"{name}.{attribute}", method


def described(documentation: str) -> set[str]:
    """Return the names that the sections for parameters and attributes list."""
    lines = "".join(_SECTION.findall(f"{documentation}\n"))
    listed = re.findall(r"^    ([\w*][\w*, ]*):", lines, re.MULTILINE)
    return {name.lstrip("*") for names in listed for name in names.split(", ")}


@pytest.mark.parametrize("package", [*PACKAGES, *WITH_PANDA])
def test_every_parameter_is_described(package: str) -> None:
    missing = []
    for name, exported in public(package):
        documentation = inspect.getdoc(exported) or ""
        if inspect.isclass(exported) and issubclass(exported, Checked):
            parameters = set(exported.__struct_fields__)
        elif inspect.isclass(exported) and issubclass(exported, Exception | Enum):
            parameters = set()
        else:
            parameters = set(inspect.signature(exported).parameters) - {"self"}  # type: ignore[arg-type]
        undescribed = parameters - described(documentation)
        # A sentence may say all there is to say of a single parameter.
        if not documentation or (undescribed and (len(parameters) > 1 or inspect.isclass(exported))):
            missing.append(f"{name}: {', '.join(sorted(undescribed)) or 'no docstring'}")
    assert missing == []


@pytest.mark.parametrize("package", PACKAGES)
def test_examples_run(package: str) -> None:
    module = importlib.import_module(package)
    names = {name: getattr(module, name) for name in module.__all__}
    finder = doctest.DocTestFinder(exclude_empty=True, recurse=False)
    runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    for name, documented in [("package", module), *public(package)]:
        for example in finder.find(documented, name, module=False, globs=dict(names)):
            runner.run(example)
    assert runner.summarize(verbose=False).attempted > 0
    assert runner.failures == 0


@pytest.mark.parametrize("package", [*PACKAGES, *WITH_PANDA])
def test_all_is_sorted_and_there(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
