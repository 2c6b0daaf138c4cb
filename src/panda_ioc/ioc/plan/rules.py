"""Plan the records of a field: a table that maps each field type to a few record rules.

A rule is a function that returns one record of a field. To serve a new field type, write its rules and add a line to
`RULES`; a type without a line is served as text.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from ...protocol import (
    BitMuxFieldInfo,
    EnumFieldInfo,
    ExtOutFieldInfo,
    FieldInfo,
    PosOutFieldInfo,
    ScalarFieldInfo,
    TimeFieldInfo,
    UintFieldInfo,
)
from .codecs import (
    BIT,
    OTHER,
    SIGNED,
    TEXT,
    VERBATIM,
    ActionCodec,
    CaptureChoiceCodec,
    CapturesCodec,
    ChoiceCodec,
    Codec,
    CoefficientCodec,
    FloatCodec,
    IntCodec,
    LabelCodec,
    ScaledCodec,
    TimeCodec,
    digits_for,
)
from .data_settings import SERVICE as DATA
from .record import (
    DESC_BYTES,
    EGU_BYTES,
    LABEL_BYTES,
    MAX_CHOICES,
    STRING_BYTES,
    Access,
    Kind,
    Record,
)

#: Records that list the choices of the multiplexers; all multiplexers of a type have the same choices.
BIT_CHOICES = "BITS:CHOICES"
POSITION_CHOICES = "POSITIONS:CHOICES"

_ACCESS = {"read": Access.READ, "write": Access.WRITE}


@dataclass(frozen=True)
class FieldRef:
    """A reference to a field of a block instance.

    Attributes:
        instance: "PULSE1"
        field: "DELAY"
        info: type and attributes of the field
    """

    instance: str
    field: str
    info: FieldInfo

    @property
    def name(self) -> str:
        """The name of its record, "PULSE1:DELAY"."""
        return f"{self.instance}:{self.field}"

    @property
    def source(self) -> str:
        """The name on the PandA, "PULSE1.DELAY"."""
        return f"{self.instance}.{self.field}"

    @property
    def access(self) -> Access:
        """The access that its type allows."""
        return _ACCESS.get(self.info.type, Access.READ_WRITE)


RecordRule = Callable[[FieldRef], Record]


def _value(ref: FieldRef, kind: Kind, codec: Codec) -> Record:
    """Return the record of the field's value."""
    return Record(
        ref.name,
        kind,
        ref.info.description,
        codec,
        sources=() if ref.access is Access.WRITE else (ref.source,),
        target=ref.source if kind.is_out else None,
        access=ref.access if kind.is_out else Access.READ,
        block=ref.instance,
    )


def _attribute(ref: FieldRef, attribute: str, kind: Kind, codec: Codec, description: str) -> Record:
    """Return the record of an attribute of the field, which clients can read and write."""
    source = f"{ref.source}.{attribute}"
    return Record(
        f"{ref.name}:{attribute}",
        kind,
        description,
        codec,
        sources=(source,),
        target=source,
        access=Access.READ_WRITE,
        block=ref.instance,
    )


def _kind(ref: FieldRef, read: Kind, write: Kind) -> Kind:
    return read if ref.access is Access.READ else write


def _uint(ref: FieldRef) -> Record:
    maximum = ref.info.max_value if isinstance(ref.info, UintFieldInfo) else 2**32 - 1
    record = _value(ref, _kind(ref, Kind.AI, Kind.AO), IntCodec(0, maximum))
    return replace(record, low=0, high=maximum, precision=0)


def _int(ref: FieldRef) -> Record:
    return _value(ref, _kind(ref, Kind.LONGIN, Kind.LONGOUT), SIGNED)


def _scalar(ref: FieldRef) -> Record:
    units, scale = (ref.info.units, ref.info.scale) if isinstance(ref.info, ScalarFieldInfo) else ("", 1.0)
    record = _value(ref, _kind(ref, Kind.AI, Kind.AO), FloatCodec())
    return replace(record, units=units, precision=digits_for(scale, 2))


def _bit(ref: FieldRef) -> Record:
    return replace(_value(ref, _kind(ref, Kind.BI, Kind.BO), BIT), labels=("0", "1"))


def _action(ref: FieldRef) -> Record:
    record = _value(ref, Kind.BO, ActionCodec())
    return replace(record, access=Access.EXECUTE, labels=("", ""))


