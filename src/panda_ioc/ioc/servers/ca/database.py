"""Generation of the EPICS database from the plan, which softioc loads.

The builder of softioc is not used: a text can be read and compared, and takes a tenth of the time, as the builder looks
up each field in the definition of its record type.
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

#: FTVL of an array by dtype. The memory of unused elements is not touched.
_ELEMENTS = {
    "i1": "CHAR", "u1": "UCHAR", "i2": "SHORT", "u2": "USHORT", "i4": "LONG", "u4": "ULONG",
    "i8": "INT64", "u8": "UINT64", "f4": "FLOAT", "f8": "DOUBLE", "str": "STRING",
}  # fmt: skip

_NUMBERS = {Kind.AI, Kind.AO, Kind.LONGIN, Kind.LONGOUT}
_LIMITED = {Kind.AO, Kind.LONGOUT}


def database(plan: Plan) -> str:
    """Return the database with all records of a plan."""
    return "".join(line for record in plan.records for line in _record(plan, record))


def text_length(record: Record) -> int:
    """Return the size of a long text in bytes, including the final NUL."""
    if isinstance(record.constant, str):
        return max(len(record.constant.encode(errors="replace")), 1) + 1
    return TEXT_BYTES


def texts_with_macros(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Yield record, field and text for texts with "$(", which a database would expand as macros."""
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
    yield "TSE", "-2"  # the IOC sets the time stamp, the same for all protocols
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
        yield "UDFS", "NO_ALARM"  # NaN is a valid value; the IOC sets the alarm of undefined values
    if record.kind in {Kind.LONGIN, Kind.AI}:
        yield "MDEL", "-1"  # monitors get every update, also with an unchanged value


def _device_type(kind: Kind) -> str:
    return _DEVICE_TYPES.get(kind, "Python")


#: Special characters of the database parser.
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *map(ord, '"\\'))}

#: A macro, which cannot be escaped. It is removed here, and the original text is set after the start of EPICS.
_MACRO = re.compile(r"\$(?=[({])")


def _quoted(text: str) -> str:
    """Return a quoted string for the database parser."""
    return f'"{_MACRO.sub("", text).translate(_ESCAPES)}"'
