"""Snapshot of the state of a capture."""

from dataclasses import dataclass
from enum import Enum, auto

from ..protocol import PandaError


class Phase(Enum):
    """The phase of a capture."""

    CAPTURING = auto()
    #: No more samples are accepted; the queue is being written, then the file is closed.
    CLOSING = auto()
    CLOSED = auto()


@dataclass(frozen=True)
class Progress:
    """The state of a capture at one moment.

    Attributes:
        phase: current phase
        received: number of samples received
        missed: number of samples taken before the client connected or before the capture started
        dropped: number of samples that the PandA reports as sent or captured but that were not received
        acquisitions: number of acquisitions started
        end_reason: end reason of the last acquisition; "" before the first end
        accepted: number of samples selected for the file
        flushed: number of samples visible to readers of the file
        queued_bytes: size of the samples in the write queue in bytes
        queue_limit: intended maximum of `queued_bytes`
        full: whether the queue is full, so that reading from the PandA should pause
        swmr: whether the file can be read while it is written
        error: error that ended the capture; None if there was none
    """

    phase: Phase
    received: int
    missed: int
    dropped: int
    acquisitions: int
    end_reason: str
    accepted: int
    flushed: int
    queued_bytes: int
    queue_limit: int
    full: bool
    swmr: bool
    error: PandaError | None

    @property
    def waiting(self) -> int:
        """The number of samples selected for the file but not yet visible to its readers."""
        return self.accepted - self.flushed