def _lut(ref: FieldRef) -> Record:
    return _value(ref, _kind(ref, Kind.STRINGIN, Kind.STRINGOUT), TEXT)


def _enum(ref: FieldRef) -> Record:
    labels = ref.info.labels if isinstance(ref.info, EnumFieldInfo) else ()
    if ref.access is Access.READ:
        # Served as text for compatibility; a label may also be longer than an mbbi state string.
        record = replace(_value(ref, Kind.STRINGIN, VERBATIM), labels=labels)
        return replace(record, healthy="OK") if ref.field == "HEALTH" else record
    return _chosen(_value(ref, Kind.MBBO, ChoiceCodec(labels)), labels)


def _time(ref: FieldRef) -> Record:
    record = _value(ref, _kind(ref, Kind.AI, Kind.AO), TimeCodec())
    return replace(record, units_source=f"{ref.source}.UNITS")


def _time_units(ref: FieldRef) -> Record:
    labels = ref.info.unit_labels if isinstance(ref.info, TimeFieldInfo) else ()
    record = _attribute(ref, "UNITS", Kind.MBBO, ChoiceCodec(labels), "Units of the time")
    return _chosen(record, labels)


def _bit_out(ref: FieldRef) -> Record:
    record = _value(ref, Kind.BI, BIT)
    return replace(record, labels=("0", "1"), pulses=True)


def _bit_mux(ref: FieldRef) -> Record:
    labels = ref.info.labels if isinstance(ref.info, EnumFieldInfo) else ()
    return replace(_value(ref, Kind.STRINGOUT, LabelCodec(labels)), labels=labels, choices_record=BIT_CHOICES)


def _pos_mux(ref: FieldRef) -> Record:
    labels = ref.info.labels if isinstance(ref.info, EnumFieldInfo) else ()
    return replace(_value(ref, Kind.STRINGOUT, LabelCodec(labels)), labels=labels, choices_record=POSITION_CHOICES)


def _delay(ref: FieldRef) -> Record:
    maximum = ref.info.max_delay if isinstance(ref.info, BitMuxFieldInfo) else 31
    record = _attribute(ref, "DELAY", Kind.LONGOUT, IntCodec(0, maximum), "Delay in ticks of the FPGA clock")
    return replace(record, low=0, high=maximum)


def _position(ref: FieldRef) -> Record:
    return _value(ref, Kind.LONGIN, SIGNED)


def _scaled(ref: FieldRef) -> Record:
    source = ref.source
    return Record(
        f"{ref.name}:SCALED",
        Kind.AI,
        "Scaled position: raw x SCALE + OFFSET",
        ScaledCodec(),
        sources=(source, f"{source}.SCALE", f"{source}.OFFSET"),
        block=ref.instance,
        units_source=f"{source}.UNITS",
    )


def _scale(ref: FieldRef) -> Record:
    return _attribute(ref, "SCALE", Kind.AO, CoefficientCodec(), "Size of one count in UNITS")


def _offset(ref: FieldRef) -> Record:
    return _attribute(ref, "OFFSET", Kind.AO, CoefficientCodec(), "Position in UNITS at count 0")


def _units(ref: FieldRef) -> Record:
    return _attribute(ref, "UNITS", Kind.STRINGOUT, TEXT, "Units of the scaled position")


def _capture(ref: FieldRef) -> Record:
    labels = ref.info.capture_labels if isinstance(ref.info, PosOutFieldInfo | ExtOutFieldInfo) else ()
    record = _attribute(ref, "CAPTURE", Kind.MBBO, ChoiceCodec(labels), "What PCAP captures of this field")
    if len(labels) <= 2:
        return _chosen(record, labels)
    # A PandA accepts and reports every combination of options, also those without a label.
    if len(labels) < MAX_CHOICES:
        return replace(record, codec=CaptureChoiceCodec(labels), labels=(*labels, OTHER))
    return replace(record, kind=Kind.STRINGOUT, codec=CapturesCodec(labels), labels=labels)


def _dataset(ref: FieldRef) -> Record:
    return Record(
        f"{ref.name}:DATASET",
        Kind.STRINGOUT,
        "Dataset name in files (default: field)",
        access=Access.READ_WRITE,
        block=ref.instance,
        service=DATA,
    )


