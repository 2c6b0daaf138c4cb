"""Errors of scaling and storing captured data."""

from ..protocol import PandaError


class CaptureError(PandaError):
    """Captured data that cannot be scaled, stored or read as requested; the message has the file or column."""
