"""Captured data: scaling, HDF5 files, live views. Independent of EPICS."""

from .errors import CaptureError
from .reading import read_columns

__all__ = ["CaptureError", "read_columns"]
