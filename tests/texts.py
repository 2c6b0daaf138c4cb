"""Print every text that users read, to be proofread from top to bottom: python -m tests.texts [FILE].

It has the help of the commands, the keys of the configuration, the metrics, the descriptions of all PVs of a PandABox,
and, file by file, the messages of the code: errors, log lines, output of commands, then all other sentences (alarms,
status texts, tooltips of screens). Messages are taken from the syntax tree, so each is listed whether or not a test
provokes it; "{...}" stands for a value.
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
from msgspec import Meta, Struct
from msgspec.inspect import is_struct_type
from msgspec.structs import fields

import panda_ioc
from panda_ioc.cli import main as commands
from panda_ioc.ioc.plan.plan import make_plan
from panda_ioc.ioc.process.config import Config
from panda_ioc.ioc.process.monitoring import METRICS

from .ioc.test_plan import pandabox

SOURCE = Path(panda_ioc.__file__).parent

#: Methods whose first argument is a line of the log.
_LOGGING = {"debug", "info", "warning", "error", "critical", "exception", "log", "tell", "_warn", "_say"}

#: Functions that print.
_PRINTING = {"echo", "print"}

#: Words of a text that is worth listing on its own: fewer are names, keys and formats.
_MIN_WORDS = 3

#: Labels of a PV that are listed; of more, the first ones.
_MAX_LABELS = 10

#: What only code has; texts with it are programs for screens, patterns, or templates.
_CODE = ("def ", "import ", "try:", "(?", "\\w", "record(", "<?xml", "<FONT", "<TR>", "<TABLE", "%(message)")


def texts() -> Iterator[str]:
    """Yield the lines of the report."""
    for title, lines in (
        ("COMMANDS", _commands()),
        ("CONFIGURATION", _configuration(Config)),
        ("METRICS", (f"{metric.name}: {metric.meaning}" for metric in METRICS.values())),
        ("DESCRIPTIONS OF PVS", _descriptions()),
        ("MESSAGES", _messages()),
    ):
        yield from ("", "=" * len(title), title, "=" * len(title), "")
        yield from lines


def _commands() -> Iterator[str]:
    everything: list[tuple[str, click.Command]] = [("panda-ioc", commands)]
    everything += [(f"panda-ioc {name}", command) for name, command in sorted(commands.commands.items())]
    for name, command in everything:
        context = click.Context(command, info_name=name, terminal_width=100, max_content_width=100)
        yield from (*command.get_help(context).splitlines(), "")


def _configuration(model: type[Struct], section: str = "") -> Iterator[str]:
    for key in fields(model):
        if is_struct_type(key.type):
            yield from _configuration(key.type, f"{section}{key.name}.")
        else:
            metas = (meta for meta in get_args(key.type) if isinstance(meta, Meta) and meta.description)
            yield from (f"{section}{key.name}: {meta.description}" for meta in metas)


def _descriptions() -> Iterator[str]:
    """Yield each description once, with the first PV that has it, and the labels of its choices."""
    model = pandabox()
    yield from (f"{block.name} (block): {block.info.description}" for block in model.blocks.values())
    plan = make_plan(model, "PANDA", designs=True)
    seen: dict[str, str] = {}
    for item in plan.items:
        labels = tuple(label for label in getattr(item, "labels", ()) if label)
        shown = labels if len(labels) <= _MAX_LABELS else (*labels[:3], f"... {len(labels)} in all")
        choices = f"  [{', '.join(shown)}]" if labels else ""
        seen.setdefault(item.description, f"{item.name}: {item.description}{choices}")
    yield from seen.values()


def _messages() -> Iterator[str]:
    for path in sorted(SOURCE.rglob("*.py")):
        found = sorted(set(_of_file(ast.parse(path.read_text(encoding="utf-8")))))
        if found:
            yield f"--- {path.relative_to(SOURCE)}"
            yield from (f"{number:5} {kind}: {text}" for number, kind, text in found)


def _of_file(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Yield line, kind and text of each message of a file."""
    _Parents().visit(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant | ast.JoinedStr) or _is_part(node):
            continue
        text = _text(node)
        kind = _kind(node)
        enough = len(text.split()) >= (_MIN_WORDS if kind == "text" else 1)
        if text.strip() and enough and kind != "pattern" and not any(code in text for code in _CODE):
            yield node.lineno, kind, " ".join(text.split())


class _Parents(ast.NodeVisitor):
    """Gives each node its parent, as `parent`."""

    def generic_visit(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            child.parent = node  # type: ignore[attr-defined]
        super().generic_visit(node)


def _parents(node: ast.AST) -> Iterator[ast.AST]:
    while (parent := getattr(node, "parent", None)) is not None:
        yield parent
        node = parent


def _is_part(node: ast.AST) -> bool:
    """Return True for parts of an f-string, for docstrings, and for annotations in quotes."""
    above = list(_parents(node))
    return (
        any(isinstance(parent, ast.JoinedStr | ast.FormattedValue) for parent in above)
        or isinstance(above[0], ast.Expr)
        or any(node is annotation for annotation in _annotations(above[0]))
    )


def _annotations(node: ast.AST) -> Iterator[ast.AST | None]:
    yield getattr(node, "annotation", None)
    yield getattr(node, "returns", None)


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(map(_part, node.values))


def _part(part: ast.expr) -> str:
    if not isinstance(part, ast.FormattedValue):
        return str(ast.literal_eval(part))
    return f"{{{ast.unparse(part.value)}{'!r' if part.conversion == ord('r') else ''}}}"


def _kind(node: ast.AST) -> str:
    """Return the use of a text: the exception that is raised with it, "log", "output", "pattern", or "text"."""
    child = node
    for parent in _parents(node):
        if isinstance(parent, ast.Subscript | ast.Compare | ast.FunctionDef | ast.AsyncFunctionDef):
            break
        if isinstance(parent, ast.Call) and child is not parent.func:
            name = _name(parent.func)
            if name == "compile":
                return "pattern"
            if name in _LOGGING:
                return "log"
            if name in _PRINTING:
                return "output"
            if any(isinstance(above, ast.Raise) for above in _parents(parent)) and name[:1].isupper():
                return name
        child = parent
    return "text"


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def main() -> None:
    """Write the report to a file, or to standard output."""
    parser = argparse.ArgumentParser(description="Write every text that users read.")
    parser.add_argument("file", nargs="?", type=Path, help="file to write; standard output if not given")
    report = "\n".join(texts()) + "\n"
    file = parser.parse_args().file
    if file is None:
        sys.stdout.write(report)
    else:
        file.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
