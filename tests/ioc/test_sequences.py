"""The outputs of a SEQ table over time."""

import numpy as np
import pytest

from panda_ioc.ioc.plan.sequences import MAX_PLOT_POINTS, MAX_PLOT_ROWS, STEP, TIME, outputs_of, over_time

NAMES = ("repeats", "time1", "outa1", "outb1", "time2", "outa2", "outb2")


def columns(rows: list[tuple[int, ...]]) -> dict[str, np.ndarray]:
    return {name: np.array([row[index] for row in rows], np.uint32) for index, name in enumerate(NAMES)}


def test_each_phase_has_its_time_and_its_outputs() -> None:
    arrays = over_time(columns([(1, 10, 1, 0, 20, 0, 1), (3, 5, 0, 0, 0, 1, 1)]))
    assert arrays["time"].tolist() == [0, 10, 30, 35, 35]
    assert arrays["outa"].tolist() == [level + STEP for level in (1, 0, 0, 1, 1)]
    assert arrays["outb"].tolist() == [0, 1, 0, 1, 1]


def test_times_do_not_overflow() -> None:
    arrays = over_time(columns([(1, 2**32 - 1, 1, 0, 2**32 - 1, 0, 1)] * 3))
    assert arrays["time"][-1] == 6 * (2**32 - 1)


def test_an_empty_table_and_a_long_one() -> None:
    for rows, length in ((0, 2), (MAX_PLOT_ROWS * 3, MAX_PLOT_POINTS)):
        arrays = over_time(columns([(1, 1, 1, 1, 1, 1, 1)] * rows))
        assert {name: len(values) for name, values in arrays.items()} == dict.fromkeys(("time", "outa", "outb"), length)


def test_tables_without_phases_have_none() -> None:
    assert outputs_of(["position"]) == outputs_of(["outa1", "outa2", "time1"]) == []
    assert over_time({"position": np.arange(3)}) == {}


@pytest.mark.parametrize("rows", [[], [(1, 0, 1, 0, 0, 0, 1)]])
def test_a_plot_of_no_time_has_a_width(rows: list[tuple[int, ...]]) -> None:
    """Phoebus fails on a time axis from 0 to 0."""
    arrays = over_time(columns(rows))
    assert len({len(array) for array in arrays.values()}) == 1
    assert len(arrays[TIME]) > 1
    assert arrays[TIME][0] < arrays[TIME][-1]
