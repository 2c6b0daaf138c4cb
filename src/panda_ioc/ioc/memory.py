"""Give memory back to the system after something large.

A full table passes through here in many shapes, and the C library keeps what was freed: without this an IOC
that has met one stays 100 MB larger, which is more than a container may have.
"""

import ctypes
import ctypes.util
from collections.abc import Callable

try:
    _trim: Callable[[int], int] = ctypes.CDLL(ctypes.util.find_library("c")).malloc_trim
except (AttributeError, OSError, TypeError):  # another C library than that of GNU has no such thing
    _trim = int


def give_back() -> None:
    """Give back what is free now: some milliseconds."""
    _trim(0)
