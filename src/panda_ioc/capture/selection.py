"""Which samples of a data connection go into a file: as areaDetector's modes have it.

A selection is given all that comes, and hands on what is to be written as whole acquisitions: each that begins
also ends. It may begin in the middle of one. It knows neither files nor sockets.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from ..protocol import Data, EndData, FrameData, StartData
from .acquisition import Acquisition, samples_in
from .errors import CaptureError

#: What a file says of an acquisition that went on after the file had all that it was to have.
ENOUGH = "Number to capture reached"

#: Bytes that the last samples may take, which wait in memory until the acquisition ends.
MAX_LAST_BYTES = 32 << 20

#: What a file is made of.
Selected = StartData | FrameData | EndData


class Selection(Protocol):
    """What goes into the file.

    Attributes:
        done: whether nothing follows
    """

    done: bool

    def take(self, data: Data, acquisition: Acquisition) -> Iterator[Selected]:
        """Take what comes, and the acquisition that it is of; give what is to be written.

        Raises:
            CaptureError: it cannot be done
        """

    def stop(self, reason: str) -> Iterator[Selected]:
        """Give what is to be written if nothing more comes.

        Args:
            reason: what the file says of an acquisition that is not complete in it
        """


class First:
    """All that comes, up to a number of samples or of acquisitions; 0 for no limit."""

    def __init__(self, samples: int = 0, acquisitions: int = 0) -> None:
        self.done = False
        self._left = samples or None
        self._acquisitions_left = acquisitions or None
        self._acquisition: Acquisition | None = None  # what has begun in the file, and not ended

    def take(self, data: Data, acquisition: Acquisition) -> Iterator[Selected]:
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

    def _take_samples(self, data: FrameData, acquisition: Acquisition) -> Iterator[Selected]:
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
    """The last samples of one acquisition, which are written when it ends."""

    def __init__(self, samples: int) -> None:
        if not samples:
            raise CaptureError("LAST_N needs a number of samples to capture (NUM_CAPTURE), which is 0")
        self.done = False
        self._wanted = samples
        self._acquisition: Acquisition | None = None
        self._frames: deque[FrameData] = deque()
        self._kept = 0

    def take(self, data: Data, acquisition: Acquisition) -> Iterator[Selected]:
        """See `Selection`."""
        if self._acquisition is None and self._wanted * acquisition.start.sample_bytes > MAX_LAST_BYTES:
            raise CaptureError(
                f"the last {self._wanted} samples of {acquisition.start.sample_bytes} bytes are more than the "
                f"{MAX_LAST_BYTES >> 20} MiB of memory that there are for them"
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

    def _last(self, acquisition: Acquisition, end: EndData) -> Iterator[Selected]:
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


#: The modes, in the order that process variables have always had them: each makes a selection of the number
#: of samples to capture.
MODES: Mapping[str, Callable[[int], Selection]] = {
    "FIRST_N": lambda samples: First(samples, acquisitions=1),
    "LAST_N": Last,
    "FOREVER": lambda _: First(),
}
