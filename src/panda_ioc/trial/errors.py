"""What can go wrong when a design is tried."""

from ..protocol import PandaError


class TrialError(PandaError):
    """A design cannot be tried or shown as asked; the message says what and why."""
