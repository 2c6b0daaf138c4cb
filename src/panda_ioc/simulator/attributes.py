"""The attributes of fields, such as UNITS, SCALE and CAPTURE.

`_OF_TYPE` lists the attributes of each type. Descriptions and errors are those of server 4.1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .codecs import Time, Unsigned
from .fields import Attribute, Field, Value
from .numbers import TIME_UNITS, Refused, format_float, parse_float

#: Length limit for reading units, in bytes; longer ones can be set.
_LONGEST_UNITS = 249

_CAPTURE = "Capture options"


@dataclass(frozen=True)
class Buses:
    """The entries of the two buses, and the ways to capture a position."""

    bits: Sequence[str]
    positions: Sequence[str]
    captures: Sequence[str]

    @property
    def capture_labels(self) -> list[str]:
        """Labels of the ways to capture a position; other combinations are accepted too."""
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


Attributes = dict[str, Attribute]


def _max(field: Field, _buses: Buses) -> Attributes:
    return {"MAX": Attribute("Maximum valid value for this field", lambda: str(field.spec.max))}


def _fixed_scaling(field: Field, _buses: Buses) -> Attributes:
    spec = field.spec
    return {
        "UNITS": Attribute("Units associated with value", lambda: spec.units),
        "SCALE": Attribute("Scaling from raw data to value", lambda: format_float(spec.scale)),
        "OFFSET": Attribute("Offset from scaled data to value", lambda: format_float(spec.offset)),
        "RAW": Attribute("Underlying integer value", lambda: str(_readable(field).raw)),
    }


def _table_bits(field: Field, _buses: Buses) -> Attributes:
    return {"RAW": Attribute("Bit pattern written to register", lambda: f"0x{_readable(field).raw:08X}")}


def _readable(field: Field) -> Field:
    """Return the field; raise Refused if it cannot be read."""
    field.read()
    return field


def _time(field: Field, _buses: Buses) -> Attributes:
    codec = field.codec
    assert isinstance(codec, Time)  # noqa: S101 - guaranteed by the table of types

    def write_units(text: str) -> None:
        if text not in TIME_UNITS:
            raise Refused("Invalid time units")
        codec.units = text
        field.changed(f"{field.name}.UNITS")
        field.changed(field.name)  # the same time now has another text

    def write_raw(text: str) -> None:
        field.set(codec.parse_raw(text))

    return {
        "UNITS": Attribute(
            "Units of time setting", lambda: codec.units, write_units, labels=tuple(TIME_UNITS), reported=True
        ),
        "RAW": Attribute("Time in ticks", lambda: str(_readable(field).raw), write_raw if field.writeable else None),
    }


def _delay(field: Field, _buses: Buses) -> Attributes:
    delay = 0
    codec = Unsigned(field.spec.max_delay, "Delay too long")

    def write(text: str) -> None:
        nonlocal delay
        delay = codec.parse(text)
        field.changed(f"{field.name}.DELAY")
        field.on_write(field)

    return {
        "DELAY": Attribute("Clock delay on input", lambda: str(delay), write, reported=True),
        "MAX_DELAY": Attribute("Maximum valid input delay", lambda: str(field.spec.max_delay)),
    }


def _bit_place(field: Field, buses: Buses) -> Attributes:
    place = buses.bits.index(field.name)
    return {
        "CAPTURE_WORD": Attribute("Name of field containing this bit", lambda: f"PCAP.BITS{place // 32}"),
        "OFFSET": Attribute("Position of this bit in captured word", lambda: str(place % 32)),
    }


def _bits(field: Field, buses: Buses) -> Attributes:
    names = [*buses.bits, *[""] * 128][field.spec.word * 32 :][:32]
    return {"BITS": Attribute("Enumerate bits captured in this word", lambda: names)}


def _scaling(field: Field, _buses: Buses) -> Attributes:
    scaling = field.scaling

    def number(name: str) -> tuple[Callable[[], Value], Callable[[str], None]]:
        def write(text: str) -> None:
            setattr(scaling, name.lower(), parse_float(text))
            field.changed(f"{field.name}.{name}")

        return lambda: format_float(getattr(scaling, name.lower())), write

    def write_units(text: str) -> None:
        scaling.units = text
        field.changed(f"{field.name}.UNITS")

    def scaled() -> Value:
        return format_float(_readable(field).raw * scaling.scale + scaling.offset)

    return {
        "SCALE": Attribute("Scale factor", *number("SCALE"), reported=True),
        "OFFSET": Attribute("Offset", *number("OFFSET"), reported=True),
        "UNITS": Attribute("Units string", lambda: scaling.units, write_units, reported=True, longest=_LONGEST_UNITS),
        "SCALED": Attribute("Value with scaling applied", scaled),
    }


def _capture_position(field: Field, buses: Buses) -> Attributes:
    """Accept any set of ways in any order; No and an empty text mean none."""
    chosen = "No"

    def write(text: str) -> None:
        nonlocal chosen
        words = [] if text == "No" else text.split()
        for word in words:
            if word not in buses.captures:
                raise Refused(f'Unknown capture option "{word}"')
        order = ("Value", "Diff", "Sum", "Min", "Max", "Mean", "StdDev")
        chosen = " ".join(sorted(set(words), key=order.index)) or "No"
        field.changed(f"{field.name}.CAPTURE")

    return {"CAPTURE": Attribute(_CAPTURE, lambda: chosen, write, labels=buses.capture_labels, reported=True)}


def _capture_value(field: Field, _buses: Buses) -> Attributes:
    """Accept one of two labels; unlike for a position, an empty text is refused."""
    chosen = "No"

    def write(text: str) -> None:
        nonlocal chosen
        if text not in {"No", "Value"}:
            raise Refused("Invalid capture option")
        chosen = text
        field.changed(f"{field.name}.CAPTURE")

    return {"CAPTURE": Attribute(_CAPTURE, lambda: chosen, write, labels=("No", "Value"), reported=True)}


def _info(field: Field, _buses: Buses) -> Attributes:
    return {"INFO": Attribute("Class information for field", lambda: field.spec.type)}


#: The attributes except for INFO, by type, or else by subtype.
_OF_TYPE: Mapping[str, tuple[Callable[[Field, Buses], Attributes], ...]] = {
    "uint": (_max,),
    "scalar": (_fixed_scaling,),
    "lut": (_table_bits,),
    "time": (_time,),
    "bit_out": (_bit_place,),
    "pos_out": (_scaling, _capture_position),
    "ext_out timestamp": (_capture_value,),
    "ext_out samples": (_capture_value,),
    "ext_out bits": (_capture_value, _bits),
    "bit_mux": (_delay,),
}


def make_attributes(field: Field, buses: Buses) -> Attributes:
    """Return the attributes of a field, in the power-on state of a PandA."""
    attributes: Attributes = {}
    makers = _OF_TYPE.get(field.spec.type) or _OF_TYPE.get(field.spec.subtype or field.spec.kind, ())
    for make in (*makers, _info):
        attributes.update(make(field, buses))
    return attributes
