"""reference/errors.md quotes messages as the code has them."""

import ast
import importlib
import re
from collections.abc import Iterator

import pytest

from .pages import ROOT

PAGE = ROOT / "docs" / "reference" / "errors.md"
SOURCE = ROOT / "src" / "panda_ioc"

#: Where exceptions of the library are found.
LIBRARIES = ("panda_ioc.protocol", "panda_ioc.client", "panda_ioc.capture.errors", "panda_ioc.capture.samples")


def texts(node: ast.AST) -> Iterator[str]:
    """Return the texts in a syntax tree, with a NUL for each value in an f-string."""
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        elif isinstance(child, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in child.values)


@pytest.fixture(scope="module")
def messages() -> str:
    """All texts of the code and of the simulated PandA, one in a line."""
    found = [text for path in SOURCE.rglob("*.py") for text in texts(ast.parse(path.read_text(encoding="utf-8")))]
    device = (SOURCE / "simulator" / "devices" / "pandabox.yaml").read_text(encoding="utf-8")
    return "\n".join([*(text.replace("\n", " ") for text in found), device])


def tables() -> Iterator[tuple[str, list[str]]]:
    """Return the head of each table of the page, and the first cells of its rows."""
    for table in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        head, _, *rows = table.splitlines()
        cells = [re.split(r"(?<!\\)\|", row)[1].strip().replace("\\|", "|") for row in rows]
        yield head.split("|")[1].strip(), cells


def test_each_message_is_one_of_the_code(messages: str) -> None:
    quoted = [
        text
        for head, cells in tables()
        if head in {"message", "reason", "text"}
        for cell in cells
        for text in re.findall(r"`([^`]+)`", cell)
    ]
    assert len(quoted) > 100
    unknown = [text for text in quoted if not re.search(pattern(text), messages)]
    assert not unknown, "not in the code: correct docs/reference/errors.md"


def pattern(quoted: str) -> str:
    """A pattern for a message: "…" is anything in the line."""
    return ".*".join(map(re.escape, quoted.split("…")))


def test_each_exception_is_one_of_the_library() -> None:
    (names,) = (cells for head, cells in tables() if head == "exception")
    there = {name for library in LIBRARIES for name in vars(importlib.import_module(library))}
    assert {name.strip("`") for name in names} <= there
