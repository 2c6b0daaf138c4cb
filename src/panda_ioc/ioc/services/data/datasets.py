"""Which datasets a file would have now: what is chosen for capture on the PandA, as its data port will tell it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ....capture.columns import GATE, Column, stored_columns
from ....protocol import FieldCapture, StartData
from ...plan.model import Model

#: The type of a column in raw data, by what is captured; bits and time stamps have their own.
_TYPES = {"Sum": "int64", "Mean": "int64", "StdDev": "int96"}
_SUBTYPES = {"bits": "uint32", "timestamp": "int64", "samples": "int32"}

#: Columns come by type: bits, 32-bit numbers, 64-bit numbers, means, deviations.
_ORDER = ("uint32", "int32", "int64", "int96")


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


def expected_columns(
    fields: tuple[Captured, ...], told: Callable[[str], str | None], names: Mapping[str, str], *, raw: bool
) -> list[Column]:
    """The columns of a file, were it begun now.

    Args:
        fields: see `capturable`
        told: what the PandA says of a key, such as "INENC1.VAL.CAPTURE"
        names: names that people gave to datasets, by field
        raw: whether integers are stored as they come

    Raises:
        CaptureError: no such file can be made
    """
    columns = sorted(_columns(fields, told), key=_rank)
    gate = FieldCapture("PCAP.GATE_DURATION", "Value", "int32", 8e-9, 0.0, "s")
    present = {column.column for column in columns}
    if GATE not in present and any(column.capture in {"Mean", "StdDev"} for column in columns):
        columns.insert(0, gate)
    start = StartData(tuple(columns), 0, "Raw", 0)
    return stored_columns(start, names, raw=raw, gate_captured=GATE in present) if columns else []


def dtype_name(column: Column) -> str:
    """The type of a dataset as DATASETS tells it: "float64"."""
    return str(column.dtype.base)


def _columns(fields: tuple[Captured, ...], told: Callable[[str], str | None]) -> Iterator[FieldCapture]:
    for field in fields:
        for capture in (told(f"{field.name}.CAPTURE") or "No").split():
            kind = _SUBTYPES.get(field.subtype) or _TYPES.get(capture, "int32")
            if capture != "No":
                scaling = (None, None) if field.subtype == "bits" else (1.0, 0.0)
                yield FieldCapture(field.name, capture, kind, *scaling)


def _rank(column: FieldCapture) -> tuple[int, bool]:
    return _ORDER.index(column.type), column.capture == "Mean"
