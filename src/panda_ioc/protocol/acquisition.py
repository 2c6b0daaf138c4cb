"""What a data port tells of an acquisition: that it begins, its samples, that it ended."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

#: The types of columns that servers send. An int96 is three 32-bit words, the lowest first.
COLUMN_TYPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "int32": ("<i4", ()),
    "uint32": ("<u4", ()),
    "int64": ("<i8", ()),
    "uint64": ("<u8", ()),
    "double": ("<f8", ()),
    "int96": ("<u4", (3,)),
}


@dataclass(frozen=True)
class FieldCapture:
    """A column of captured data.

    Attributes:
        name: the field, "COUNTER1.OUT"
        capture: what of it: "Value", "Diff", "Sum", "Min", "Max", "Mean", "StdDev"
        type: as the server says it, a key of COLUMN_TYPES
        scale, offset: a value in units is raw x scale + offset; None where that means nothing: for bits
        units: "" where none were set
    """

    name: str
    capture: str
    type: str
    scale: float | None = None
    offset: float | None = None
    units: str = ""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The type of a value as it is sent; an int96 is a sub-array of three uint32."""
        return np.dtype(COLUMN_TYPES[self.type])

    @property
    def has_scale_or_offset(self) -> bool:
        """Whether its values mean something in units: not so for bits."""
        return self.scale is not None or self.offset is not None

    @property
    def column(self) -> str:
        """What the column is called in arrays: "COUNTER1.OUT.Value"."""
        return f"{self.name}.{self.capture}"


@dataclass(frozen=True)
class ReadyData:
    """The server accepted the options: from now on no acquisition is missed."""


@dataclass(frozen=True)
class StartData:
    """An acquisition begins.

    Attributes:
        fields: its columns, in the order of the bytes
        missed: samples that were lost because this client connected too late
        process: "Raw" or "Scaled"
        sample_bytes: length of a sample
        arm_time, start_time: ISO 8601 in UTC with nanoseconds, "" if the server does not tell
        hw_time_offset_ns: system time less hardware time; None without a hardware clock
        format: how samples come: "Framed", as was asked for
    """

    fields: tuple[FieldCapture, ...]
    missed: int
    process: str
    sample_bytes: int
    arm_time: str = ""
    start_time: str = ""
    hw_time_offset_ns: int | None = None
    format: str = "Framed"

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """The type of a sample: a packed structure with a field for each column, named `NAME.CAPTURE`."""
        return np.dtype([(field.column, *COLUMN_TYPES[field.type]) for field in self.fields])


@dataclass(frozen=True, eq=False)
class FrameData:
    """Some samples.

    Attributes:
        data: one-dimensional, of the dtype of the acquisition; read-only, and valid for as long as it is held
    """

    data: npt.NDArray[np.void]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The names of the columns, "COUNTER1.OUT.Value", in the order of the bytes."""
        return self.data.dtype.names or ()


class EndReason(StrEnum):
    """Why an acquisition ends, as servers say it."""

    OK = "Ok"
    DISARMED = "Disarmed"
    EARLY_DISCONNECT = "Early disconnect"
    DATA_OVERRUN = "Data overrun"
    FRAMING_ERROR = "Framing error"
    DRIVER_DATA_OVERRUN = "Driver data overrun"
    DMA_DATA_ERROR = "DMA data error"


@dataclass(frozen=True)
class EndData:
    """An acquisition ended.

    Attributes:
        samples: how many the server sent
        reason: one of `EndReason`, or whatever a newer server says
    """

    samples: int
    reason: str

    @property
    def good(self) -> bool:
        """Whether all that was to be captured was: Ok, or stopped on purpose."""
        return self.reason in {EndReason.OK, EndReason.DISARMED}


Data = ReadyData | StartData | FrameData | EndData
