"""Values that change by themselves: the position of a moving motor, and the bits of its encoder.

A value on a bus is an integer, or a formula for its value at every tick from now on. So a motor that moves to a target
is one `Ramp` instead of one event per count. A block can ask when a value leaves a range (`leaves`), what it is at a
tick (`at`), and for its sum over many ticks (`total`, `squares`). All of it is integer arithmetic: exact and
reproducible.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

#: Binary places of a ramp; the error after an hour at full speed is below one count.
FRACTION = 48


@dataclass(frozen=True, slots=True)
class Ramp:
    """A position that moves at a constant speed: floor((base + rate * (tick - start)) / 2**shift).

    The block that puts it on a bus must replace it before it exceeds 32 bits.

    Attributes:
        start: reference tick
        base: position at that tick, in units of 2**-shift counts
        rate: change per tick, in the same units
        shift: number of binary places
    """

    start: int
    base: int
    rate: int
    shift: int = FRACTION

    def at(self, tick: int) -> int:
        """Return the value in a tick."""
        return (self.base + self.rate * (tick - self.start)) >> self.shift

    def leaves(self, tick: int, low: int, high: int) -> int | None:
        """Return the first tick, from the given one on, in which the value is not within low..high."""
        if not low <= self.at(tick) <= high:
            return tick
        if self.rate > 0:
            return self.start - (self.base - ((high + 1) << self.shift)) // self.rate
        if self.rate < 0:
            return self.start + (self.base - (low << self.shift)) // -self.rate + 1
        return None

    def delayed(self, ticks: int) -> "Ramp":
        """Return the same ramp some ticks later."""
        return replace(self, start=self.start + ticks)

    def plus(self, counts: int) -> "Ramp":
        """Return the same ramp some counts higher."""
        return replace(self, base=self.base + (counts << self.shift))

    def halved(self, times: int) -> "Ramp":
        """Return the value shifted right by some bits."""
        return replace(self, shift=self.shift + times)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A bit of an encoder as a function of its position, periodic in counts.

    Attributes:
        position: position of the encoder
        period: period of the bit in counts
        high: counts within a period at which the bit is high
    """

    position: Ramp
    period: int
    high: tuple[int, ...]

    def at(self, tick: int) -> int:
        """Return the value in a tick."""
        return int(self.position.at(tick) % self.period in self.high)

    def leaves(self, tick: int, low: int, high: int) -> int | None:
        """Return the first tick, from the given one on, in which the value is not within low..high."""
        counts = self.position.at(tick)
        up = 1 if self.position.rate > 0 else -1
        for steps in range(self.period):
            if not low <= int((counts + up * steps) % self.period in self.high) <= high:
                beyond = counts + up * (steps - 1)
                return self.position.leaves(tick, *sorted((counts, beyond))) if steps else tick
        return None

    def delayed(self, ticks: int) -> "Pattern":
        """Return the same pattern some ticks later."""
        return replace(self, position=self.position.delayed(ticks))


Moving = Ramp | Pattern
Value = int | Ramp | Pattern


def at(value: Value, tick: int) -> int:
    """Return a value in a tick."""
    return value if isinstance(value, int) else value.at(tick)


def delayed(value: Value, ticks: int) -> Value:
    """Return a value some ticks later; an integer stays as it is."""
    return value if isinstance(value, int) else value.delayed(ticks)


def total(value: int | Ramp, start: int, end: int) -> int:
    """Return the sum of a position over the ticks from start to end, excluding end."""
    if isinstance(value, int):
        return value * (end - start)
    return _sums(*_ascending(value, start, end))[0]


def squares(value: int | Ramp, start: int, end: int) -> int:
    """Return the sum of the squares of a position over the ticks from start to end, excluding end."""
    if isinstance(value, int):
        return value * value * (end - start)
    return _sums(*_ascending(value, start, end))[2]


def extremes(value: int | Ramp, start: int, end: int) -> Sequence[int]:
    """Return the values between which a position stays over the ticks from start to end, excluding end."""
    if isinstance(value, int):
        return (value,)
    return value.at(start), value.at(end - 1)


def _ascending(ramp: Ramp, start: int, end: int) -> tuple[int, int, int, int]:
    """Return the arguments of `_sums` for a stretch of a ramp, from its lower end."""
    first = end - 1 if ramp.rate < 0 else start
    return end - start - 1, abs(ramp.rate), ramp.base + ramp.rate * (first - ramp.start), 1 << ramp.shift


def _sums(n: int, a: int, b: int, c: int) -> tuple[int, int, int]:
    """Return the sums of f(i), i * f(i) and f(i)**2 over i = 0..n, for f(i) = floor((a * i + b) / c); a >= 0, c > 0.

    This is Euclid's algorithm on a and c (counting lattice points below a line), so it takes O(log n) steps.
    """
    if n < 0:
        return 0, 0, 0
    ones, linear, quadratic = n + 1, n * (n + 1) // 2, n * (n + 1) * (2 * n + 1) // 6
    if a >= c or b >= c or b < 0:
        (p, a), (q, b) = divmod(a, c), divmod(b, c)
        f, g, h = _sums(n, a, b, c)
        return (
            f + p * linear + q * ones,
            g + p * quadratic + q * linear,
            h + p * p * quadratic + q * q * ones + 2 * (p * q * linear + q * f + p * g),
        )
    top = (a * n + b) // c
    if top == 0:
        return 0, 0, 0
    f, g, h = _sums(top - 1, c, c - b - 1, a)
    total_f = n * top - f
    return total_f, (top * n * (n + 1) - h - f) // 2, n * top * (top + 1) - 2 * g - 2 * f - total_f
