"""Prediction of the datasets of the next file from the capture settings of the PandA."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from ....capture.columns import Column, stored_columns
from ....capture.options import ColumnOptions
from ....capture.scaling import GATE
from ....protocol import FieldCapture, StartData
from ...plan.model import Model

#: Types of columns in raw data by capture option, and by subtype for bits, time stamps and sample counts.
_TYPES = {"Sum": "int64", "Mean": "int64", "StdDev": "int96"}
_SUBTYPES = {"bits": "uint32", "timestamp": "int64", "samples": "int32"}

#: Order of columns in raw data: bits, 32-bit values, 64-bit values, means, deviations with the means of their fields.
_GROUPS = ("uint32", "int32", "int64", "Mean", "StdDev")


@dataclass(frozen=True)
class CapturableField:
    """A field that can be captured.

    Attributes:
        name: name of the field on the PandA
        subtype: subtype of the field; "" for a position
    """

    name: str
    subtype: str


def capturable(model: Model) -> tuple[CapturableField, ...]:
    """Return all fields that can be captured; those of PCAP are first."""
    found = [
        (info.type != "ext_out", CapturableField(f"{instance}.{field}", info.subtype or ""))
        for instance, field, info in model.fields()
        if info.type in {"pos_out", "ext_out"}
    ]
    return tuple(captured for _, captured in sorted(found, key=lambda pair: pair[0]))


def asked_columns(fields: Iterable[CapturableField], reported: Callable[[str], str | None]) -> frozenset[str]:
    """Return the columns selected for capture, such as "INENC1.VAL.Mean".

    Args:
        fields: see `capturable`
        reported: returns the last value that the PandA reported for a key such as "INENC1.VAL.CAPTURE"
    """
    return frozenset(f"{field.name}.{capture}" for field in fields for capture in _captures(field, reported))


def expected_columns(
    fields: Iterable[CapturableField], reported: Callable[[str], str | None], options: ColumnOptions
) -> list[Column]:
    """Return the columns of a file that would be started now.

    Args:
        fields: see `capturable`
        reported: returns the last value that the PandA reported for a key such as "INENC1.VAL.CAPTURE"
        options: options of the columns; `asked` is set by this function

    Raises:
        CaptureError: no file can be created with these options
    """
    fields = tuple(fields)
    grouped = [pair for field in fields for pair in _columns(field, reported)]
    columns = [column for _, column in sorted(grouped, key=lambda pair: _GROUPS.index(pair[0]))]
    if not columns:
        return []
    asked = asked_columns(fields, reported)
    if GATE not in asked and any(column.capture in {"Mean", "StdDev"} for column in columns):
        columns.insert(0, FieldCapture("PCAP.GATE_DURATION", "Value", "int32", 8e-9, 0.0, "s"))
    return stored_columns(StartData(tuple(columns), 0, "Raw", 0), replace(options, asked=asked))


def dtype_name(column: Column) -> str:
    """Return the type of a dataset as DATASETS shows it, such as "float64"."""
    return str(column.dtype.base)


def _captures(field: CapturableField, reported: Callable[[str], str | None]) -> list[str]:
    return [capture for capture in (reported(f"{field.name}.CAPTURE") or "").split() if capture != "No"]


def _columns(field: CapturableField, reported: Callable[[str], str | None]) -> Iterator[tuple[str, FieldCapture]]:
    """Yield group and column for each column of a field in raw data; StdDev always has Mean before it."""
    captures = _captures(field, reported)
    scaling = (None, None) if field.subtype == "bits" else (1.0, 0.0)
    for capture in captures:
        kind = _SUBTYPES.get(field.subtype) or _TYPES.get(capture, "int32")
        group = capture if capture in _GROUPS else kind
        if capture == "StdDev":
            yield group, FieldCapture(field.name, "Mean", "int64", *scaling)
        if capture != "Mean" or "StdDev" not in captures:
            yield group, FieldCapture(field.name, capture, kind, *scaling)
