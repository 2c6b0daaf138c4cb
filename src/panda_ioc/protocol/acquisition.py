"""Events of the data port: ready, start of an acquisition, samples, end of an acquisition."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

#: numpy dtype and shape of each column type that a server sends. An int96 is three 32-bit words, the lowest first.
COLUMN_TYPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "int32": ("<i4", ()),
    "uint32": ("<u4", ()),
    "int64": ("<i8", ()),
    "uint64": ("<u8", ()),
    "double": ("<f8", ()),
    "int96": ("<u4", (3,)),
}

#: Approximate memory of a start event in bytes: without columns, and for each column without its name.
_MEMORY, _COLUMN_MEMORY = 4096, 1024


@dataclass(frozen=True)
class FieldCapture:
    """A column of captured data, as described in the header of an acquisition.

    Attributes:
        name: field name: "COUNTER1.OUT"
        capture: captured quantity: "Value", "Diff", "Sum", "Min", "Max", "Mean" or "StdDev"
        type: column type in the header: "int32", "uint32", "int64", "uint64", "double" or "int96"
        scale: scale factor; a value in `units` is raw * scale + offset. None for bits, which have no scaling
        offset: offset in `units`; None for bits
        units: engineering units; "" if not set
    """

    name: str
    capture: str
    type: str
    scale: float | None = None
    offset: float | None = None
    units: str = ""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The numpy dtype of one value as sent; a sub-array of three uint32 for an int96."""
        return np.dtype(COLUMN_TYPES[self.type])

    @property
    def has_scale_or_offset(self) -> bool:
        """Whether the values can be scaled to engineering units: False for bits."""
        return self.scale is not None or self.offset is not None

    @property
    def column(self) -> str:
        """The field name of the column in structured arrays: "COUNTER1.OUT.Value"."""
        return f"{self.name}.{self.capture}"


@dataclass(frozen=True)
class ReadyData:
    """The server accepted the data port options. Acquisitions armed from now on are received from their start."""


@dataclass(frozen=True)
class StartData:
    """The start of an acquisition.

    Attributes:
        fields: captured columns, in the order in which their bytes are sent
        missed: number of samples taken before this client connected; they are not sent
        process: "Raw" or "Scaled"
        sample_bytes: size of one sample in bytes
        arm_time: time of arming, ISO 8601 in UTC with nanoseconds; "" if the server does not send it
        start_time: time of the start trigger, in the same format; "" if the server does not send it
        hw_time_offset_ns: system time minus hardware time in ns; None if the PandA has no hardware clock
        format: transfer format of the samples: "Framed"
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
    def memory(self) -> int:
        """The approximate memory of this event in bytes, for the limits of queues."""
        return _MEMORY + sum(_COLUMN_MEMORY + 2 * len(field.name) + len(field.units) for field in self.fields)

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """The numpy dtype of one sample: a packed structure with one field for each column, named `NAME.CAPTURE`."""
        return np.dtype([(field.column, *COLUMN_TYPES[field.type]) for field in self.fields])


@dataclass(frozen=True, eq=False)
class FrameData:
    """Captured samples.

    Attributes:
        data: (n,) structured array with the dtype of the acquisition (`StartData.dtype`). Read-only. It remains valid
            while it is referenced
    """

    data: npt.NDArray[np.void]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The column names, such as "COUNTER1.OUT.Value", in the order in which their bytes are sent."""
        return self.data.dtype.names or ()


class EndReason(StrEnum):
    """Reasons for the end of an acquisition that PandABlocks servers send."""

    OK = "Ok"
    DISARMED = "Disarmed"
    EARLY_DISCONNECT = "Early disconnect"
    DATA_OVERRUN = "Data overrun"
    FRAMING_ERROR = "Framing error"
    DRIVER_DATA_OVERRUN = "Driver data overrun"
    DMA_DATA_ERROR = "DMA data error"


@dataclass(frozen=True)
class EndData:
    """The end of an acquisition.

    Attributes:
        samples: number of samples that the server sent
        reason: an `EndReason` value, or another text from a newer server
    """

    samples: int
    reason: str

    @property
    def good(self) -> bool:
        """Whether no samples were lost: the reason is Ok or Disarmed."""
        return self.reason in {EndReason.OK, EndReason.DISARMED}


Data = ReadyData | StartData | FrameData | EndData
