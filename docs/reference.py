"""Write reference.md, from the code itself: python docs/reference.py.

A test holds that what is committed is what this writes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from panda_ioc.cli import main
from panda_ioc.ioc.plan.data_settings import SETTINGS
from panda_ioc.ioc.plan.record import Access, Record
from panda_ioc.ioc.plan.rules import RULES, FieldRef, field_records
from panda_ioc.ioc.process.config import Config
from panda_ioc.ioc.process.monitoring import METRICS
from panda_ioc.protocol import (
    BitMuxFieldInfo,
    EnumFieldInfo,
    ExtOutFieldInfo,
    FieldInfo,
    PosMuxFieldInfo,
    PosOutFieldInfo,
    TimeFieldInfo,
)

PAGE = Path(__file__).with_name("reference.md")

_HEAD = """# Reference

<!-- Written by docs/reference.py, from the code: change that, and run `python docs/reference.py`. -->

What is here is taken from the code. What it means is told in [records.md](records.md), [capture.md](capture.md) and
[operation.md](operation.md).
"""

_LABELS = ("A", "B", "C")
_CAPTURES = ("No", "Value", "Diff", "Sum", "Mean", "Min", "Max")
_ACCESS = {Access.READ: "r", Access.WRITE: "w", Access.READ_WRITE: "rw", Access.EXECUTE: "x"}


def _field(kind: str, subtype: str | None) -> FieldInfo:
    """A field of a type as a PandA has it."""
    if "time" in {kind, subtype}:
        return TimeFieldInfo(kind, subtype, unit_labels=("min", "s", "ms", "us"))
    if subtype == "enum":
        return EnumFieldInfo(kind, subtype, labels=_LABELS)
    if kind == "bit_mux":
        return BitMuxFieldInfo(kind, subtype, labels=_LABELS, max_delay=31)
    if kind == "pos_mux":
        return PosMuxFieldInfo(kind, subtype, labels=_LABELS)
    if kind == "pos_out":
        return PosOutFieldInfo(kind, subtype, capture_labels=_CAPTURES)
    if kind == "ext_out":
        return ExtOutFieldInfo(kind, subtype, capture_labels=_CAPTURES[:2])
    return FieldInfo(kind, subtype)


def _field_types() -> Iterator[str]:
    yield "\n## Records of each type of field\n"
    yield "By the table in `panda_ioc.ioc.plan.rules`. `FIELD` is `PREFIX:BLOCK:NAME`; an enum here has three labels."
    yield "Tables are served by other rules: see [records.md](records.md#tables).\n"
    yield "| type | record | kind | access |\n|---|---|---|---|"
    for (kind, subtype), rules in RULES.items():
        if rules:
            records = field_records(FieldRef("BLOCK", "NAME", _field(kind, subtype)))
            yield from (_row(f"`{kind} {subtype or ''}`".replace(" `", "`"), record) for record in records)
    unknown = field_records(FieldRef("BLOCK", "NAME", FieldInfo("param", "never heard of")))
    yield from (_row("any other", record) for record in unknown)


def _row(kind: str, record: Record) -> str:
    name = record.name.replace("BLOCK:NAME", "FIELD", 1)
    return f"| {kind} | `{name}` | `{record.kind.value}` | {_ACCESS[record.access]} |"


def _settings() -> Iterator[str]:
    yield "\n## Settings of captures\n"
    yield "| record | kind | at first | what it is |\n|---|---|---|---|"
    for setting in SETTINGS:
        initial = setting.labels[int(setting.initial)] if setting.labels else setting.initial
        units = f" {setting.units}" if setting.units else ""
        shown = f"`{initial}`{units}" if initial != "" else "nothing"
        yield f"| `DATA:{setting.name}` | `{setting.kind.value}` | {shown} | {setting.description} |"


def _keys(model: type[BaseModel], where: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, f"{where}{name}.")
            continue
        default = field.get_default(call_default_factory=True)
        told = "must be given" if default is PydanticUndefined else "nothing" if default is None else f"`{default}`"
        if default in ((), {}):
            told = "nothing"
        yield f"| `{where}{name}` | {told} | {field.description} |"


def _configuration() -> Iterator[str]:
    yield "\n## Configuration\n"
    yield "Keys of the YAML file; `panda-ioc schema` prints them as a JSON schema.\n"
    yield "| key | if not given | what it is |\n|---|---|---|"
    yield from _keys(Config)


def _metrics() -> Iterator[str]:
    yield "\n## Metrics\n"
    yield "| name | kind | what it is |\n|---|---|---|"
    for metric in METRICS.values():
        yield f"| `{metric.name}{'_total' if metric.kind == 'counter' else ''}` | {metric.kind} | {metric.meaning} |"


def _commands() -> Iterator[str]:
    yield "\n## Commands"
    for name, command in sorted(main.commands.items()):
        context = click.Context(command, info_name=f"panda-ioc {name}", terminal_width=100, max_content_width=100)
        context.help_option_names = ["-h", "--help"]
        yield f"\n### panda-ioc {name}\n\n```text\n{command.get_help(context)}\n```"


def text() -> str:
    """The page."""
    parts = (_field_types(), _settings(), _configuration(), _metrics(), _commands())
    return "\n".join([_HEAD.rstrip(), *(line for part in parts for line in part)]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
