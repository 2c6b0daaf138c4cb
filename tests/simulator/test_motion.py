"""Moving values, compared with a calculation tick by tick."""

from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.simulator.motion import FRACTION, Pattern, Ramp, at, delayed, extremes, squares, total

positions = st.integers(-(2**31), 2**31 - 1)
rates = st.integers(-(2**51), 2**51) | st.integers(-5, 5).map(lambda counts: counts << FRACTION)
ramps = st.builds(Ramp, st.integers(0, 1000), positions.map(lambda position: (position << FRACTION) + 12345), rates)
windows = st.tuples(st.integers(1000, 2000), st.integers(0, 300)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(ramps, windows)
def test_sums(ramp: Ramp, window: tuple[int, int]) -> None:
    values = [ramp.at(tick) for tick in range(*window)]
    assert total(ramp, *window) == sum(values)
    assert squares(ramp, *window) == sum(value * value for value in values)
    if values:
        assert (min(extremes(ramp, *window)), max(extremes(ramp, *window))) == (min(values), max(values))


@given(positions, windows)
def test_sums_of_a_constant(position: int, window: tuple[int, int]) -> None:
    ramp = Ramp(0, position << FRACTION, 0)
    for summed in (total, squares):
        assert summed(position, *window) == summed(ramp, *window)


@given(ramps, st.integers(1000, 2000), st.integers(-3, 3), st.integers(0, 20), st.integers(0, 3))
def test_leaving_a_band(ramp: Ramp, start: int, below: int, above: int, halved: int) -> None:
    ramp = ramp.halved(halved)
    low, high = ramp.at(start) - below, ramp.at(start) + above
    left = ramp.leaves(start, low, high)
    for tick in range(start, start + 200 if left is None else min(left, start + 200)):
        assert low <= ramp.at(tick) <= high
    if left is not None:
        assert left >= start
        assert not low <= ramp.at(left) <= high


@given(ramps, st.integers(0, 100), st.integers(-50, 50), st.integers(1000, 2000))
def test_the_same_at_another_time_or_place(ramp: Ramp, ticks: int, counts: int, now: int) -> None:
    assert ramp.delayed(ticks).at(now + ticks) == ramp.at(now)
    assert ramp.plus(counts).at(now) == ramp.at(now) + counts
    assert at(delayed(ramp, ticks), now + ticks) == at(ramp, now)
    assert at(delayed(7, ticks), now) == 7


@given(ramps, st.integers(1000, 1100), st.integers(1, 6), st.sets(st.integers(0, 5)))
def test_a_pattern_of_bits(ramp: Ramp, start: int, period: int, high: set[int]) -> None:
    bit = Pattern(ramp, period, tuple(high))
    value = bit.at(start)
    change = bit.leaves(start, value, value)
    for tick in range(start, start + 100 if change is None else min(change, start + 100)):
        assert bit.at(tick) == value
    if change is not None and abs(ramp.rate) <= 1 << FRACTION:
        assert bit.at(change) != value
    assert bit.delayed(3).at(start + 3) == value
