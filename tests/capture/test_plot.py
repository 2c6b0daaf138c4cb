"""Pictures of captured columns: the displayed values."""

import numpy as np
import pytest

from panda_ioc.capture.plot import _show_most

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.mark.parametrize(
    ("values", "shown", "title"),
    [
        ([-(2.0**31), *range(180)], (0, 179), "1 of 181 values: outside"),  # the initial maximum, without samples
        ([*range(9), 1e9], (0, 8), "1 of 10 values: outside"),
        ([0.0] * 95 + [1000.0] * 5, (0, 1000), ""),  # pulses are not outliers
        ([*range(100)], (0, 99), ""),
        ([np.nan, *range(100)], (0, 99), ""),
        ([5.0] * 20, (5, 5), ""),
    ],
)
def test_one_value_far_away_does_not_set_the_scale(values: list[float], shown: tuple[float, float], title: str) -> None:
    figure, axis = plt.subplots()
    axis.plot(values)
    _show_most(axis, np.asarray(values, float))
    low, high = axis.get_ylim()
    assert low <= shown[0] <= shown[1] <= high
    span = max(shown[1] - shown[0], 1)
    assert high - low < 2 * span
    assert axis.get_title(loc="right") == title
    plt.close(figure)
