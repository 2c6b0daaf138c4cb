"""Values that change by themselves: the position of a moving motor, and the bits of its encoder.

A value on a bus is an integer, or one of these: a rule for its value at every tick from now on. A motor on
its way to a target is then one `Ramp`, not one event per count; whoever needs to know asks when it will
leave a range (`leaves`), what it is at a tick (`at`), or for its sum over many ticks (`total`, `squares`).
All of it is integer arithmetic, so it is exact and the same every time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

#: Bits after the binary point of a ramp: an hour at full speed is then wrong by less than a count.
FRACTION = 48


@dataclass(frozen=True, slots=True)
class Ramp:
    """A position that moves at a constant speed: floor((base + rate * (tick - start)) / 2**shift).

    Whoever puts it on a bus replaces it before it leaves 32 bits.

    Attributes:
        start: the tick from which it counts
        base: where it is then, in units of 2**-shift counts
        rate: how far it moves in a tick, in the same units
    """

    start: int
    base: int
    rate: int
    shift: int = FRACTION

    def at(self, tick: int) -> int:
        """The value in a tick."""
        return (self.base + self.rate * (tick - self.start)) >> self.shift

    def leaves(self, tick: int, low: int, high: int) -> int | None:
        """The first tick, from the given one on, in which the value is not within low..high."""
        if not low <= self.at(tick) <= high:
            return tick
        if self.rate > 0:
            return self.start - (self.base - ((high + 1) << self.shift)) // self.rate
        if self.rate < 0:
            return self.start + (self.base - (low << self.shift)) // -self.rate + 1
        return None

    def delayed(self, ticks: int) -> "Ramp":
        """The same, some ticks later."""
        return replace(self, start=self.start + ticks)

    def plus(self, counts: int) -> "Ramp":
        """The same, some counts higher."""
        return replace(self, base=self.base + (counts << self.shift))

    def halved(self, times: int) -> "Ramp":
        """The value without its lowest bits."""
        return replace(self, shift=self.shift + times)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A bit of an encoder, as a function of its position: high at some places of a period of counts.

    Attributes:
        position: where the encoder is
        period: after how many counts the bit repeats
        high: the counts of a period at which it is high
    """

    position: Ramp
    period: int
    high: tuple[int, ...]

    def at(self, tick: int) -> int:
        """The value in a tick."""
        return int(self.position.at(tick) % self.period in self.high)

    def leaves(self, tick: int, low: int, high: int) -> int | None:
        """The first tick, from the given one on, in which the value is not within low..high."""
        counts = self.position.at(tick)
        up = 1 if self.position.rate > 0 else -1
        for steps in range(self.period):
            if not low <= int((counts + up * steps) % self.period in self.high) <= high:
                beyond = counts + up * (steps - 1)
                return self.position.leaves(tick, *sorted((counts, beyond))) if steps else tick
        return None

    def delayed(self, ticks: int) -> "Pattern":
        """The same, some ticks later."""
        return replace(self, position=self.position.delayed(ticks))


Moving = Ramp | Pattern
Value = int | Ramp | Pattern


def at(value: Value, tick: int) -> int:
    """What a value is in a tick."""
    return value if isinstance(value, int) else value.at(tick)


def delayed(value: Value, ticks: int) -> Value:
    """A value some ticks later: an integer is the same always."""
    return value if isinstance(value, int) else value.delayed(ticks)


def total(value: int | Ramp, start: int, end: int) -> int:
    """The sum of a position over the ticks from start up to, not including, end."""
    if isinstance(value, int):
        return value * (end - start)
    return _sums(*_ascending(value, start, end))[0]


def squares(value: int | Ramp, start: int, end: int) -> int:
    """The sum of the squares of a position over the ticks from start up to, not including, end."""
    if isinstance(value, int):
        return value * value * (end - start)
    return _sums(*_ascending(value, start, end))[2]


def extremes(value: int | Ramp, start: int, end: int) -> Sequence[int]:
    """The values between which a position stays from start up to, not including, end."""
    if isinstance(value, int):
        return (value,)
    return value.at(start), value.at(end - 1)


def _ascending(ramp: Ramp, start: int, end: int) -> tuple[int, int, int, int]:
    """The arguments of `_sums` for a stretch of a ramp, from its lower end."""
    first = end - 1 if ramp.rate < 0 else start
    return end - start - 1, abs(ramp.rate), ramp.base + ramp.rate * (first - ramp.start), 1 << ramp.shift


def _sums(n: int, a: int, b: int, c: int) -> tuple[int, int, int]:
    """For f(i) = floor((a * i + b) / c), sum f(i), i * f(i) and f(i)**2 over i = 0..n; a >= 0, c > 0.

    This is Euclid's algorithm on a and c (counting points below a line), so it takes a logarithm of n steps.
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
