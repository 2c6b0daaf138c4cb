"""The motion of a motor, or the output of a signal generator, as pairs of a tick and the value from then on.

A profile is an iterator, and may be endless. Positions are in counts and move in straight segments; those of an
acceleration or a sine are so short that the error is below one count for encoders of up to a million counts.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterator

from .engine import TICKS
from .motion import FRACTION, Ramp, Value, at

#: Pairs of a tick and the value from then on.
Profile = Iterator[tuple[int, Value]]

#: Ticks in a segment of an acceleration: 1 ms, or more if there would be too many segments.
_STRETCH = TICKS // 1000
_MOST_STRETCHES = 4096

#: Segments in a period of a sine.
_SINE_STRETCHES = 1024


def move(start: int, position: float, to: float, speed: float, acceleration: float) -> Profile:
    """Move to a position with trapezoidal velocity; triangular if the distance is too short to reach the speed.

    Args:
        start: first tick
        position: position at rest before the move, in counts
        to: target, in counts
        speed: counts/s
        acceleration: counts/s^2; math.inf for an instant change of speed
    """
    way = abs(to - position)
    if not way:
        yield start, math.floor(to)
        return
    speed = min(speed, math.sqrt(way * acceleration))
    ramp_time = speed / acceleration
    ramp_way = speed * ramp_time / 2
    cruise_time = max(way - 2 * ramp_way, 0.0) / speed
    end = 2 * ramp_time + cruise_time

    def travelled(time: float) -> float:
        if time <= ramp_time:
            return acceleration * time * time / 2 if ramp_time else 0.0
        if time <= ramp_time + cruise_time:
            return ramp_way + speed * (time - ramp_time)
        left = max(end - time, 0.0)
        return way - (acceleration * left * left / 2 if ramp_time else 0.0)

    sign = math.copysign(1.0, to - position)
    corners = [0, *_stretches(0.0, ramp_time), *_stretches(ramp_time + cruise_time, end), math.ceil(end * TICKS)]
    yield from _straight(start, sorted(set(corners)), lambda tick: position + sign * travelled(tick / TICKS))
    yield start + math.ceil(end * TICKS), math.floor(to)


def sine(start: int, centre: float, amplitude: float, period: float, cycles: int | None) -> Profile:
    """Oscillate around a position, upwards first.

    Args:
        start: first tick
        centre: centre, in counts
        amplitude: counts
        period: s
        cycles: number of periods; None for no end
    """
    ticks = max(round(period * TICKS), 1)
    steps = min(_SINE_STRETCHES, ticks)
    corners = sorted({ticks * step // steps for step in range(steps + 1)})
    for cycle in itertools.count() if cycles is None else range(cycles):
        yield from _straight(
            start + cycle * ticks, corners, lambda tick: centre + amplitude * math.sin(2 * math.pi * tick / ticks)
        )
    if cycles is not None:
        yield start + cycles * ticks, math.floor(centre)


def pulses(start: int, width: float, period: float, cycles: int | None) -> Profile:
    """Set a bit at the start of each period.

    Args:
        start: first tick
        width: time for which the bit is high, in s
        period: s
        cycles: number of periods; None for no end
    """
    high, whole = max(round(width * TICKS), 1), max(round(period * TICKS), 2)
    for cycle in itertools.count() if cycles is None else range(cycles):
        yield start + cycle * whole, 1
        yield start + cycle * whole + high, 0


def noisy(profile: Profile, start: int, rest: Value, amplitude: int, every: float) -> Profile:
    """Add noise to a profile, and to the final position after it, without end.

    The noise is pseudo-random and the same in every run.

    Args:
        profile: motion without noise
        start: first tick
        rest: value before the profile begins
        amplitude: largest deviation in counts
        every: interval between changes of the noise, in s
    """
    ticks = max(round(every * TICKS), 1)
    chance = random.Random(0)
    value, off = rest, 0
    following = next(profile, None)
    for now in itertools.count(start, ticks):
        off = chance.randint(-amplitude, amplitude)
        if following is None or following[0] > now:
            yield now, _plus(value, off)
        while following is not None and following[0] < now + ticks:
            tick, value = following
            yield max(tick, now), _plus(value, off)
            following = next(profile, None)


def _plus(value: Value, counts: int) -> Value:
    return value.plus(counts) if isinstance(value, Ramp) else at(value, 0) + counts


def _stretches(begin: float, end: float) -> range:
    """Return the first ticks of the segments of an acceleration."""
    first, last = math.floor(begin * TICKS), math.ceil(end * TICKS)
    return range(first, last, max(_STRETCH, (last - first) // _MOST_STRETCHES))


def _straight(start: int, corners: list[int], where: Callable[[int], float]) -> Profile:
    """Connect the values of a function at some ticks after the start with straight lines."""
    for first, last in itertools.pairwise(corners):
        base, end = round(where(first) * 2**FRACTION), round(where(last) * 2**FRACTION)
        # Round the rate up: a position that is reached exactly on a tick must not be missed by 2**-48 counts.
        yield start + first, Ramp(start + first, base, -((base - end) // (last - first)))
