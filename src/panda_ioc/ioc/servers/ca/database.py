"""The plan as the text of an EPICS database, which softioc loads.

Written here rather than with softioc's builder for two reasons: it is text that can be read and compared,
and it takes a tenth of the time (the builder looks up each field of each record in the record's definition).
"""

import re
from collections.abc import Iterator

from ...plan.archive import archive_hint
from ...plan.plan import Plan
from ...plan.record import DESC_BYTES, EGU_BYTES, TEXT_BYTES, Kind, Record, short_labels, shorten

#: Fields for the labels of an mbbi and mbbo, in order.
_LABEL_FIELDS = (
    "ZRST", "ONST", "TWST", "THST", "FRST", "FVST", "SXST", "SVST",
    "EIST", "NIST", "TEST", "ELST", "TVST", "TTST", "FTST", "FFST",
)  # fmt: skip

#: softioc's device type of each kind.
_DEVICE_TYPES = {
    Kind.TEXTIN: "PythonLongStringIn",
    Kind.TEXTOUT: "PythonLongStringOut",
    Kind.ARRAYOUT: "PythonWfOut",
}

#: What the elements of an array are called in EPICS. Its memory is not touched until there are so many.
_ELEMENTS = {
    "i1": "CHAR", "u1": "UCHAR", "i2": "SHORT", "u2": "USHORT", "i4": "LONG", "u4": "ULONG",
    "i8": "INT64", "u8": "UINT64", "f4": "FLOAT", "f8": "DOUBLE", "str": "STRING",
}  # fmt: skip

_NUMBERS = {Kind.AI, Kind.AO, Kind.LONGIN, Kind.LONGOUT}
_LIMITED = {Kind.AO, Kind.LONGOUT}


def database(plan: Plan) -> str:
    """Write all records of a plan."""
    return "".join(line for record in plan.records for line in _record(plan, record))


def text_length(record: Record) -> int:
    """Bytes that a long text has room for, with the NUL that ends it."""
    if isinstance(record.constant, str):
        return max(len(record.constant.encode(errors="replace")), 1) + 1
    return TEXT_BYTES


def texts_with_macros(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """The texts that a database cannot have as they are, as a dollar sign begins a macro: record, field, text."""
    for record in plan.records:
        if not any("$" in text for text in (record.description, record.units, *record.labels)):
            continue
        for field, value in _fields(record, plan.pv(record.name)):
            if _MACRO.search(value):
                yield record.name, field, value


def _record(plan: Plan, record: Record) -> Iterator[str]:
    pv = plan.pv(record.name)
    yield f"record({record.kind.record_type}, {_quoted(pv)}) {{\n"
    for field, value in _fields(record, pv):
        yield f"  field({field}, {_quoted(value)})\n"
    for alias in record.aliases:
        yield f"  alias({_quoted(plan.pv(alias))})\n"
    if hint := archive_hint(record):
        yield f"  info(archive, {_quoted(hint)})\n"
    yield "}\n"


def _fields(record: Record, pv: str) -> Iterator[tuple[str, str]]:
    kind = record.kind
    yield "DTYP", _device_type(kind)
    yield "OUT" if kind.is_out and kind.record_type != "waveform" else "INP", f"@{pv}"
    yield "TSE", "-2"  # the time stamp is that of what is posted, the same over all protocols
    if not kind.is_out:
        yield "DISP", "1"  # clients may not put
        yield "PINI", "YES"
    if record.description:
        yield "DESC", shorten(record.description, DESC_BYTES)
    if kind in {Kind.MBBI, Kind.MBBO}:
        yield from zip(_LABEL_FIELDS, short_labels(record.labels), strict=False)
    if kind in {Kind.BI, Kind.BO}:
        yield from zip(("ZNAM", "ONAM"), record.labels, strict=True)
    if kind.is_long_text:
        yield "FTVL", "CHAR"
        yield "NELM", str(text_length(record))
    if kind.is_array:
        yield "FTVL", _ELEMENTS[record.dtype]
        yield "NELM", str(max(record.length, 1))
    if kind in _NUMBERS or kind.is_array:
        yield from _number_fields(record)


def _number_fields(record: Record) -> Iterator[tuple[str, str]]:
    if record.units:
        yield "EGU", shorten(record.units, EGU_BYTES)
    if record.precision is not None:
        yield "PREC", str(record.precision)
    if record.low is not None and record.high is not None:
        yield "LOPR", str(record.low)
        yield "HOPR", str(record.high)
        if record.kind in _LIMITED:
            yield "DRVL", str(record.low)
            yield "DRVH", str(record.high)
    if record.kind is Kind.AI:
        yield "UDFS", "NO_ALARM"  # NaN is a value here; the alarm of one that is not known is ours
    if record.kind in {Kind.LONGIN, Kind.AI}:
        yield "MDEL", "-1"  # every update reaches monitors, also one that brings the same value


def _device_type(kind: Kind) -> str:
    return _DEVICE_TYPES.get(kind, "Python")


#: Characters that mean something to the database parser.
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *map(ord, '"\\'))}

#: What EPICS takes for a macro, and what cannot be hidden from it. The text is set once it has started.
_MACRO = re.compile(r"\$(?=[({])")


def _quoted(text: str) -> str:
    """A string as the database parser reads it back."""
    return f'"{_MACRO.sub("", text).translate(_ESCAPES)}"'
