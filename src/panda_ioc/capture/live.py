"""Live view: the last samples in physical units, with their times and statistics.

Adding frames is cheap: they are kept as received, only as many as are shown. Scaling is done when a snapshot is
requested, possibly in another thread.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..protocol import Data, FieldCapture, FrameData, StartData
from .acquisition import AcquisitionState
from .columns import Column, Frame, stored_columns
from .options import ColumnOptions

Floats = npt.NDArray[np.float64]

#: Columns with the time of a sample, in order of preference.
TIMES = ("PCAP.TS_TRIG.Value", "PCAP.TS_END.Value", "PCAP.TS_START.Value")

#: Captured quantity that represents a field, in order of preference.
PREFERRED = ("Value", "Mean", "Diff", "Sum", "Max", "Min", "StdDev")


@dataclass(frozen=True)
class Statistics:
    """The statistics of the samples of one column, in its units; NaN if there are no samples."""

    mean: float
    deviation: float
    minimum: float
    maximum: float
    last: float


@dataclass(frozen=True)
class Trace:
    """One column of a snapshot.

    Attributes:
        field: captured column
        values: (samples,) float64 in the units of the field, or uint32 for bits
        statistics: statistics of `values`
    """

    field: FieldCapture
    values: npt.NDArray[np.generic]
    statistics: Statistics


@dataclass(frozen=True)
class Snapshot:
    """The last samples of all columns.

    Attributes:
        start: start of their acquisition
        traces: columns, in the order of the data port
        time: (samples,) float64, time of each sample in s since the start of the acquisition; the number of each
            sample if no time stamp is captured
        time_source: field of the time stamps; "" for sample numbers
        samples: number of samples of the acquisition so far
    """

    start: StartData
    traces: tuple[Trace, ...]
    time: Floats
    time_source: str
    samples: int

    def by_field(self) -> dict[str, Trace]:
        """Return one trace for each field: the first of PREFERRED that is captured."""
        best: dict[str, Trace] = {}
        for trace in sorted(self.traces, key=lambda trace: _rank(trace.field)):
            best.setdefault(trace.field.name, trace)
        return best


@dataclass(frozen=True)
class LiveWindow:
    """The raw samples of a snapshot; `asked` is that of `ColumnOptions`."""

    start: StartData
    frames: tuple[Frame, ...]
    samples: int
    points: int
    asked: frozenset[str] | None

    def snapshot(self) -> Snapshot:
        """Return the scaled samples.

        Raises:
            CaptureError: a column cannot be scaled
        """
        rows = self._rows()
        options = ColumnOptions(asked=self.asked)
        traces = tuple(_trace(column, rows) for column in stored_columns(self.start, options))
        for name in TIMES:
            for trace in traces:
                if trace.field.column == name and trace.values.dtype == np.float64:
                    return Snapshot(self.start, traces, trace.values.astype(np.float64), trace.field.name, self.samples)
        numbers = np.arange(self.samples - len(rows), self.samples, dtype=np.float64)
        return Snapshot(self.start, traces, numbers, "", self.samples)

    def _rows(self) -> Frame:
        frames = [frame.view(np.uint8) for frame in self.frames]
        rows = np.concatenate(frames).view(self.start.dtype) if frames else np.empty(0, self.start.dtype)
        return rows[-self.points :]


class LiveView:
    """A buffer of the last samples.

    Args:
        points: number of samples to keep
        asked: function that returns the columns selected for capture, as in `ColumnOptions`; called at the start of
            each acquisition
    """

    def __init__(self, points: int = 1000, asked: Callable[[], frozenset[str] | None] = lambda: None) -> None:
        self._points = points
        self._acquisition: AcquisitionState | None = None
        self._find_asked = asked
        self._asked: frozenset[str] | None = None
        self._frames: deque[Frame] = deque()
        self._kept = 0
        #: Incremented with each change, so that callers can skip unchanged data.
        self.version = 0

    @property
    def points(self) -> int:
        """The number of samples to keep. After an increase, the buffer fills with new data."""
        return self._points

    @points.setter
    def points(self, points: int) -> None:
        self._points = points
        self.version += 1
        self._trim()

    def process(self, data: Data, acquisition: AcquisitionState, *, keep: bool = True) -> None:
        """Add an event of the data port. Never blocks.

        Args:
            data: event; none may be omitted
            acquisition: state of the acquisition, including this event
            keep: False discards the samples, and those shown before
        """
        self._acquisition = acquisition
        match data:
            case StartData():
                self._asked = self._find_asked()
                self._frames.clear()
                self._kept = 0
                self.version += 1
            case FrameData():
                if keep:
                    self._frames.append(data.data)
                    self._kept += len(data.data)
                    self.version += 1
                    self._trim()
                else:
                    self._frames.clear()
                    self._kept = 0

    def window(self) -> LiveWindow | None:
        """Return the samples to show; None before the first acquisition."""
        if self._acquisition is None:
            return None
        current = self._acquisition
        return LiveWindow(current.start, tuple(self._frames), current.samples, self._points, self._asked)

    def _trim(self) -> None:
        while self._frames and self._kept - len(self._frames[0]) >= self._points:
            self._kept -= len(self._frames.popleft())


def _trace(column: Column, rows: Frame) -> Trace:
    values = np.empty((len(rows), *column.shape), column.dtype)
    column.fill(rows, values)
    return Trace(column.field, values, _statistics(values))


def _statistics(values: npt.NDArray[np.generic]) -> Statistics:
    if not len(values):
        nothing = float("nan")
        return Statistics(nothing, nothing, nothing, nothing, nothing)
    numbers = values.astype(np.float64, copy=False)
    with np.errstate(all="ignore"):  # NaN and inf in values are not errors
        mean, deviation, minimum, maximum = numbers.mean(), numbers.std(), numbers.min(), numbers.max()
    return Statistics(float(mean), float(deviation), float(minimum), float(maximum), float(numbers[-1]))


def _rank(field: FieldCapture) -> int:
    return PREFERRED.index(field.capture) if field.capture in PREFERRED else len(PREFERRED)
