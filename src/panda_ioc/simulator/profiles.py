"""What a motor or a signal generator does over time: pairs of a tick and what the value is from then on.

A profile is an iterator, so it may never end. Positions are in counts, and move in straight stretches: those of
an acceleration or a sine are so short that they are never a count off for an encoder of up to a million counts.
"""

import itertools
import math
import random
from collections.abc import Callable, Iterator

from .engine import TICKS
from .motion import FRACTION, Ramp, Value, at

#: The value from a tick on, until the next one.
Profile = Iterator[tuple[int, Value]]

#: Ticks of a stretch of an acceleration: a millisecond, or more where there would be too many of them.
_STRETCH = TICKS // 1000
_MOST_STRETCHES = 4096

#: Stretches of a sine.
_SINE_STRETCHES = 1024


def move(start: int, position: float, to: float, speed: float, acceleration: float) -> Profile:
    """Go to a position: accelerate, keep the speed, brake; with no time to reach the speed, no stretch at speed.

    Args:
        start: the tick in which it begins
        position: where it is, at rest
        to: where it stops
        speed: counts a second
        acceleration: counts a second in a second; math.inf for at once
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
    """Swing around a position, from it upwards, in some seconds each time; for ever if cycles is None."""
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
    """A bit that is high for some seconds at the start of each period; for ever if cycles is None."""
    high, whole = max(round(width * TICKS), 1), max(round(period * TICKS), 2)
    for cycle in itertools.count() if cycles is None else range(cycles):
        yield start + cycle * whole, 1
        yield start + cycle * whole + high, 0


def noisy(profile: Profile, start: int, rest: Value, amplitude: int, every: float) -> Profile:
    """Shake a profile, and the rest after it, by up to some counts, anew every so many seconds; for ever.

    The noise is made of random numbers, but the same each time.
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
    """The ticks at which the stretches of an acceleration begin."""
    first, last = math.floor(begin * TICKS), math.ceil(end * TICKS)
    return range(first, last, max(_STRETCH, (last - first) // _MOST_STRETCHES))


def _straight(start: int, corners: list[int], where: Callable[[int], float]) -> Profile:
    """Straight lines through what a function says at some ticks after the start."""
    for first, last in itertools.pairwise(corners):
        base, end = round(where(first) * 2**FRACTION), round(where(last) * 2**FRACTION)
        # The rate is rounded up, so that a position that is reached on a tick is not missed for want of 2**-48 counts.
        yield start + first, Ramp(start + first, base, -((base - end) // (last - first)))
