"""Which codec, access and attributes each type of field has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..protocol import ChangeGroup
from .codecs import Action, Bit, Choice, Codec, Lut, Scalar, Signed, Time, Unsigned
from .fields import Attribute, Field, Value
from .numbers import TIME_UNITS, Refused, format_float, parse_float, parse_integer
from .spec import DeviceError, FieldSpec

#: Longest times: 48 bits of ticks where a time has two registers, 32 where it is a plain parameter.
_LONG_TIME = 2**48 - 1
_SHORT_TIME = 2**32 - 1


@dataclass(frozen=True)
class Buses:
    """What can be chosen and captured: the entries of the two buses, and the ways to capture a position."""

    bits: Sequence[str]
    positions: Sequence[str]
    captures: Sequence[str]

    @property
    def capture_labels(self) -> list[str]:
        """The ways to capture a position that have a name of their own; any other combination works too."""
        combinations = (
            "No",
            "Value",
            "Diff",
            "Sum",
            "Mean",
            "Min",
            "Max",
            "Min Max",
            "Min Max Mean",
            "StdDev",
            "Mean StdDev",
        )
        return [name for name in combinations if name == "No" or set(name.split()) <= set(self.captures)]


#: Access by the first word of the type: readable, writeable, and the group of changes.
_ACCESS: dict[str, tuple[bool, bool, ChangeGroup | None]] = {
    "param": (True, True, ChangeGroup.CONFIG),
    "time": (True, True, ChangeGroup.CONFIG),
    "bit_mux": (True, True, ChangeGroup.CONFIG),
    "pos_mux": (True, True, ChangeGroup.CONFIG),
    "read": (True, False, ChangeGroup.READ),
    "write": (False, True, None),
    "bit_out": (True, False, ChangeGroup.BITS),
    "pos_out": (True, False, ChangeGroup.POSN),
    "ext_out": (False, False, None),
}

#: The codec by the subtype, or by the type where there is no subtype.
_CODECS: dict[str, Callable[[FieldSpec, Buses], Codec]] = {
    "uint": lambda spec, _: Unsigned(spec.max),
    "int": lambda *_: Signed(),
    "scalar": lambda spec, _: Scalar(spec.scale, spec.offset),
    "bit": lambda *_: Bit(),
    "action": lambda *_: Action(),
    "lut": lambda *_: Lut(),
    "enum": lambda spec, _: Choice(spec.labels),
    "time": lambda spec, _: Time(_LONG_TIME if spec.type == "time" else _SHORT_TIME),
    "bit_out": lambda *_: Bit(),
    "pos_out": lambda *_: Signed(),
    "bit_mux": lambda _, buses: Choice([*buses.bits, "ZERO", "ONE"]),
    "pos_mux": lambda _, buses: Choice([*buses.positions, "ZERO"]),
}


def make_field(name: str, spec: FieldSpec, buses: Buses, changed: Callable[[str], None]) -> Field:
    """Make a field with all its attributes, in the state that a PandA is switched on with.

    Args:
        name: "PULSE1.DELAY"
        spec: what it is
        buses: what can be chosen and captured
        changed: is called with the name of what changed, "PULSE1.DELAY" or "PULSE1.DELAY.UNITS"
    """
    readable, writeable, group = _ACCESS[spec.kind]
    make_codec = _CODECS.get(spec.subtype or spec.kind)
    codec = make_codec(spec, buses) if make_codec else None
    field = Field(name, spec, codec, readable, writeable, group, changed)
    if isinstance(codec, Choice):
        field.labels = codec.labels
        field.raw = codec.labels.index("ZERO") if spec.kind.endswith("_mux") else 0
    if codec is not None and spec.value is not None:
        try:
            field.raw = codec.parse(spec.value)
        except Refused as refused:
            raise DeviceError(f"{name} cannot be {spec.value!r}: {refused}") from refused
    for make in _ATTRIBUTES.get(spec.type) or _ATTRIBUTES.get(spec.subtype or spec.kind, ()):
        field.attributes.update(make(field, buses))
    field.attributes["INFO"] = Attribute(lambda: spec.type)
    return field


Attributes = dict[str, Attribute]


def _max(field: Field, _buses: Buses) -> Attributes:
    return {"MAX": Attribute(lambda: str(field.spec.max))}


def _raw(field: Field, _buses: Buses) -> Attributes:
    def read() -> Value:
        field.read()  # refused where the value is
        return str(field.raw)

    return {"RAW": Attribute(read)}


def _fixed_scaling(field: Field, _buses: Buses) -> Attributes:
    spec = field.spec
    return {
        "UNITS": Attribute(lambda: spec.units),
        "SCALE": Attribute(lambda: format_float(spec.scale)),
        "OFFSET": Attribute(lambda: format_float(spec.offset)),
    }


def _time_units(field: Field, _buses: Buses) -> Attributes:
    codec = field.codec
    assert isinstance(codec, Time)  # noqa: S101 - by the table of types

    def write(text: str) -> None:
        if text not in TIME_UNITS:
            raise Refused("Invalid enumeration value")
        codec.units = text
        field.changed(f"{field.name}.UNITS")
        field.changed(field.name)  # the same time now reads differently

    return {"UNITS": Attribute(lambda: codec.units, write, labels=tuple(TIME_UNITS), reported=True)}


def _delay(field: Field, _buses: Buses) -> Attributes:
    delay = 0

    def write(text: str) -> None:
        nonlocal delay
        value = parse_integer(text)
        if not 0 <= value <= field.spec.max_delay:
            raise Refused("Number out of range")
        delay = value
        field.changed(f"{field.name}.DELAY")
        field.on_write(field)

    return {
        "DELAY": Attribute(lambda: str(delay), write, reported=True),
        "MAX_DELAY": Attribute(lambda: str(field.spec.max_delay)),
    }


def _bit_place(field: Field, buses: Buses) -> Attributes:
    place = buses.bits.index(field.name)
    return {
        "CAPTURE_WORD": Attribute(lambda: f"PCAP.BITS{place // 32}"),
        "OFFSET": Attribute(lambda: str(place % 32)),
    }


def _bits(field: Field, buses: Buses) -> Attributes:
    names = [*buses.bits, *[""] * 128][field.spec.word * 32 :][:32]
    return {"BITS": Attribute(lambda: names)}


def _scaling(field: Field, _buses: Buses) -> Attributes:
    scale, offset, units = 1.0, 0.0, ""

    def write_scale(text: str) -> None:
        nonlocal scale
        scale = parse_float(text)
        field.changed(f"{field.name}.SCALE")

    def write_offset(text: str) -> None:
        nonlocal offset
        offset = parse_float(text)
        field.changed(f"{field.name}.OFFSET")

    def write_units(text: str) -> None:
        nonlocal units
        units = text
        field.changed(f"{field.name}.UNITS")

    return {
        "SCALE": Attribute(lambda: format_float(scale), write_scale, reported=True),
        "OFFSET": Attribute(lambda: format_float(offset), write_offset, reported=True),
        "UNITS": Attribute(lambda: units, write_units, reported=True),
        "SCALED": Attribute(lambda: format_float(field.raw * scale + offset)),
    }


def _capture_position(field: Field, buses: Buses) -> Attributes:
    return _capture(field, buses.capture_labels, buses.captures)


def _capture_value(field: Field, _buses: Buses) -> Attributes:
    return _capture(field, ("No", "Value"), ("Value",))


def _capture(field: Field, labels: Sequence[str], options: Sequence[str]) -> Attributes:
    chosen = "No"

    def write(text: str) -> None:
        nonlocal chosen
        words = [] if text in {"", "No"} else text.split(" ")
        if any(word not in options for word in words) or len(set(words)) < len(words):
            raise Refused("Invalid capture option")
        order = ("Value", "Diff", "Sum", "Min", "Max", "Mean", "StdDev")
        chosen = " ".join(sorted(words, key=order.index)) or "No"
        field.changed(f"{field.name}.CAPTURE")

    return {"CAPTURE": Attribute(lambda: chosen, write, labels=labels, reported=True)}


#: The attributes of each type, or else of each subtype, besides INFO.
_ATTRIBUTES: dict[str, tuple[Callable[[Field, Buses], Attributes], ...]] = {
    "uint": (_max,),
    "scalar": (_fixed_scaling, _raw),
    "lut": (_raw,),
    "time": (_time_units, _raw),
    "bit_out": (_bit_place,),
    "pos_out": (_scaling, _capture_position),
    "ext_out timestamp": (_capture_value,),
    "ext_out samples": (_capture_value,),
    "ext_out bits": (_capture_value, _bits),
    "bit_mux": (_delay,),
}
