"""The content of a device file: the blocks and fields of a simulated PandA, validated.

`devices/pandabox.yaml` is the default device, and documents the format by example.
"""

from collections.abc import Collection
from pathlib import Path
from sys import float_info
from typing import Annotated, Literal

from msgspec import Meta, field
from msgspec.structs import replace

from .. import yamlfile
from ..protocol import PandaError
from ..validation import Checked, rule


class DeviceError(PandaError):
    """An invalid device description, for example an initial value that its field does not accept."""


#: Path of the device file that is used by default: a PandABox.
PANDABOX = Path(__file__).parent / "devices" / "pandabox.yaml"

# In patterns \Z, because $ also matches before a line break at the end.
Name = Annotated[str, rule(lambda text: f"must be capitals, digits and _, not {text!r}", pattern=r"^[A-Z][A-Z0-9_]*\Z")]
Line = Annotated[str, rule("must be one line of at most 900 characters", pattern=r"^[^\n\x00]*\Z", max_length=900)]
Finite = Annotated[float, rule("must be a finite number", ge=-float_info.max, le=float_info.max)]
Bits = Annotated[str, rule(lambda text: f"must be LEFT:RIGHT, such as 31:0, not {text!r}", pattern=r"^\d+:\d+\Z")]

_TYPED = tuple(
    f"{kind} {subtype}"
    for kind in ("param", "read", "write")
    for subtype in ("uint", "int", "scalar", "bit", "lut", "enum", "time")
)
FIELD_TYPES = (
    *_TYPED,
    "write action",
    "time",
    "bit_out",
    "pos_out",
    "ext_out timestamp",
    "ext_out samples",
    "ext_out bits",
    "bit_mux",
    "pos_mux",
    "table",
)


class ColumnSpec(Checked):
    """A column of a table.

    Attributes:
        bits: bit range of the column within the row, as "left:right"; bit 0 is the lowest bit of the first word
        type: "uint", "int" or "enum"
        labels: labels of an enum, by value
        description: reply to `*DESC`
    """

    bits: Bits
    type: Literal["uint", "int", "enum"] = "uint"
    labels: tuple[Line, ...] = ()
    description: Line = ""


class FieldSpec(Checked):
    """A field of a block.

    Attributes:
        type: field type of the PandA protocol, one of `FIELD_TYPES`, for example "param uint" or "bit_out"
        description: reply to `*DESC`
        value: initial value, as text that the field accepts; the power-on value of its type by default
        labels: labels of an enum, by value
        max: maximum of a uint
        max_delay: maximum delay of a bit_mux in ticks
        scale, offset, units: scaling of a scalar: value = raw * scale + offset, in units
        word: number of the word of the bit bus that an `ext_out bits` field captures
        max_length: length limit of a table in 32-bit words
        row_words: 32-bit words in a row of a table
        columns: columns of a table, by name
    """

    type: str
    description: Line = ""
    value: Line | None = None
    labels: tuple[Line, ...] = ()
    max: Annotated[int, Meta(ge=0, lt=2**32)] = 2**32 - 1
    max_delay: Annotated[int, Meta(ge=0)] = 31
    scale: Finite = 1.0
    offset: Finite = 0.0
    units: Line = ""
    word: Annotated[int, Meta(ge=0)] = 0
    max_length: Annotated[int, Meta(ge=0, le=2**24)] = 0
    row_words: Annotated[int, Meta(ge=1, le=64)] = 1
    columns: dict[Name, ColumnSpec] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.type not in FIELD_TYPES:
            raise ValueError(f"unknown type {self.type!r}: use one of {', '.join(FIELD_TYPES)}")
        if self.type.endswith(" enum") and not self.labels:
            raise ValueError("an enum needs labels")
        if (self.type == "table") != bool(self.columns):
            raise ValueError("a table needs columns, and only a table has them")
        if not self.scale:
            raise ValueError("scale must not be 0")

    @property
    def kind(self) -> str:
        """First word of the type."""
        return self.type.partition(" ")[0]

    @property
    def subtype(self) -> str | None:
        """Second word of the type; None if it has only one."""
        return self.type.partition(" ")[2] or None


