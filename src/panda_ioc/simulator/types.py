"""The codec, access and change group of each field type."""

from collections.abc import Callable

from ..protocol import ChangeGroup
from .attributes import Buses, make_attributes
from .codecs import Action, Bit, Choice, Codec, Lut, Scalar, Signed, Time, Unsigned
from .fields import Field
from .numbers import Refused
from .spec import DeviceError, FieldSpec

#: Longest times in ticks: `time` fields have two registers (48 bits), `param time` fields have one (32 bits).
_LONG_TIME = 2**48 - 1
_SHORT_TIME = 2**32 - 1

#: Access by the first word of the type: readable, writeable, change group.
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

#: The codec by subtype, or by type where there is no subtype.
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
    "bit_mux": lambda _, buses: Choice([*buses.bits, "ZERO", "ONE"], "Invalid bit bus selection"),
    "pos_mux": lambda _, buses: Choice([*buses.positions, "ZERO"], "Invalid position selection"),
}


def make_field(name: str, spec: FieldSpec, buses: Buses, changed: Callable[[str], None]) -> Field:
    """Return a field with all its attributes, in the power-on state of a PandA.

    Args:
        name: full name, for example "PULSE1.DELAY"
        spec: specification of the field
        buses: entries of the two buses, for muxes and captures
        changed: called with the name of whatever changed, "PULSE1.DELAY" or "PULSE1.DELAY.UNITS"

    Raises:
        DeviceError: the initial value in the device file is not valid for the type
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
            raise DeviceError(f"{name}: invalid initial value {spec.value!r}: {refused}") from refused
    field.attributes = make_attributes(field, buses)
    return field
