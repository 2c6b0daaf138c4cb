"""Let the time of a simulation pass until a signal is as wanted."""

from dataclasses import dataclass
from typing import Self

from .engine import TICKS, Engine
from .motion import Value, at
from .numbers import Refused
from .recording import choose

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Wanted:
    """The values that are waited for: from low to high, both included."""

    low: int
    high: int

    @classmethod
    def of(cls, value: int | None, above: int | None, below: int | None) -> Self:
        """Make it of exactly one of a value, a lower and an upper limit.

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
        raise ValueError("one of value, above and below must be given, as an integer")

    def met(self, value: int) -> bool:
        """Whether a value is one of them."""
        return self.low <= value <= self.high

    def first(self, value: Value, tick: int, end: int) -> int | None:
        """The first tick, from the given one up to an end, in which a value meets it by itself."""
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
    """Let time pass until a signal is as wanted; return the tick.

    Args:
        engine: which runs the blocks
        signal: the name of one signal
        wanted: its values
        limit: the most seconds that may pass

    Raises:
        Refused: there is no such signal, or there are several
        TimeoutError: the limit passed
    """
    chosen = choose(engine, [signal])
    if len(chosen) > 1:
        raise Refused(f"{signal!r} names {len(chosen)} signals: name one")
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
            raise TimeoutError(f"{signal} was not as wanted within {limit:g} s of simulated time")
        engine.run(due)
