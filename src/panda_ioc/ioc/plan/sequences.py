"""Plot arrays of a SEQ table: the levels of its outputs over time.

Each row is shown once, as if its trigger were immediate: first TIME1 with the outputs of phase 1, then TIME2 with the
outputs of phase 2. Times are in units of the block's PRESCALE, which is not part of the table.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .record import Array

Floats = npt.NDArray[np.float64]

#: Name of the time axis among the plot arrays; the others have the names of the outputs.
TIME = "time"

#: Maximum rows that are plotted.
MAX_PLOT_ROWS = 2000

#: Maximum elements of a plot array: two phases per row, and the end.
MAX_PLOT_POINTS = 2 * MAX_PLOT_ROWS + 1

#: Vertical distance of the outputs in a plot; each has levels 0 and 1.
STEP = 1.5

_OUTPUT = re.compile(r"(out[a-z])1")


def outputs_of(columns: Iterable[str]) -> list[str]:
    """Return the outputs, "outa" and so on, that a table with these columns drives; empty if it has no phases."""
    names = set(columns)
    found = sorted(match[1] for name in names if (match := _OUTPUT.fullmatch(name)))
    return [output for output in found if {f"{output}2", "time1", "time2"} <= names]


def over_time(columns: Mapping[str, Array]) -> dict[str, Floats]:
    """Return the plot arrays of a table by name: the values at the start of each phase and at the end.

    The names are `TIME` and those of the outputs. The outputs are offset by `STEP`, the first on top. An empty table is
    one step with all outputs low, and a table of zero duration ends after one step: a plot needs a time axis of nonzero
    width.
    """
    outputs = outputs_of(columns)
    if not outputs:
        return {}
    times = np.cumsum(_both(columns, "time"))
    if not times.any():
        times = np.append(times[:-1], 1.0)
    arrays = {TIME: np.concatenate(([0.0], times))}
    for place, output in enumerate(reversed(outputs)):
        levels = _both(columns, output)
        levels = levels if len(levels) else np.zeros(1)
        arrays[output] = np.append(levels, levels[-1:]) + place * STEP
    return arrays


def _both(columns: Mapping[str, Array], name: str) -> npt.NDArray[Any]:
    """Return the columns of both phases interleaved, row by row."""
    halves = [np.asarray(columns[f"{name}{phase}"][:MAX_PLOT_ROWS], np.float64) for phase in (1, 2)]
    return np.column_stack(halves).ravel()
