"""The state of one acquisition, updated with each event of the data port.

The reader of a data port updates the `AcquisitionState` with `follow` and passes it with each event to captures and
live views, so that these need not count samples themselves.
"""

from dataclasses import dataclass

from ..protocol import Data, EndData, FrameData, ReadyData, StartData


@dataclass(frozen=True)
class AcquisitionState:
    """The state of an acquisition.

    Attributes:
        start: start event
        samples: number of samples received, including those of the current event
        end: end event; None during the acquisition
        captured: number of samples that the PandA had captured at a bad end; None if unknown
    """

    start: StartData
    samples: int = 0
    end: EndData | None = None
    captured: int | None = None

    @property
    def lost(self) -> int:
        """The number of samples that the PandA reports as sent or captured but that were not received."""
        if self.end is None:
            return 0
        captured = 0 if self.captured is None else self.captured - self.start.missed
        return max(self.end.samples - self.samples, captured - self.samples, 0)

    @property
    def problem(self) -> str:
        """Why the acquisition is incomplete; "" if it is complete or has not ended."""
        if self.end is None:
            return ""
        if not self.end.good:
            return f"the acquisition ended with: {self.end.reason}"
        if self.end.samples != self.samples:
            return f"the PandA sent {self.end.samples} samples, but {self.samples} were received"
        return ""


def samples_in(data: Data) -> int:
    """Return the number of samples in an event."""
    return len(data.data) if isinstance(data, FrameData) else 0


def follow(acquisition: AcquisitionState | None, data: Data) -> AcquisitionState | None:
    """Return the state of an acquisition after an event.

    Args:
        acquisition: state before the event; None before the first event of a connection
        data: event from the data port

    Raises:
        ValueError: samples or an end arrive before a start, which `DataConnection` excludes
    """
    match data:
        case StartData():
            return AcquisitionState(data)
        case FrameData() if acquisition is not None:
            return AcquisitionState(acquisition.start, acquisition.samples + len(data.data))
        case EndData() if acquisition is not None:
            return AcquisitionState(acquisition.start, acquisition.samples, data)
        case ReadyData():
            return None
    raise ValueError(f"{type(data).__name__} arrived before the start of an acquisition")