def _unknown(ref: FieldRef) -> Record:
    """Return the record of a field of unknown type: text, writable if its type is param or write."""
    settable = ref.info.type in {"param", "write"}
    return _value(ref, Kind.STRINGOUT if settable else Kind.STRINGIN, TEXT)


def _chosen(record: Record, labels: Sequence[str]) -> Record:
    """Return the record of an enum: an mbbo, or text if there are more choices than an mbbo holds."""
    labels = tuple(labels)
    if 0 < len(labels) <= MAX_CHOICES:
        return replace(record, labels=labels)
    return replace(record, kind=Kind.STRINGOUT, codec=LabelCodec(labels) if labels else TEXT, labels=labels)


#: The rules for each subtype of `param`, `read` and `write`.
_SUBTYPES: Mapping[str, tuple[RecordRule, ...]] = {
    "uint": (_uint,),
    "int": (_int,),
    "scalar": (_scalar,),
    "bit": (_bit,),
    "lut": (_lut,),
    "enum": (_enum,),
    "time": (_time, _time_units),
}

#: The rules for each (type, subtype).
RULES: Mapping[tuple[str, str | None], tuple[RecordRule, ...]] = {
    **{(kind, subtype): rules for kind in ("param", "read", "write") for subtype, rules in _SUBTYPES.items()},
    ("write", "action"): (_action,),
    ("time", None): (_time, _time_units),
    ("bit_out", None): (_bit_out,),
    ("bit_mux", None): (_bit_mux, _delay),
    ("pos_mux", None): (_pos_mux,),
    ("pos_out", None): (_position, _scaled, _scale, _offset, _units, _capture, _dataset),
    ("ext_out", "timestamp"): (_capture, _dataset),
    ("ext_out", "samples"): (_capture, _dataset),
    ("ext_out", "bits"): (_capture, _dataset),
    ("table", None): (),
}


def field_records(ref: FieldRef) -> list[Record]:
    """Return all records of a field, including the companions for text that does not fit into an EPICS field."""
    rules = RULES.get((ref.info.type, ref.info.subtype), (_unknown,))
    records = [record for rule in rules for record in with_companions(rule(ref))]
    if records and len(ref.info.description.encode()) > DESC_BYTES:
        name, description = f"{ref.name}:DESCRIPTION", ref.info.description
        records.append(Record(name, Kind.TEXTIN, "Full description", block=ref.instance, constant=description))
    return records


def with_companions(record: Record) -> Iterator[Record]:
    """Yield a record and its companions, records for text that does not fit into its EPICS fields.

    `:TEXT` is the value as long text, writable if the record is; `:CHOICES` lists the full choices, one per line;
    `:UNITS` is the full text of the units.
    """
    if record.choices_record is None and (len(record.labels) > MAX_CHOICES or _longest(record.labels) > LABEL_BYTES):
        name, choices = f"{record.name}:CHOICES", "\n".join(record.labels)
        record = replace(record, choices_record=name)
        yield Record(name, Kind.TEXTIN, "All choices, one per line", block=record.block, constant=choices)
    yield record
    if len(record.units.encode()) > EGU_BYTES:
        yield Record(
            f"{record.name}:UNITS", Kind.TEXTIN, "Full text of the units", block=record.block, constant=record.units
        )
    if _loses_text(record):
        yield _text(record)


def _loses_text(record: Record) -> bool:
    """Return True if the record may have a value that it cannot show in full."""
    if isinstance(record.codec, CaptureChoiceCodec | CapturesCodec):
        return True
    if record.kind is Kind.MBBO:
        return _longest(record.labels) > LABEL_BYTES
    is_text = record.kind in {Kind.STRINGIN, Kind.STRINGOUT} and bool(record.sources)
    return is_text and (not record.labels or _longest(record.labels) > STRING_BYTES)


def _text(record: Record) -> Record:
    codec = record.codec
    if isinstance(codec, CaptureChoiceCodec):
        codec = CapturesCodec(codec.labels)
    elif isinstance(codec, ChoiceCodec):
        codec = LabelCodec(record.labels)
    kind = Kind.TEXTOUT if record.kind.is_out else Kind.TEXTIN
    return replace(record, name=f"{record.name}:TEXT", kind=kind, codec=codec, description="Full text of the value")


@cache
def _longest(labels: tuple[str, ...]) -> int:
    return max((len(label.encode()) for label in labels), default=0)
