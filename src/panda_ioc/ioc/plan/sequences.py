"""Sequences over time: what the outputs of a SEQ table are from moment to moment, as arrays that a plot can show.

Each row is shown once, as if its trigger came at once: first TIME1 with the outputs of its first phase, then
TIME2 with those of the second. Times are in units of the block's prescaler, which the table does not know.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .record import Array

Floats = npt.NDArray[np.float64]

#: What an array of arrays is called; those of outputs are called as the outputs are.
TIME = "time"

#: Rows that are shown.
MAX_PLOT_ROWS = 2000

#: Elements that an array may have: each row has two phases, and there is an end.
MAX_PLOT_POINTS = 2 * MAX_PLOT_ROWS + 1

#: From one output to the next in a plot of all: an output is 1 high.
STEP = 1.5

_OUTPUT = re.compile(r"(out[a-z])1")


def outputs_of(columns: Iterable[str]) -> list[str]:
    """The outputs that a table with some columns has over time, "outa" and so on; none if it has no phases."""
    names = set(columns)
    found = sorted(match[1] for name in names if (match := _OUTPUT.fullmatch(name)))
    return [output for output in found if {f"{output}2", "time1", "time2"} <= names]


def over_time(columns: Mapping[str, Array]) -> dict[str, Floats]:
    """The arrays of a table by name, `TIME` and the outputs: a value for the begin of each phase, and for the end.

    Outputs are one over another, the first on top. An empty table is one step with all outputs low, and a table of no
    time ends after a step: a plot needs a time axis with a width.
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
    """The columns of the two phases as one, row by row."""
    halves = [np.asarray(columns[f"{name}{phase}"][:MAX_PLOT_ROWS], np.float64) for phase in (1, 2)]
    return np.column_stack(halves).ravel()
