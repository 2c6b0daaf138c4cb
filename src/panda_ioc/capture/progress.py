"""How a capture goes: one record, which does not change, for all who show it."""

from dataclasses import dataclass
from enum import Enum, auto

from ..protocol import PandaError


class Phase(Enum):
    """What a capture does."""

    CAPTURING = auto()
    #: It takes no more; what waits is written, and the file is closed.
    CLOSING = auto()
    CLOSED = auto()


@dataclass(frozen=True)
class Progress:
    """A capture at one moment.

    Attributes:
        phase: what it does
        received: samples that came
        missed: samples that the PandA had before it was connected to, or before the capture began
        dropped: samples that did not come, though the PandA says that it sent or captured them
        acquisitions: how many began
        end_reason: why the last one ended; "" while none has
        accepted: samples that were selected for the file
        flushed: samples of the file that others can read
        queued_bytes, queue_limit: bytes of samples that wait for the disk, and how many should at most
        full: whether no more should be given to it until the disk has taken some
        swmr: whether others can read the file as it grows
        error: what went wrong; None if all is well
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
        """Samples that were selected for the file, but that others cannot read in it yet."""
        return self.accepted - self.flushed
