"""Captured data as arrays in physical units, assembled from the events of a data port.

Sans-IO: `acquisitions` feeds it with the events of both clients.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..protocol import Data, EndData, FieldCapture, FrameData, StartData
from .columns import Column, Frame, stored_columns
from .errors import CaptureError

__all__ = ["Acquisition", "IncompleteAcquisitionError", "Samples"]

#: Default of the maximum size of the raw samples of a whole acquisition in bytes.
MAX_BYTES = 1 << 30

#: Memory for a frame in bytes, in addition to its samples.
_FRAME_BYTES = 512

#: Fields with the time of a sample, in order of preference.
_TIMES = ("PCAP.TS_TRIG", "PCAP.TS_END", "PCAP.TS_START")

#: A function that selects the columns of an acquisition and their scaling.
Columns = Callable[[StartData], Sequence[Column]]


@dataclass(frozen=True, eq=False)
class Samples:
    """Consecutive samples of an acquisition. `len(samples)` is their number n.

    Attributes:
        columns: (n,) array of each column by name, "COUNTER1.OUT.Value": float64 in `units`; uint32 for bits
        units: engineering units of each column by name; "" if none
        fields: description of each column by name
        start: start event of the acquisition
        first: number of the first sample, counted from 0 at the first sample received
    """

    columns: dict[str, npt.NDArray[Any]]
    units: dict[str, str]
    fields: dict[str, FieldCapture] = field(repr=False)
    start: StartData
    first: int

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(next(iter(self.columns.values()), ()))

    @property
    def array(self) -> npt.NDArray[np.void]:
        """All columns as an (n,) structured array with a field for each column. A copy."""
        dtype = np.dtype([(name, values.dtype, values.shape[1:]) for name, values in self.columns.items()])
        array = np.empty(len(self), dtype)
        for name, values in self.columns.items():
            array[name] = values
        return array

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """The time of each sample in s since `start.start_time`, (n,) float64.

        Source: PCAP.TS_TRIG if captured, else PCAP.TS_END, else PCAP.TS_START.

        Raises:
            CaptureError: no time stamp was captured
        """
        for source in _TIMES:
            for name, of in self.fields.items():
                if (of.name, of.capture, self.columns[name].dtype.str) == (source, "Value", "<f8"):
                    return self.columns[name]
        raise CaptureError(f"no time stamp was captured: set {_TIMES[0]}.CAPTURE to Value")

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """The time of each sample in UTC, (n,) datetime64[ns], by the clock of the PandA.

        Raises:
            CaptureError: no time stamp was captured, or the PandA did not send the start time
        """
        started = _start_time(self.start.start_time)
        return started + np.rint(self.seconds * 1e9).astype("timedelta64[ns]")


@dataclass(frozen=True, eq=False)
class Acquisition(Samples):
    """All samples of an acquisition.

    Attributes:
        columns: as for `Samples`
        units: as for `Samples`
        fields: as for `Samples`
        start: as for `Samples`
        first: 0
        end: end event; None if the connection was lost before the end
        error: why samples are missing; None if the acquisition is complete
    """

    end: EndData | None
    error: CaptureError | None

    @property
    def missed(self) -> int:
        """The number of samples taken before the client connected; they were not received."""
        return self.start.missed


class IncompleteAcquisitionError(CaptureError):
    """An incomplete acquisition: samples were lost.

    Attributes:
        acquisition: acquisition with the samples received; None if they were yielded by `samples`
    """

    def __init__(self, reason: str, acquisition: Acquisition | None) -> None:
        super().__init__(reason)
        self.acquisition = acquisition


def problem_of(end: EndData, received: int) -> CaptureError | None:
    """Return why an acquisition that has ended is incomplete; None if all its samples were received."""
    if not end.good:
        return CaptureError(f"the acquisition ended with: {end.reason}")
    if end.samples != received:
        return CaptureError(f"the PandA sent {end.samples} samples, but {received} were received")
    return None


def _start_time(text: str) -> np.datetime64:
    try:
        time: np.datetime64 = np.datetime64(text.removesuffix("Z"), "ns")
        if not np.isnat(time):
            return time
    except ValueError:
        pass
    raise CaptureError(f"the PandA sent no valid start time: {text!r}")


class Assembler:
    """An assembler of samples from the events of a data connection.

    Args:
        columns: function that selects the columns of an acquisition and their scaling
        max_bytes: maximum size of the raw samples to hold in bytes

    Attributes:
        start: start event of the current acquisition; None between acquisitions
        held_bytes: size of the raw samples held in bytes
    """

    def __init__(self, columns: Columns = stored_columns, max_bytes: int = MAX_BYTES) -> None:
        self.start: StartData | None = None
        self.held_bytes = 0
        self._find_columns = columns
        self._max_bytes = max_bytes
        self._columns: Sequence[Column] = ()
        self._frames: deque[Frame] = deque()
        self._received = self._given = 0

    def process(self, data: Data) -> None:
        """Process an event of an acquisition.

        Raises:
            CaptureError: a column cannot be scaled, or the samples exceed `max_bytes`
        """
        match data:
            case StartData():
                self.start, self._columns = data, self._find_columns(data)
                self._received = self._given = 0
            case FrameData():
                self._frames.append(data.data)
                self._received += len(data.data)
                self.held_bytes += data.data.nbytes + _FRAME_BYTES
                if self.held_bytes > self._max_bytes:
                    raise CaptureError(
                        f"the acquisition is larger than {self._max_bytes / 2**20:g} MiB: increase max_bytes, "
                        "use samples(), or write it to a file"
                    )

    def samples(self) -> Samples | None:
        """Return the samples received since the last call, or None without samples."""
        if self.start is None or not self._frames:
            return None
        first, self._given = self._given, self._received
        columns = self._made(self._received - first)
        return Samples(columns, self._units(), self._fields(), self.start, first)

    def acquisition(self, end: EndData | None, error: CaptureError | None) -> Acquisition:
        """Return the samples held as an acquisition, and release them.

        Raises:
            CaptureError: no acquisition has started
        """
        if self.start is None:
            raise CaptureError("no acquisition has started")
        columns = self._made(self._received - self._given)
        made = Acquisition(columns, self._units(), self._fields(), self.start, self._given, end, error)
        self.start = None
        return made

    def problem(self, end: EndData) -> CaptureError | None:
        """Return why the acquisition that has ended is incomplete; None if it is complete."""
        return problem_of(end, self._received)

    def _made(self, count: int) -> dict[str, npt.NDArray[Any]]:
        made = {column.name: np.empty((count, *column.shape), column.dtype) for column in self._columns}
        row = 0
        while self._frames:
            frame = self._frames.popleft()  # releases the memory of the frame
            for column in self._columns:
                column.fill(frame, made[column.name][row : row + len(frame)])
            row += len(frame)
        self.held_bytes = 0
        return made

    def _units(self) -> dict[str, str]:
        return {column.name: column.field.units if column.scaled else "" for column in self._columns}

    def _fields(self) -> dict[str, FieldCapture]:
        return {column.name: column.field for column in self._columns}
