"""Formats for times and numbers with units."""

import math

#: Units of time, longest first, in seconds.
_TIMES = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))

#: Units that a number in an expectation may have, as factors.
FACTORS = {"": 1.0, **dict(_TIMES), "min": 60.0, "h": 3600.0}


def engineering(seconds: float, digits: int = 6) -> str:
    """Format a time in s with a suitable unit: "12.5 us", "-3 ms"."""
    if not seconds or not math.isfinite(seconds):
        return f"{seconds:g} s"
    unit, factor = unit_of(seconds)
    return f"{round(seconds / factor, 9):.{digits}g} {unit}"


def unit_of(seconds: float) -> tuple[str, float]:
    """Return the unit that suits a time, and the unit in seconds."""
    size = abs(seconds) * (1 + 1e-12)
    return next(((unit, factor) for unit, factor in _TIMES if size >= factor), _TIMES[-1])
