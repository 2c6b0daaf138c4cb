"""Errors of trials."""

from ..protocol import PandaError


class TrialError(PandaError):
    """A design that cannot be run or shown as requested; the message gives the reason."""