class BlockSpec(Checked, kw_only=True):
    """A type of block.

    Attributes:
        count: number of instances
        description: reply to `*DESC`
        fields: fields of each instance, by name, in the order in which the PandA lists them
    """

    count: Annotated[int, Meta(ge=1, le=128)]
    description: Line = ""
    fields: dict[Name, FieldSpec]

    def instances(self, name: str) -> list[str]:
        """Return the names of the instances; a single instance has no number."""
        return [name] if self.count == 1 else [f"{name}{number}" for number in range(1, self.count + 1)]


class MetadataSpec(Checked):
    """The keys of `*METADATA` in addition to the labels of blocks.

    Attributes:
        text: keys with a value of one line
        lines: keys with a value of several lines
        fixed: keys that clients cannot write, with their values
    """

    text: tuple[Name, ...] = ()
    lines: tuple[Name, ...] = ()
    fixed: dict[Name, Line] = field(default_factory=dict)


Capture = Literal["Value", "Diff", "Sum", "Min", "Max", "Mean", "StdDev"]


class DeviceSpec(Checked, kw_only=True):
    """The description of a simulated PandA.

    Attributes:
        name: name of the device, for messages
        software, fpga, rootfs: versions in the reply to `*IDN?`
        metadata: keys of `*METADATA`
        captures: ways to capture a position
        blocks: types of blocks, by name
        bits, positions: order of the two buses; the order of blocks and fields by default
        settings: settings at power-on, as lines in the format of `panda-ioc save`
        readings: values of read-only fields that no simulated block drives, by field name

    Example:
        >>> device = load().without({"SEQ", "LUT"})
        >>> device.bus("pos_out")[:2]
        ['INENC1.VAL', 'INENC2.VAL']
    """

    name: str
    software: Line = "4.1"
    fpga: Line = "0.0.0 00000000 00000000"
    rootfs: Line = ""
    metadata: MetadataSpec = MetadataSpec()
    captures: tuple[Capture, ...] = ("Value", "Diff", "Sum", "Min", "Max", "Mean")
    blocks: dict[Name, BlockSpec]
    bits: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()
    settings: tuple[Line, ...] = ()
    readings: dict[str, Line] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Require that a given bus order has every output exactly once."""
        for name, order, kind in (("bits", self.bits, "bit_out"), ("positions", self.positions, "pos_out")):
            there = self._outputs(kind)
            if order and sorted(order) != sorted(there):
                wrong = set(order) ^ set(there) or {"a duplicate entry"}
                raise ValueError(f"{name} must list every {kind} exactly once; check {min(wrong)}")

    def bus(self, kind: Literal["bit_out", "pos_out"]) -> list[str]:
        """Return the entries of a bus in order.

        Args:
            kind: "bit_out" or "pos_out"

        Returns:
            the full names of the outputs, such as "PULSE1.OUT"
        """
        return list(self.bits if kind == "bit_out" else self.positions) or self._outputs(kind)

    def without(self, kinds: Collection[str]) -> "DeviceSpec":
        """Return a copy without some types of blocks, their bus entries and readings.

        Args:
            kinds: names of types of blocks, without numbers

        Raises:
            KeyError: a type is unknown
        """
        gone = {instance for kind in kinds for instance in self.blocks[kind].instances(kind)}

        def stays(field: str) -> bool:
            return field.partition(".")[0] not in gone

        return replace(
            self,
            blocks={kind: block for kind, block in self.blocks.items() if kind not in kinds},
            bits=tuple(filter(stays, self.bits)),
            positions=tuple(filter(stays, self.positions)),
            readings={field: value for field, value in self.readings.items() if stays(field)},
        )

    def _outputs(self, kind: str) -> list[str]:
        return [
            f"{instance}.{field}"
            for name, block in self.blocks.items()
            for field, spec in block.fields.items()
            if spec.type == kind
            for instance in block.instances(name)
        ]


def load(path: Path = PANDABOX) -> DeviceSpec:
    """Read a device file.

    Args:
        path: path of the YAML file

    Returns:
        the validated description, immutable

    Raises:
        yamlfile.YamlFileError: the file cannot be read or is invalid; the message names file and line

    Example:
        >>> load().blocks["PULSE"].count
        4
    """
    return yamlfile.load(path, DeviceSpec, strict=False)
