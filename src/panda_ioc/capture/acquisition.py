"""One acquisition as far as it came, which is handed on with each event of the data port.

Whoever reads a data port keeps the one `Acquisition`, with `follow`; a capture and a live view are given it with each
event, and need not count samples themselves.
"""

from dataclasses import dataclass

from ..protocol import Data, EndData, FrameData, ReadyData, StartData


@dataclass(frozen=True)
class Acquisition:
    """An acquisition.

    Attributes:
        start: its beginning
        samples: how many came, with those of the event that this was handed with
        end: its end; None while it is under way
        captured: how many the PandA had captured when it ended badly; None if that is not known
    """

    start: StartData
    samples: int = 0
    end: EndData | None = None
    captured: int | None = None

    @property
    def under_way(self) -> bool:
        """Whether more may come of it."""
        return self.end is None

    @property
    def lost(self) -> int:
        """Samples that did not come, though the PandA says that it sent or captured them."""
        if self.end is None:
            return 0
        captured = 0 if self.captured is None else self.captured - self.start.missed
        return max(self.end.samples - self.samples, captured - self.samples, 0)

    @property
    def problem(self) -> str:
        """Why it is not complete; "" if it is, or is under way."""
        if self.end is None:
            return ""
        if not self.end.good:
            return f"the acquisition ended with: {self.end.reason}"
        if self.end.samples != self.samples:
            return f"the PandA says that it sent {self.end.samples} samples, but {self.samples} came"
        return ""


def samples_in(data: Data) -> int:
    """The number of samples that came with an event."""
    return len(data.data) if isinstance(data, FrameData) else 0


def follow(acquisition: Acquisition | None, data: Data) -> Acquisition | None:
    """Return the acquisition as it is after an event.

    Args:
        acquisition: as it was; None before the first event of a connection
        data: what came; `DataConnection` gives a beginning before samples, and samples before an end
    """
    match data:
        case StartData():
            return Acquisition(data)
        case FrameData() if acquisition is not None:
            return Acquisition(acquisition.start, acquisition.samples + len(data.data))
        case EndData() if acquisition is not None:
            return Acquisition(acquisition.start, acquisition.samples, data)
        case ReadyData():
            return None
    raise ValueError(f"{type(data).__name__} came before the beginning of an acquisition")
