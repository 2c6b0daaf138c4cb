"""The data classes of pandablocks."""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "BitMuxFieldInfo",
    "BitOutFieldInfo",
    "BlockInfo",
    "Changes",
    "Data",
    "EndData",
    "EndReason",
    "EnumFieldInfo",
    "ExtOutBitsFieldInfo",
    "ExtOutFieldInfo",
    "FieldCapture",
    "FieldInfo",
    "FrameData",
    "Identification",
    "PosMuxFieldInfo",
    "PosOutFieldInfo",
    "ReadyData",
    "ScalarFieldInfo",
    "StartData",
    "SubtypeTimeFieldInfo",
    "TableFieldDetails",
    "TableFieldInfo",
    "TimeFieldInfo",
    "UintFieldInfo",
]


@dataclass
class Identification:
    """The versions of a PandA, from `*IDN?`."""

    software: str
    fpga: str
    rootfs: str

    def software_api(self) -> tuple[int, int]:
        """Return the first two numbers of the software version; (0, 0) without numbers."""
        match = re.match(r"(\d{1,9})\.(\d{1,9})", self.software)
        return (int(match[1]), int(match[2])) if match else (0, 0)


@dataclass
class BlockInfo:
    """A block type."""

    number: int = 0
    description: str | None = None


@dataclass
class FieldInfo:
    """A field of any type."""

    type: str
    subtype: str | None
    description: str | None


@dataclass
class UintFieldInfo(FieldInfo):
    """A field of subtype uint."""

    max_val: int


@dataclass
class ScalarFieldInfo(FieldInfo):
    """A field of subtype scalar."""

    units: str
    scale: float
    offset: float


@dataclass
class TimeFieldInfo(FieldInfo):
    """A field of type time."""

    units_labels: list[str]


@dataclass
class SubtypeTimeFieldInfo(FieldInfo):
    """A field of subtype time."""

    units_labels: list[str]


@dataclass
class EnumFieldInfo(FieldInfo):
    """A field of subtype enum."""

    labels: list[str]


@dataclass
class BitOutFieldInfo(FieldInfo):
    """A signal on the bit bus."""

    capture_word: str
    offset: int


@dataclass
class BitMuxFieldInfo(FieldInfo):
    """A field that selects a signal of the bit bus."""

    max_delay: int
    labels: list[str]


@dataclass
class PosMuxFieldInfo(FieldInfo):
    """A field that selects a signal of the position bus."""

    labels: list[str]


@dataclass
class TableFieldDetails:
    """A column of a table."""

    subtype: str
    bit_low: int
    bit_high: int
    description: str | None = None
    labels: list[str] | None = None


@dataclass
class TableFieldInfo(FieldInfo):
    """A field of type table."""

    max_length: int
    fields: dict[str, TableFieldDetails]
    row_words: int
    has_mode: bool = False


@dataclass
class PosOutFieldInfo(FieldInfo):
    """A signal on the position bus."""

    capture_labels: list[str]


@dataclass
class ExtOutFieldInfo(FieldInfo):
    """A value that can be captured but not read."""

    capture_labels: list[str]


@dataclass
class ExtOutBitsFieldInfo(ExtOutFieldInfo):
    """A field that captures 32 bits in one word."""

    bits: list[str]


@dataclass
class Changes:
    """The reply to `*CHANGES?`."""

    values: dict[str, str]
    no_value: list[str]
    in_error: list[str]
    multiline_values: dict[str, list[str]] = field(default_factory=dict)


class EndReason(Enum):
    """The reason for the end of an acquisition."""

    OK = "Ok"
    EARLY_DISCONNECT = "Early disconnect"
    DATA_OVERRUN = "Data overrun"
    FRAMING_ERROR = "Framing error"
    DRIVER_DATA_OVERRUN = "Driver data overrun"
    DMA_DATA_ERROR = "DMA data error"
    UNKNOWN_EXCEPTION = "Unknown exception"
    START_DATA_MISMATCH = "Start Data mismatched"
    MANUALLY_STOPPED = "Manually stopped"
    DISARMED = "Disarmed"


@dataclass
class FieldCapture:
    """A column of captured data."""

    name: str
    type: np.dtype[Any]
    capture: str
    scale: float | None = None
    offset: float | None = None
    units: str | None = None

    @property
    def has_scale_or_offset(self) -> bool:
        """Whether the values can be scaled to engineering units: False for bits."""
        return self.scale is not None or self.offset is not None

    @property
    def raw_mode_dataset_dtype(self) -> np.dtype[Any]:
        """The dtype of the dataset: float64 if the column has scaling."""
        return np.dtype(np.float64) if self.has_scale_or_offset else self.type


class Data:
    """Base class of the events of a data connection."""


@dataclass
class ReadyData(Data):
    """An event: the connection is ready."""


@dataclass
class StartData(Data):
    """The start of an acquisition."""

    fields: list[FieldCapture]
    missed: int
    process: str
    format: str
    sample_bytes: int
    arm_time: str | None = None
    start_time: str | None = None
    hw_time_offset_ns: int | None = None


@dataclass
class FrameData(Data):
    """Captured samples as a structured array."""

    data: npt.NDArray[np.void]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.data.dtype.names or ()


@dataclass
class EndData(Data):
    """The end of an acquisition."""

    samples: int
    reason: EndReason
