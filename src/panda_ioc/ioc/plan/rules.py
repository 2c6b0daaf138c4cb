"""Which records a field becomes: a table from its type to a few small parts.

A part makes one record (or none) of the field at a `Place`. To serve a new type of field, write its parts
and add a line to `RULES`; a type without a line is served as text.
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

#: Records that list the choices of all multiplexers, which are the same for each.
BIT_CHOICES = "BITS:CHOICES"
POSITION_CHOICES = "POSITIONS:CHOICES"

_ACCESS = {"read": Access.READ, "write": Access.WRITE}


@dataclass(frozen=True)
class Place:
    """A field of an instance of a block.

    Attributes:
        instance: "PULSE1"
        field: "DELAY"
        info: what it is
    """

    instance: str
    field: str
    info: FieldInfo

    @property
    def name(self) -> str:
        """What its record is called: "PULSE1:DELAY"."""
        return f"{self.instance}:{self.field}"

    @property
    def source(self) -> str:
        """What it is called on the PandA: "PULSE1.DELAY"."""
        return f"{self.instance}.{self.field}"

    @property
    def access(self) -> Access:
        """What its type says that may be done with it."""
        return _ACCESS.get(self.info.type, Access.READ_WRITE)


Part = Callable[[Place], Record]


def _value(place: Place, kind: Kind, codec: Codec) -> Record:
    """The record of the field itself."""
    return Record(
        place.name,
        kind,
        place.info.description,
        codec,
        sources=() if place.access is Access.WRITE else (place.source,),
        target=place.source if kind.is_out else None,
        access=place.access if kind.is_out else Access.READ,
        block=place.instance,
    )


def _attribute(place: Place, attribute: str, kind: Kind, codec: Codec, description: str) -> Record:
    """The record of something about the field, which can be read and written."""
    source = f"{place.source}.{attribute}"
    return Record(
        f"{place.name}:{attribute}",
        kind,
        description,
        codec,
        sources=(source,),
        target=source,
        access=Access.READ_WRITE,
        block=place.instance,
    )


def _kind(place: Place, read: Kind, write: Kind) -> Kind:
    return read if place.access is Access.READ else write


def _uint(place: Place) -> Record:
    maximum = place.info.max_value if isinstance(place.info, UintFieldInfo) else 2**32 - 1
    record = _value(place, _kind(place, Kind.AI, Kind.AO), IntCodec(0, maximum))
    return replace(record, low=0, high=maximum, precision=0)


def _int(place: Place) -> Record:
    return _value(place, _kind(place, Kind.LONGIN, Kind.LONGOUT), SIGNED)


def _scalar(place: Place) -> Record:
    units, scale = (place.info.units, place.info.scale) if isinstance(place.info, ScalarFieldInfo) else ("", 1.0)
    record = _value(place, _kind(place, Kind.AI, Kind.AO), FloatCodec())
    return replace(record, units=units, precision=digits_for(scale, 2))


def _bit(place: Place) -> Record:
    return replace(_value(place, _kind(place, Kind.BI, Kind.BO), BIT), labels=("0", "1"))


def _action(place: Place) -> Record:
    record = _value(place, Kind.BO, ActionCodec())
    return replace(record, access=Access.EXECUTE, labels=("", ""))


def _lut(place: Place) -> Record:
    return _value(place, _kind(place, Kind.STRINGIN, Kind.STRINGOUT), TEXT)


def _enum(place: Place) -> Record:
    labels = place.info.labels if isinstance(place.info, EnumFieldInfo) else ()
    if place.access is Access.READ:
        # Text, as it has always been served; a label may be far longer than an mbbi holds.
        record = replace(_value(place, Kind.STRINGIN, VERBATIM), labels=labels)
        return replace(record, healthy="OK") if place.field == "HEALTH" else record
    return _chosen(_value(place, Kind.MBBO, ChoiceCodec(labels)), labels)


def _time(place: Place) -> Record:
    record = _value(place, _kind(place, Kind.AI, Kind.AO), TimeCodec())
    return replace(record, units_source=f"{place.source}.UNITS")


def _time_units(place: Place) -> Record:
    labels = place.info.unit_labels if isinstance(place.info, TimeFieldInfo) else ()
    record = _attribute(place, "UNITS", Kind.MBBO, ChoiceCodec(labels), "Units of the time")
    return _chosen(record, labels)


def _bit_out(place: Place) -> Record:
    record = _value(place, Kind.BI, BIT)
    return replace(record, labels=("0", "1"), pulses=True)


def _bit_mux(place: Place) -> Record:
    labels = place.info.labels if isinstance(place.info, EnumFieldInfo) else ()
    return replace(_value(place, Kind.STRINGOUT, LabelCodec(labels)), labels=labels, choices=BIT_CHOICES)


def _pos_mux(place: Place) -> Record:
    labels = place.info.labels if isinstance(place.info, EnumFieldInfo) else ()
    return replace(_value(place, Kind.STRINGOUT, LabelCodec(labels)), labels=labels, choices=POSITION_CHOICES)


def _delay(place: Place) -> Record:
    maximum = place.info.max_delay if isinstance(place.info, BitMuxFieldInfo) else 31
    record = _attribute(place, "DELAY", Kind.LONGOUT, IntCodec(0, maximum), "Delay in ticks of the FPGA clock")
    return replace(record, low=0, high=maximum)


def _position(place: Place) -> Record:
    return _value(place, Kind.LONGIN, SIGNED)


def _scaled(place: Place) -> Record:
    source = place.source
    return Record(
        f"{place.name}:SCALED",
        Kind.AI,
        "The position in its units",
        ScaledCodec(),
        sources=(source, f"{source}.SCALE", f"{source}.OFFSET"),
        block=place.instance,
        units_source=f"{source}.UNITS",
    )


def _scale(place: Place) -> Record:
    return _attribute(place, "SCALE", Kind.AO, CoefficientCodec(), "What one count is worth in UNITS")


def _offset(place: Place) -> Record:
    return _attribute(place, "OFFSET", Kind.AO, CoefficientCodec(), "Position in UNITS at a count of 0")


def _units(place: Place) -> Record:
    return _attribute(place, "UNITS", Kind.STRINGOUT, TEXT, "Units of the scaled position")


def _capture(place: Place) -> Record:
    labels = place.info.capture_labels if isinstance(place.info, PosOutFieldInfo | ExtOutFieldInfo) else ()
    record = _attribute(place, "CAPTURE", Kind.MBBO, ChoiceCodec(labels), "What PCAP captures of it")
    if len(labels) <= 2:
        return _chosen(record, labels)
    # A PandA takes and reports any combination, also those that it lists no label for.
    if len(labels) < MAX_CHOICES:
        return replace(record, codec=CaptureChoiceCodec(labels), labels=(*labels, OTHER))
    return replace(record, kind=Kind.STRINGOUT, codec=CapturesCodec(labels), labels=labels)


def _dataset(place: Place) -> Record:
    return Record(
        f"{place.name}:DATASET",
        Kind.STRINGOUT,
        "Its name in files, if not its own",
        access=Access.READ_WRITE,
        block=place.instance,
        service=DATA,
    )


def _unknown(place: Place) -> Record:
    """A type that this program has never heard of: text, which may be put if its name says so."""
    settable = place.info.type in {"param", "write"}
    return _value(place, Kind.STRINGOUT if settable else Kind.STRINGIN, TEXT)


def _chosen(record: Record, labels: Sequence[str]) -> Record:
    """An enum as an mbbo or, where that has too few choices, as text."""
    labels = tuple(labels)
    if 0 < len(labels) <= MAX_CHOICES:
        return replace(record, labels=labels)
    return replace(record, kind=Kind.STRINGOUT, codec=LabelCodec(labels) if labels else TEXT, labels=labels)


#: The parts for each subtype of `param`, `read` and `write`.
_SUBTYPES: Mapping[str, tuple[Part, ...]] = {
    "uint": (_uint,),
    "int": (_int,),
    "scalar": (_scalar,),
    "bit": (_bit,),
    "lut": (_lut,),
    "enum": (_enum,),
    "time": (_time, _time_units),
}

#: The parts for each (type, subtype).
RULES: Mapping[tuple[str, str | None], tuple[Part, ...]] = {
    **{(kind, subtype): parts for kind in ("param", "read", "write") for subtype, parts in _SUBTYPES.items()},
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


def field_records(place: Place) -> list[Record]:
    """All records of a field, with those that hold what does not fit into the others."""
    parts = RULES.get((place.info.type, place.info.subtype), (_unknown,))
    records = [record for part in parts for record in with_companions(part(place))]
    if records and len(place.info.description.encode()) > DESC_BYTES:
        name, description = f"{place.name}:DESCRIPTION", place.info.description
        records.append(Record(name, Kind.TEXTIN, "Full description", block=place.instance, constant=description))
    return records


def with_companions(record: Record) -> Iterator[Record]:
    """A record, and beside it what EPICS has no room for in it.

    `:TEXT` is the value as text of any length, which can be put where the record can; `:CHOICES` lists
    the choices in full, one in a line.
    """
    if record.choices is None and (len(record.labels) > MAX_CHOICES or _longest(record.labels) > LABEL_BYTES):
        name, choices = f"{record.name}:CHOICES", "\n".join(record.labels)
        record = replace(record, choices=name)
        yield Record(name, Kind.TEXTIN, "All choices, one in a line", block=record.block, constant=choices)
    yield record
    if len(record.units.encode()) > EGU_BYTES:
        yield Record(
            f"{record.name}:UNITS", Kind.TEXTIN, "Its units in full", block=record.block, constant=record.units
        )
    if _loses_text(record):
        yield _text(record)


def _loses_text(record: Record) -> bool:
    """Whether a record may have a value that it cannot show whole."""
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
    return replace(record, name=f"{record.name}:TEXT", kind=kind, codec=codec, description="The value in full")


@cache
def _longest(labels: tuple[str, ...]) -> int:
    return max((len(label.encode()) for label in labels), default=0)
