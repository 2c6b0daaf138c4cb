"""Which datasets a file would have now: what is chosen for capture on the PandA, as its data port will tell it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from ....capture.columns import Column, stored_columns
from ....capture.options import ColumnOptions
from ....capture.scaling import GATE
from ....protocol import FieldCapture, StartData
from ...plan.model import Model

#: The type of a column in raw data, by what is captured; bits and time stamps have their own.
_TYPES = {"Sum": "int64", "Mean": "int64", "StdDev": "int96"}
_SUBTYPES = {"bits": "uint32", "timestamp": "int64", "samples": "int32"}

#: Columns come in groups: bits, 32-bit numbers, 64-bit numbers, means, deviations with the means of their fields.
_GROUPS = ("uint32", "int32", "int64", "Mean", "StdDev")


@dataclass(frozen=True)
class Captured:
    """A field that can be captured: its name on the PandA, and its subtype, "" for a position."""

    name: str
    subtype: str


def capturable(model: Model) -> tuple[Captured, ...]:
    """All fields that can be captured; those of PCAP come first."""
    found = [
        (info.type != "ext_out", Captured(f"{instance}.{field}", info.subtype or ""))
        for instance, field, info in model.fields()
        if info.type in {"pos_out", "ext_out"}
    ]
    return tuple(captured for _, captured in sorted(found, key=lambda pair: pair[0]))


def asked_columns(fields: Iterable[Captured], told: Callable[[str], str | None]) -> frozenset[str]:
    """Return the columns that people chose for capture, such as "INENC1.VAL.Mean".

    Args:
        fields: see `capturable`
        told: what the PandA says of a key, such as "INENC1.VAL.CAPTURE"
    """
    return frozenset(f"{field.name}.{capture}" for field in fields for capture in _captures(field, told))


def expected_columns(
    fields: Iterable[Captured], told: Callable[[str], str | None], options: ColumnOptions
) -> list[Column]:
    """Return the columns of a file, were it begun now.

    Args:
        fields: see `capturable`
        told: what the PandA says of a key, such as "INENC1.VAL.CAPTURE"
        options: how columns are stored; `asked` is found here

    Raises:
        CaptureError: no such file can be made
    """
    fields = tuple(fields)
    grouped = [pair for field in fields for pair in _columns(field, told)]
    columns = [column for _, column in sorted(grouped, key=lambda pair: _GROUPS.index(pair[0]))]
    if not columns:
        return []
    asked = asked_columns(fields, told)
    if GATE not in asked and any(column.capture in {"Mean", "StdDev"} for column in columns):
        columns.insert(0, FieldCapture("PCAP.GATE_DURATION", "Value", "int32", 8e-9, 0.0, "s"))
    return stored_columns(StartData(tuple(columns), 0, "Raw", 0), replace(options, asked=asked))


def dtype_name(column: Column) -> str:
    """The type of a dataset as DATASETS tells it: "float64"."""
    return str(column.dtype.base)


def _captures(field: Captured, told: Callable[[str], str | None]) -> list[str]:
    return [capture for capture in (told(f"{field.name}.CAPTURE") or "").split() if capture != "No"]


def _columns(field: Captured, told: Callable[[str], str | None]) -> Iterator[tuple[str, FieldCapture]]:
    """Make the columns of a field in raw data with their groups: StdDev has Mean before it, asked for or not."""
    captures = _captures(field, told)
    scaling = (None, None) if field.subtype == "bits" else (1.0, 0.0)
    for capture in captures:
        kind = _SUBTYPES.get(field.subtype) or _TYPES.get(capture, "int32")
        group = capture if capture in _GROUPS else kind
        if capture == "StdDev":
            yield group, FieldCapture(field.name, "Mean", "int64", *scaling)
        if capture != "Mean" or "StdDev" not in captures:
            yield group, FieldCapture(field.name, capture, kind, *scaling)
