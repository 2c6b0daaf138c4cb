"""What a simulated PandA is made of: the content of a device file, checked.

A device file lists blocks and their fields; `devices/pandabox.yaml` is the one that is served unless
another is given, and the best description of the format.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from .. import yamlfile
from ..protocol import PandaError


class DeviceError(PandaError):
    """A device that cannot be as it is described."""


PANDABOX = Path(__file__).parent / "devices" / "pandabox.yaml"

Name = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]
Line = Annotated[str, StringConstraints(pattern=r"^[^\n\x00]*$", max_length=900)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Bits = Annotated[str, StringConstraints(pattern=r"^\d+:\d+$")]

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


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnSpec(_Model):
    """A column of a table: which bits of the row it is, as `left:right`."""

    bits: Bits
    type: Literal["uint", "int", "enum"] = "uint"
    labels: tuple[Line, ...] = ()
    description: Line = ""


class FieldSpec(_Model):
    """A field of a block; what means nothing to its type must be left out."""

    type: str
    description: Line = ""
    value: Line | None = None
    labels: tuple[Line, ...] = ()
    max: int = Field(default=2**32 - 1, ge=0, lt=2**32)
    max_delay: int = Field(default=31, ge=0)
    scale: Finite = 1.0
    offset: Finite = 0.0
    units: Line = ""
    word: int = Field(default=0, ge=0)
    max_length: int = Field(default=0, ge=0, le=2**24)
    row_words: int = Field(default=1, ge=1, le=64)
    columns: dict[Name, ColumnSpec] = {}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.type not in FIELD_TYPES:
            raise ValueError(f"unknown type {self.type!r}; there are {', '.join(FIELD_TYPES)}")
        if self.type.endswith(" enum") and not self.labels:
            raise ValueError("an enum needs labels")
        if (self.type == "table") != bool(self.columns):
            raise ValueError("a table, and nothing else, needs columns")
        if not self.scale:
            raise ValueError("a scale cannot be 0")
        return self

    @property
    def kind(self) -> str:
        """The first word of the type."""
        return self.type.partition(" ")[0]

    @property
    def subtype(self) -> str | None:
        """The second word of the type, if it has one."""
        return self.type.partition(" ")[2] or None


class BlockSpec(_Model):
    """A kind of block."""

    count: int = Field(ge=1, le=128)
    description: Line = ""
    fields: dict[Name, FieldSpec]

    def instances(self, name: str) -> list[str]:
        """What its instances are called: a single one has no number."""
        return [name] if self.count == 1 else [f"{name}{number}" for number in range(1, self.count + 1)]


class MetadataSpec(_Model):
    """The keys of `*METADATA` besides the label of each block."""

    text: tuple[Name, ...] = ()
    lines: tuple[Name, ...] = ()
    fixed: dict[Name, Line] = {}


Capture = Literal["Value", "Diff", "Sum", "Min", "Max", "Mean", "StdDev"]


class DeviceSpec(_Model):
    """A PandA.

    Attributes:
        bits, positions: the order of the two buses, if it is not that of blocks and fields
        settings: what it is set to when it is switched on, as `panda-ioc save` writes it
        readings: what fields that are only read show, where no block says something
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
    readings: dict[str, Line] = {}

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Where the order of a bus is told, it must have every output once."""
        for name, told, kind in (("bits", self.bits, "bit_out"), ("positions", self.positions, "pos_out")):
            there = self._outputs(kind)
            if told and sorted(told) != sorted(there):
                wrong = set(told) ^ set(there) or {"an entry that is there twice"}
                raise ValueError(f"{name} must have every {kind} once; this is wrong: {min(wrong)}")
        return self

    def bus(self, kind: Literal["bit_out", "pos_out"]) -> list[str]:
        """The entries of a bus in order: "PULSE1.OUT", ..."""
        return list(self.bits if kind == "bit_out" else self.positions) or self._outputs(kind)

    def without(self, kinds: Collection[str]) -> "DeviceSpec":
        """The same without some kinds of blocks, and without what is told of their fields."""
        gone = {instance for kind in kinds for instance in self.blocks[kind].instances(kind)}

        def stays(field: str) -> bool:
            return field.partition(".")[0] not in gone

        return self.model_copy(
            update={
                "blocks": {kind: block for kind, block in self.blocks.items() if kind not in kinds},
                "bits": tuple(filter(stays, self.bits)),
                "positions": tuple(filter(stays, self.positions)),
                "readings": {field: value for field, value in self.readings.items() if stays(field)},
            }
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

    Raises:
        yamlfile.YamlFileError: it cannot be read or makes no sense; the message has file and line
    """
    return yamlfile.load(path, DeviceSpec)
