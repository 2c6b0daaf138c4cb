"""Selection of the samples for a file, with the capture modes of areaDetector.

A selection receives all events of the data port and yields the events to write. These form complete acquisitions: each
start is followed by an end. A selection can start in the middle of an acquisition.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from ..protocol import Data, EndData, FrameData, StartData
from .acquisition import AcquisitionState, samples_in
from .errors import CaptureError

#: End reason in a file that reached its number of samples before the acquisition ended.
ENOUGH = "Number to capture reached"

#: Maximum size in bytes of the last samples, which are kept in memory until the acquisition ends.
MAX_LAST_BYTES = 32 << 20

#: Events that are written to a file.
Selected = StartData | FrameData | EndData


class Selection(Protocol):
    """A selection of samples.

    Attributes:
        done: whether the selection is complete
    """

    done: bool

    def process(self, data: Data, acquisition: AcquisitionState) -> Iterator[Selected]:
        """Process an event and the state of its acquisition; yield the events to write.

        Raises:
            CaptureError: the selection is not possible
        """

    def stop(self, reason: str) -> Iterator[Selected]:
        """End the selection; yield the events still to be written.

        Args:
            reason: end reason for an acquisition that has not ended
        """


class First:
    """A selection of the first samples: up to a number of samples or acquisitions; 0 for no limit."""

    def __init__(self, samples: int = 0, acquisitions: int = 0) -> None:
        self.done = False
        self._left = samples or None
        self._acquisitions_left = acquisitions or None
        self._acquisition: AcquisitionState | None = None  # started in the file and not ended

    def process(self, data: Data, acquisition: AcquisitionState) -> Iterator[Selected]:
        """See `Selection`."""
        if self._acquisition is None or self._acquisition.start is not acquisition.start:
            before = acquisition.samples - samples_in(data)
            yield replace(acquisition.start, missed=acquisition.start.missed + before) if before else acquisition.start
        self._acquisition = acquisition
        match data:
            case FrameData():
                yield from self._take_samples(data, acquisition)
            case EndData():
                yield data
                self._acquisition = None
                if self._acquisitions_left is not None:
                    self._acquisitions_left -= 1
                    self.done = not self._acquisitions_left

    def stop(self, reason: str) -> Iterator[Selected]:
        """See `Selection`."""
        if self._acquisition is not None:
            yield EndData(self._acquisition.samples, reason)
            self._acquisition = None

    def _take_samples(self, data: FrameData, acquisition: AcquisitionState) -> Iterator[Selected]:
        if self._left is None or len(data.data) < self._left:
            self._left = None if self._left is None else self._left - len(data.data)
            yield data
            return
        surplus = len(data.data) - self._left
        yield FrameData(data.data[: self._left])
        yield EndData(acquisition.samples - surplus, ENOUGH)
        self._acquisition = None
        self.done = True


class Last:
    """A selection of the last samples of one acquisition, which are written at its end."""

    def __init__(self, samples: int) -> None:
        if not samples:
            raise CaptureError("LAST_N needs NUM_CAPTURE > 0")
        self.done = False
        self._wanted = samples
        self._acquisition: AcquisitionState | None = None
        self._frames: deque[FrameData] = deque()
        self._kept = 0

    def process(self, data: Data, acquisition: AcquisitionState) -> Iterator[Selected]:
        """See `Selection`."""
        if self._acquisition is None and self._wanted * acquisition.start.sample_bytes > MAX_LAST_BYTES:
            raise CaptureError(
                f"the last {self._wanted} samples of {acquisition.start.sample_bytes} bytes need more than "
                f"{MAX_LAST_BYTES >> 20} MiB of memory: reduce NUM_CAPTURE or capture fewer fields"
            )
        self._acquisition = acquisition
        match data:
            case FrameData():
                self._frames.append(data)
                self._kept += len(data.data)
                while self._kept - len(self._frames[0].data) >= self._wanted:
                    self._kept -= len(self._frames.popleft().data)
            case EndData():
                yield from self._last(acquisition, data)

    def stop(self, reason: str) -> Iterator[Selected]:
        """See `Selection`."""
        if self._acquisition is not None:
            yield from self._last(self._acquisition, EndData(self._acquisition.samples, reason))

    def _last(self, acquisition: AcquisitionState, end: EndData) -> Iterator[Selected]:
        start = acquisition.start
        skip = max(self._kept - self._wanted, 0)
        yield replace(start, missed=start.missed + acquisition.samples - self._kept + skip)
        for frame in self._frames:
            yield FrameData(frame.data[skip:])
            skip = 0
        yield end
        self._frames.clear()
        self._acquisition = None
        self.done = True


#: Factory of the selection of each capture mode, given the number of samples. The order is that of the enum PV.
MODES: Mapping[str, Callable[[int], Selection]] = {
    "FIRST_N": lambda samples: First(samples, acquisitions=1),
    "LAST_N": Last,
    "FOREVER": lambda _: First(),
}
