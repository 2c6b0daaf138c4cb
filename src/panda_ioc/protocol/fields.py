"""Static descriptions of blocks, fields and table columns.

Field types with more metadata than `FieldInfo` have separate classes. The tables in `introspection` define the
class of each (type, subtype) and the requests that fill it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class BlockInfo:
    """A block type.

    Attributes:
        number: number of instances: 4 for PULSE1 to PULSE4
        description: one line; "" if the server has none
    """

    number: int
    description: str = ""


@dataclass(frozen=True)
class FieldInfo:
    """A field of a block. The base class of all descriptions; also describes field types unknown to this library.

    Attributes:
        type: field type as sent by the server: "param", "read", "write", "bit_out", ...
        subtype: "uint", "enum", ...; None if the type has no subtypes
        description: one line; "" if the server has none
        attributes: sorted names of its attributes: "INFO", "MAX", "UNITS", ...
    """

    type: str
    subtype: str | None
    description: str = ""
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class UintFieldInfo(FieldInfo):
    """A field of subtype uint: a 32-bit unsigned integer.

    Attributes:
        type, subtype, description, attributes: as for `FieldInfo`
        max_value: largest value that the server accepts
    """

    max_value: int = 2**32 - 1


@dataclass(frozen=True)
class ScalarFieldInfo(FieldInfo):
    """A field of subtype scalar: a float, whose value is raw * scale + offset.

    Attributes:
        type, subtype, description, attributes: as for `FieldInfo`
        units: engineering units; "" if none
        scale: scale factor in `units` per count
        offset: offset in `units`
    """

    units: str = ""
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class TimeFieldInfo(FieldInfo):
    """A field of type or subtype time. The UNITS attribute of each instance selects its units.

    Attributes:
        type, subtype, description, attributes: as for `FieldInfo`
        unit_labels: available units: ("min", "s", "ms", "us")
    """

    unit_labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnumFieldInfo(FieldInfo):
    """A field of subtype enum.

    Attributes:
        type, subtype, description, attributes: as for `FieldInfo`
        labels: values that the server accepts, in the order of their codes from 0
    """

    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class BitOutFieldInfo(FieldInfo):
    """A field of type bit_out: a signal on the bit bus. `GetPcapBitsLabels` lists the signals of all instances.

    Attributes:
        type, subtype, description, attributes: as for `FieldInfo`
        capture_word: field that captures the signal of the first instance: "PCAP.BITS0"
        offset: bit number in that field, from 0 to 31
    """

    capture_word: str = ""
    offset: int = 0


@dataclass(frozen=True)
class BitMuxFieldInfo(EnumFieldInfo):
    """A field of type bit_mux: selects a signal of the bit bus, ZERO or ONE.

    Attributes:
        type, subtype, description, attributes: as for `FieldInfo`
        labels: signals that can be selected
        max_delay: maximum of the DELAY attribute in ticks of the FPGA clock
    """

    max_delay: int = 0


@dataclass(frozen=True)
class PosMuxFieldInfo(EnumFieldInfo):
    """A field of type pos_mux: selects a signal of the position bus, or ZERO.

    Attributes:
        type, subtype, description, attributes: as for `FieldInfo`
        labels: signals that can be selected
    """


@dataclass(frozen=True)
class PosOutFieldInfo(FieldInfo):
    """A field of type pos_out: a signal on the position bus, which can be captured.

    Attributes:
        type, subtype, description, attributes: as for `FieldInfo`
        capture_labels: values of the CAPTURE attribute: ("No", "Value", "Diff", ...)
    """

    capture_labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExtOutFieldInfo(FieldInfo):
    """A field of type ext_out: a value that can be captured but not read.

    Attributes:
        type, subtype, description, attributes: as for `FieldInfo`
        capture_labels: values of the CAPTURE attribute: ("No", "Value")
    """

    capture_labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExtOutBitsFieldInfo(ExtOutFieldInfo):
    """A field of type ext_out and subtype bits: captures 32 signals of the bit bus in one word.

    Attributes:
        type, subtype, description, attributes: as for `FieldInfo`
        capture_labels: as for `ExtOutFieldInfo`
        bits: names of the 32 signals, bit 0 first; "" for an unused bit
    """

    bits: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableColumn:
    """A column of a table: a bit field in each row.

    Attributes:
        subtype: "uint", "int" or "enum"
        bit_low: lowest bit in the row, counted through its 32-bit words from bit 0 of word 0
        bit_high: highest bit, inclusive; in the same word as `bit_low`
        description: one line; "" if the server has none
        labels: labels of an enum, in the order of their codes from 0
    """

    subtype: str
    bit_low: int
    bit_high: int
    description: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableFieldInfo(FieldInfo):
    """A field of type table.

    Attributes:
        type, subtype, description, attributes: as for `FieldInfo`
        max_length: capacity in 32-bit words
        row_words: number of 32-bit words per row
        columns: columns by name, in the order of the server
    """

    max_length: int = 0
    row_words: int = 1
    columns: Mapping[str, TableColumn] = field(default_factory=dict)

    @property
    def max_rows(self) -> int:
        """The capacity in rows."""
        return self.max_length // self.row_words
