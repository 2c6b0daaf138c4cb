"""What happens to captured data: scaling, files, live views. Knows no EPICS."""

from .errors import CaptureError
from .reading import read_columns

__all__ = ["CaptureError", "read_columns"]
