"""Advance a simulation until a signal meets a condition."""

from dataclasses import dataclass
from typing import Self

from .engine import TICKS, Engine
from .motion import Value, at
from .numbers import Refused
from .recording import choose

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Wanted:
    """A condition on a value: from low to high, both included."""

    low: int
    high: int

    @classmethod
    def of(cls, value: int | None, above: int | None, below: int | None) -> Self:
        """Make a condition from exactly one of a value, a lower and an upper limit.

        Args:
            value: the only value that meets it
            above: exclusive lower limit
            below: exclusive upper limit

        Raises:
            ValueError: none is given, or several
        """
        match value, above, below:
            case int(), None, None:
                return cls(value, value)
            case None, int(), None:
                return cls(above + 1, _HIGHEST)
            case None, None, int():
                return cls(_LOWEST, below - 1)
        raise ValueError("give exactly one of value, above and below, as an integer")

    def met(self, value: int) -> bool:
        """Return whether a value meets it."""
        return self.low <= value <= self.high

    def first(self, value: Value, tick: int, end: int) -> int | None:
        """Return the first tick in tick..end in which a value, moving by itself, meets it; None if it does not."""
        while tick <= end:
            present = at(value, tick)
            if self.met(present):
                return tick
            if isinstance(value, int):
                return None
            others = (_LOWEST, self.low - 1) if present < self.low else (self.high + 1, _HIGHEST)
            leaves = value.leaves(tick, *others)
            if leaves is None:
                return None
            tick = leaves
        return None


def wait_for(engine: Engine, signal: str, wanted: Wanted, limit: float) -> int:
    """Advance the simulation until a signal meets a condition; return the tick.

    Args:
        engine: engine that runs the blocks
        signal: name of one signal
        wanted: condition
        limit: time limit in s of simulated time

    Raises:
        Refused: no signal has this name, or several match
        TimeoutError: the time limit passed
    """
    chosen = choose(engine, [signal])
    if len(chosen) > 1:
        raise Refused(f"{signal!r} matches {len(chosen)} signals: name one")
    (slot,) = chosen.values()
    end = engine.now + round(limit * TICKS)
    while True:
        due = engine.next_due()
        last = end if due is None or due > end else due - 1
        tick = wanted.first(slot.value, engine.now, last)
        if tick is not None:
            engine.run(tick)
            return tick
        if due is None or due > end:
            engine.run(end)
            raise TimeoutError(f"{signal} did not reach the wanted value within {limit:g} s of simulated time")
        engine.run(due)
