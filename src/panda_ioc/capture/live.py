"""The last samples, for people to watch: in units, against time, with what can be told of them at a glance.

Taking what comes costs next to nothing: frames are kept as they are, and only as many as are shown. What is
shown is made of them when somebody asks, which may be done in another thread.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..protocol import Data, FieldCapture, FrameData, StartData
from .acquisition import Acquisition
from .columns import Column, Frame, stored_columns
from .options import ColumnOptions

Floats = npt.NDArray[np.float64]

#: The columns that tell when a sample was taken, the best first.
TIMES = ("PCAP.TS_TRIG.Value", "PCAP.TS_END.Value", "PCAP.TS_START.Value")

#: Of several columns of a field, the one that is shown for it, the best first.
PREFERRED = ("Value", "Mean", "Diff", "Sum", "Max", "Min", "StdDev")


@dataclass(frozen=True)
class Statistics:
    """What can be told of the samples shown of a column, in its units; nan where there is none."""

    mean: float
    deviation: float
    minimum: float
    maximum: float
    last: float


@dataclass(frozen=True)
class Trace:
    """A column of a snapshot.

    Attributes:
        field: what was captured
        values: float64 in the field's units, or the uint32 of bits; shape (samples,)
        statistics: of these values
    """

    field: FieldCapture
    values: npt.NDArray[np.generic]
    statistics: Statistics


@dataclass(frozen=True)
class Snapshot:
    """The last samples, of all columns at the same time.

    Attributes:
        start: the acquisition that they are of
        traces: all columns, in the order of the data port
        time: when each sample was taken, in seconds from the start of the acquisition; its number in the
            acquisition if no time stamp is captured; shape (samples,)
        time_source: the field of the time stamps; "" for sample numbers
        samples: how many the acquisition has so far
    """

    start: StartData
    traces: tuple[Trace, ...]
    time: Floats
    time_source: str
    samples: int

    def by_field(self) -> dict[str, Trace]:
        """One trace for each field: of several, the one that says most."""
        best: dict[str, Trace] = {}
        for trace in sorted(self.traces, key=lambda trace: _rank(trace.field)):
            best.setdefault(trace.field.name, trace)
        return best


@dataclass(frozen=True)
class Shown:
    """What a snapshot is made of; `asked` as for `ColumnOptions`."""

    start: StartData
    frames: tuple[Frame, ...]
    samples: int
    points: int
    asked: frozenset[str] | None

    def snapshot(self) -> Snapshot:
        """Scale the samples.

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
    """Keeps the last samples.

    Args:
        points: how many
        asked: returns the columns that people chose for capture, as for `ColumnOptions`; called when an
            acquisition begins
    """

    def __init__(self, points: int = 1000, asked: Callable[[], frozenset[str] | None] = lambda: None) -> None:
        self._points = points
        self._acquisition: Acquisition | None = None
        self._find_asked = asked
        self._asked: frozenset[str] | None = None
        self._frames: deque[Frame] = deque()
        self._kept = 0
        #: Counts what came, so that nothing is made anew when nothing has.
        self.version = 0

    @property
    def points(self) -> int:
        """How many samples are kept; more come only with new data."""
        return self._points

    @points.setter
    def points(self, points: int) -> None:
        self._points = points
        self.version += 1
        self._trim()

    def take(self, data: Data, acquisition: Acquisition, *, keep: bool = True) -> None:
        """Take what comes. It waits for nothing.

        Args:
            data: from the data port; it must not be left out, or what is shown makes no sense
            acquisition: that it is of, as it is with it
            keep: whether it is to be shown; otherwise what was shown before is shown no more
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

    def shown(self) -> Shown | None:
        """What there is to show; None before the first acquisition."""
        if self._acquisition is None:
            return None
        current = self._acquisition
        return Shown(current.start, tuple(self._frames), current.samples, self._points, self._asked)

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
    with np.errstate(all="ignore"):  # values that are not numbers are shown as they are
        mean, deviation, minimum, maximum = numbers.mean(), numbers.std(), numbers.min(), numbers.max()
    return Statistics(float(mean), float(deviation), float(minimum), float(maximum), float(numbers[-1]))


def _rank(field: FieldCapture) -> int:
    return PREFERRED.index(field.capture) if field.capture in PREFERRED else len(PREFERRED)
