"""What a field of a block is: plain data, one class for each kind that needs more than its type.

Which class a (type, subtype) has, and which questions fill it, is the table in `introspection`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class BlockInfo:
    """A kind of block: how many of it there are, and what it is for."""

    number: int
    description: str = ""


@dataclass(frozen=True)
class FieldInfo:
    """A field, of any type: also of one that this library has never heard of.

    Attributes:
        type: "param", "read", "write", "bit_out", ... or whatever the server says
        subtype: "uint", "enum", ..., None where the type has none
        description: one line, empty where the server has none
        attributes: the names that the server lists for it, "MAX", "UNITS", "INFO", ...
    """

    type: str
    subtype: str | None
    description: str = ""
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class UintFieldInfo(FieldInfo):
    """A 32-bit unsigned integer. A value over the maximum is refused by the server."""

    max_value: int = 2**32 - 1


@dataclass(frozen=True)
class ScalarFieldInfo(FieldInfo):
    """A number that reads as raw x scale + offset, in units."""

    units: str = ""
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class TimeFieldInfo(FieldInfo):
    """A time, shown in one of `unit_labels`: "min", "s", "ms", "us". Which one is a setting of each instance."""

    unit_labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnumFieldInfo(FieldInfo):
    """One of several labels."""

    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class BitOutFieldInfo(FieldInfo):
    """A wire of the bit bus. All wires are told by `GetPcapBitsLabels`.

    Attributes:
        capture_word: the field that captures it for the first instance of its block, "PCAP.BITS0"
        offset: which bit it is there, from 0
    """

    capture_word: str = ""
    offset: int = 0


@dataclass(frozen=True)
class BitMuxFieldInfo(EnumFieldInfo):
    """Chooses a wire of the bit bus, ZERO or ONE; `max_delay` is in ticks of the FPGA clock."""

    max_delay: int = 0


@dataclass(frozen=True)
class PosMuxFieldInfo(EnumFieldInfo):
    """Chooses an entry of the position bus, or ZERO."""


@dataclass(frozen=True)
class PosOutFieldInfo(FieldInfo):
    """An entry of the position bus, which can be captured."""

    capture_labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExtOutFieldInfo(FieldInfo):
    """Something that can be captured but not read."""

    capture_labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExtOutBitsFieldInfo(ExtOutFieldInfo):
    """32 bits of the bit bus in a word, bit 0 first; a bit that is not used has an empty name."""

    bits: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableColumn:
    """A column of a table: some bits of each row.

    Attributes:
        subtype: "uint", "int" or "enum"
        bit_low, bit_high: where it is in the row, both included, counted through its little-endian words
        description: one line
        labels: of an enum
    """

    subtype: str
    bit_low: int
    bit_high: int
    description: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableFieldInfo(FieldInfo):
    """A table of rows.

    Attributes:
        max_length: the most that it holds, in 32-bit words
        row_words: how many words a row has
        columns: by name, in the order in which the server lists them
    """

    max_length: int = 0
    row_words: int = 1
    columns: Mapping[str, TableColumn] = field(default_factory=dict)

    @property
    def max_rows(self) -> int:
        """The most rows that it holds."""
        return self.max_length // self.row_words
