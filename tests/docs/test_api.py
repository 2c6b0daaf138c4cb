"""The examples in the docstrings of the public API run against a simulated PandA."""

import asyncio
import doctest
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from panda_ioc.simulator import Server, load

from ..acquire import capture_counter, samples_on_arm

#: Public modules. `capture` reads the file that an example of `capture.pipeline` writes.
MODULES = (
    "panda_ioc.protocol",
    "panda_ioc.client",
    "panda_ioc.settings",
    "panda_ioc.capture.options",
    "panda_ioc.capture.acquisitions",
    "panda_ioc.capture.pipeline",
    "panda_ioc.capture",
)

#: Names with an example of their own: the main ones.
WITH_EXAMPLE = {
    "AsyncioClient",
    "BlockingClient",
    "Command",
    "ControlConnection",
    "DataConnection",
    "Get",
    "GetChanges",
    "Put",
    "PutTable",
    "SetState",
    "acquisitions",
    "compare",
    "parse",
    "read_columns",
    "samples",
    "words_to_columns",
    "write_files",
}


def documented(module: str) -> Iterator[tuple[str, object]]:
    """The public classes and functions of a module, and the public methods of the classes."""
    public = importlib.import_module(module)
    for name in public.__all__:
        exported = getattr(public, name)
        if inspect.isclass(exported) or inspect.isfunction(exported):
            yield name, exported
            methods = vars(exported) if inspect.isclass(exported) else {}
            yield from ((f"{name}.{m}", f) for m, f in methods.items() if inspect.isfunction(f) and m[0] != "_")


def examples(port: int, data_port: int) -> Iterator[doctest.DocTest]:
    """The examples, with the address of the simulated PandA for "panda.example"."""
    finder = doctest.DocTestFinder(recurse=False)
    for module in MODULES:
        public = importlib.import_module(module)
        names = {name: getattr(public, name) for name in public.__all__}
        for name, exported in documented(module):
            for test in finder.find(exported, name, module=False, globs=dict(names)):
                for example in test.examples:
                    example.source = re.sub(
                        r'\("panda\.example"\)', f'("127.0.0.1", {port}, {data_port})', example.source
                    )
                if test.examples:
                    yield test


async def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    failures: list[str] = []
    async with Server(load(), control_port=0, data_port=0) as panda:
        capture_counter(panda)
        samples_on_arm(panda, 500)
        found = list(examples(panda.control_port, panda.data_port))
        async with asyncio.timeout(60):
            for example in found:
                await asyncio.to_thread(runner.run, example, out=failures.append)
    assert not failures, "".join(failures)
    assert {example.name for example in found} >= WITH_EXAMPLE
