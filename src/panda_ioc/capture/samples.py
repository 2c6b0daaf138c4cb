"""Captured data as arrays in physical units: plain data, and how it is put together from what a data port sends.

It knows no sockets: `acquisitions` carries what both clients give to it.
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

#: Bytes of raw samples that one acquisition may have, to be given as a whole.
MAX_BYTES = 1 << 30

#: Bytes that a frame takes beside its samples.
_FRAME_BYTES = 512

#: Where the time of a sample is taken from, the best first.
_TIMES = ("PCAP.TS_TRIG", "PCAP.TS_END", "PCAP.TS_START")

Columns = Callable[[StartData], Sequence[Column]]


@dataclass(frozen=True, eq=False)
class Samples:
    """Some samples of an acquisition.

    Attributes:
        columns: an array of n values for each column, by its name, "COUNTER1.OUT.Value": float64 in units;
            words of bits are uint32
        units: of each column, by its name; "" where there are none
        fields: what was captured for each column, by its name
        start: the beginning of the acquisition
        first: the number of the first sample, counted from 0 at the first one that was received
    """

    columns: dict[str, npt.NDArray[Any]]
    units: dict[str, str]
    fields: dict[str, FieldCapture] = field(repr=False)
    start: StartData
    first: int

    def __len__(self) -> int:
        """How many samples there are."""
        return len(next(iter(self.columns.values()), ()))

    @property
    def array(self) -> npt.NDArray[np.void]:
        """All columns as a structured array of shape (n,), with a field for each, by its name; a copy."""
        dtype = np.dtype([(name, values.dtype, values.shape[1:]) for name, values in self.columns.items()])
        array = np.empty(len(self), dtype)
        for name, values in self.columns.items():
            array[name] = values
        return array

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """The time of each sample in seconds since `start.start_time`, of shape (n,).

        From PCAP.TS_TRIG, or else TS_END or TS_START: whichever is captured.

        Raises:
            CaptureError: none is
        """
        for source in _TIMES:
            for name, of in self.fields.items():
                if (of.name, of.capture, self.columns[name].dtype.str) == (source, "Value", "<f8"):
                    return self.columns[name]
        raise CaptureError(f"no time stamp was captured: set {_TIMES[0]}.CAPTURE to Value")

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """The time of each sample in UTC, datetime64[ns] of shape (n,), by the clock of the PandA.

        Raises:
            CaptureError: no time stamp was captured, or the PandA did not tell when the acquisition started
        """
        began = _moment(self.start.start_time)
        return began + np.rint(self.seconds * 1e9).astype("timedelta64[ns]")


@dataclass(frozen=True, eq=False)
class Acquisition(Samples):
    """An acquisition.

    Attributes:
        columns, units, fields, start, first: as for `Samples`; `first` is 0
        end: how the PandA ended it; None if it was lost
        error: why it does not have all that was to be captured; None if it does
    """

    end: EndData | None
    error: CaptureError | None

    @property
    def missed(self) -> int:
        """Samples that the PandA had lost before the client connected."""
        return self.start.missed


class IncompleteAcquisitionError(CaptureError):
    """An acquisition ended, and does not have all that was to be captured.

    Attributes:
        acquisition: what there is of it; None if it was given in pieces
    """

    def __init__(self, reason: str, acquisition: Acquisition | None) -> None:
        super().__init__(reason)
        self.acquisition = acquisition


def problem_of(end: EndData, received: int) -> CaptureError | None:
    """Return why the samples that were received are not all of an acquisition that ended; None if they are."""
    if not end.good:
        return CaptureError(f"the acquisition ended with: {end.reason}")
    if end.samples != received:
        return CaptureError(f"the PandA says that it sent {end.samples} samples, but {received} came")
    return None


def _moment(told: str) -> np.datetime64:
    try:
        moment: np.datetime64 = np.datetime64(told.removesuffix("Z"), "ns")
        if not np.isnat(moment):
            return moment
    except ValueError:
        pass
    raise CaptureError(f"the PandA told no start time that makes sense: {told!r}")


class Assembler:
    """Puts samples together. It is given all that a data connection gives.

    Args:
        columns: which there are of an acquisition, and how their values are made
        max_bytes: raw samples that may be held

    Attributes:
        start: the beginning of the acquisition under way; None between acquisitions
        held_bytes: what is held of it
    """

    def __init__(self, columns: Columns = stored_columns, max_bytes: int = MAX_BYTES) -> None:
        self.start: StartData | None = None
        self.held_bytes = 0
        self._find_columns = columns
        self._max_bytes = max_bytes
        self._columns: Sequence[Column] = ()
        self._frames: deque[Frame] = deque()
        self._received = self._given = 0

    def take(self, data: Data) -> None:
        """Take what comes, up to the end of an acquisition.

        Raises:
            CaptureError: the columns cannot be made, or the samples are too many
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
                        f"the acquisition has more than the {self._max_bytes / 2**20:g} MiB that may be held: allow "
                        "more with max_bytes, take it in pieces with samples(), or write it to a file"
                    )

    def samples(self) -> Samples | None:
        """Return what came since the last call, None if nothing did."""
        if self.start is None or not self._frames:
            return None
        first, self._given = self._given, self._received
        columns = self._made(self._received - first)
        return Samples(columns, self._units(), self._fields(), self.start, first)

    def acquisition(self, end: EndData | None, error: CaptureError | None) -> Acquisition:
        """Return all that is held, and hold nothing any more.

        Raises:
            CaptureError: no acquisition is under way
        """
        if self.start is None:
            raise CaptureError("no acquisition is under way")
        columns = self._made(self._received - self._given)
        made = Acquisition(columns, self._units(), self._fields(), self.start, self._given, end, error)
        self.start = None
        return made

    def problem(self, end: EndData) -> CaptureError | None:
        """Return why what came is not all of an acquisition that ended; None if it is."""
        return problem_of(end, self._received)

    def _made(self, count: int) -> dict[str, npt.NDArray[Any]]:
        made = {column.name: np.empty((count, *column.shape), column.dtype) for column in self._columns}
        row = 0
        while self._frames:
            frame = self._frames.popleft()  # and let go of it: its memory is needed for what is made
            for column in self._columns:
                column.fill(frame, made[column.name][row : row + len(frame)])
            row += len(frame)
        self.held_bytes = 0
        return made

    def _units(self) -> dict[str, str]:
        return {column.name: column.field.units if column.scaled else "" for column in self._columns}

    def _fields(self) -> dict[str, FieldCapture]:
        return {column.name: column.field for column in self._columns}
