"""What can go wrong between captured data and a file."""

from ..protocol import PandaError


class CaptureError(PandaError):
    """Captured data cannot be stored as asked; the message says what, where and why."""
