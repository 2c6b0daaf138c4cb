"""Which samples of a data connection go into a file: as areaDetector's modes have it.

A selection is given all that comes, and hands on what is to be written as whole acquisitions: each that begins
also ends. It knows neither files nor sockets.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from ..protocol import Data, EndData, FrameData, StartData
from .errors import CaptureError

#: What a file says of an acquisition that went on after the file had all that it was to have.
ENOUGH = "Number to capture reached"

#: Bytes that the last samples may take, which wait in memory until the acquisition ends.
MAX_LAST_BYTES = 32 << 20


class Selection(Protocol):
    """What goes into the file.

    Attributes:
        done: whether nothing follows
    """

    done: bool

    def take(self, data: Data) -> Iterator[Data]:
        """Take what comes; give what is to be written.

        Raises:
            CaptureError: it cannot be done
        """


class First:
    """All that comes, up to a number of samples or of acquisitions; 0 for no limit."""

    def __init__(self, samples: int = 0, acquisitions: int = 0) -> None:
        self.done = False
        self._left = samples or None
        self._acquisitions_left = acquisitions or None
        self._samples = 0

    def take(self, data: Data) -> Iterator[Data]:
        """See `Selection`."""
        match data:
            case StartData():
                self._samples = 0
                yield data
            case FrameData():
                chosen = data.data[: self._left]
                self._samples += len(chosen)
                yield FrameData(chosen)
                if self._left is not None:
                    self._left -= len(chosen)
                if self._left == 0:
                    yield EndData(self._samples, ENOUGH)
                    self.done = True
            case EndData():
                yield data
                if self._acquisitions_left is not None:
                    self._acquisitions_left -= 1
                    self.done = not self._acquisitions_left


class Last:
    """The last samples of one acquisition, which are written when it ends."""

    def __init__(self, samples: int) -> None:
        if not samples:
            raise CaptureError("how many of the last samples to capture is not told: the number is 0")
        self.done = False
        self._wanted = samples
        self._start: StartData | None = None
        self._frames: deque[FrameData] = deque()
        self._samples = self._received = 0

    def take(self, data: Data) -> Iterator[Data]:
        """See `Selection`."""
        match data:
            case StartData():
                if self._wanted * data.sample_bytes > MAX_LAST_BYTES:
                    raise CaptureError(
                        f"the last {self._wanted} samples of {data.sample_bytes} bytes are more than the "
                        f"{MAX_LAST_BYTES >> 20} MiB of memory that there are for them"
                    )
                self._start = data
            case FrameData():
                self._frames.append(data)
                self._samples += len(data.data)
                self._received += len(data.data)
                while self._samples - len(self._frames[0].data) >= self._wanted:
                    self._samples -= len(self._frames.popleft().data)
            case EndData() if self._start is not None:
                yield from self._last(self._start, data)
                self.done = True

    def _last(self, start: StartData, end: EndData) -> Iterator[Data]:
        skip = max(self._samples - self._wanted, 0)
        yield replace(start, missed=start.missed + self._received - self._samples + skip)
        for frame in self._frames:
            yield FrameData(frame.data[skip:])
            skip = 0
        yield end


#: The modes, in the order that process variables have always had them: each makes a selection of the number
#: of samples to capture.
MODES: Mapping[str, Callable[[int], Selection]] = {
    "FIRST_N": lambda samples: First(samples, acquisitions=1),
    "LAST_N": Last,
    "FOREVER": lambda _: First(),
}
