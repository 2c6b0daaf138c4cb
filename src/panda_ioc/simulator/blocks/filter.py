"""FILTER: the difference of a position between triggers, or its average since ENABLE rose."""

from ..motion import Ramp, at, total
from .base import Block, Changes, bit_in, bit_out, earliest, param, pos_in, pos_out, readback, rising, wrap

OK, OVERFLOW, RETRIGGERED = range(3)

#: Ticks from a trigger to its average, and from a trigger that came too early to HEALTH.
_DIVISION = 35
_ERROR = 2

#: The sum has 64 bits, and has overflowed when the highest two differ.
_LIMIT = 1 << 62


class Filter(Block):
    """READY marks each new result."""

    ENABLE: int = bit_in()
    TRIG: int = bit_in()
    INP: int | Ramp = pos_in(moving=True)
    MODE: int = param()
    READY: int = bit_out()
    OUT: int = pos_out()
    HEALTH: int = readback()

    def __init__(self) -> None:
        super().__init__()
        self._latch = 0
        self._average = _Average()
        self._divisions: list[tuple[int, int]] = []  # those that run: when their result comes, and what it is
        self._error: int | None = None  # when HEALTH will tell of a trigger that came too early

    def step(self, now: int, changes: Changes) -> int | None:
        self.READY = 0
        self._average.add_up(now, self.INP)
        if self._error == now:
            self.HEALTH = self.HEALTH or RETRIGGERED
            self._error = None
        if self._average.overflowed:
            self.HEALTH = self.HEALTH or OVERFLOW
        if self.MODE:
            self._end_divisions(now, changes)
            self._start_divisions(now, changes)
        elif rising(changes, "TRIG") and not rising(changes, "ENABLE"):
            self._difference(at(self.INP, now))
        if "ENABLE" in changes:
            self._follow_enable(now)
        result = self._divisions[0][0] if len(self._divisions) > self.TRIG else None
        return earliest(self._error, result, now + 1 if self.READY else None, self._average.check_at(now))

    def _difference(self, inp: int) -> None:
        self.OUT, self.READY = wrap(inp - self._latch), 1
        self._latch = inp

    def _follow_enable(self, now: int) -> None:
        if not self.ENABLE:
            self._average.stop()
            return
        self.HEALTH = OK
        self._latch = at(self.INP, now)
        self._average.start(now)
        self._error = now + 1 if self._divisions else None

    def _end_divisions(self, now: int, changes: Changes) -> None:
        while self._divisions and self._divisions[0][0] <= now:
            if self.TRIG and "TRIG" not in changes and len(self._divisions) == 1:
                return  # it was started anew in every tick
            _, result = self._divisions.pop(0)
            if self.HEALTH == OK:
                self.OUT, self.READY = result, 1

    def _start_divisions(self, now: int, changes: Changes) -> None:
        """A trigger starts a division; while TRIG stays high each tick starts it anew."""
        if "TRIG" not in changes or not self._average.runs:
            return
        if self.TRIG:
            if self._divisions:
                self._error = self._error or now + _ERROR
            self._divisions.append((now + _DIVISION, self._average.until(now)))
        elif self._divisions and self._divisions[-1][0] < now - 1 + _DIVISION:
            self._divisions[-1] = (now - 1 + _DIVISION, self._average.until(now - 1))
        del self._divisions[:-2]  # of more than two none but the last can give a result


class _Average:
    """The sum of INP over the ticks after ENABLE rose."""

    def __init__(self) -> None:
        self._inp: int | Ramp = 0
        self._inp_before: int | Ramp = 0  # INP in the tick before
        self._start: int | None = None
        self._sum = 0
        self._summed = 0  # up to, not including, this tick

    @property
    def runs(self) -> bool:
        """Whether ENABLE was high in the tick before."""
        return self._start is not None

    @property
    def overflowed(self) -> bool:
        return not -_LIMIT <= self._sum < _LIMIT

    def start(self, now: int) -> None:
        self._start, self._sum, self._summed = now, 0, now + 1

    def stop(self) -> None:
        self._start = None

    def add_up(self, now: int, inp: int | Ramp) -> None:
        """Add the ticks before this one, in which INP may have another value."""
        if self._start is not None and now > self._summed:
            self._sum += total(self._inp, self._summed, now)
            self._summed = now
        self._inp_before, self._inp = self._inp, inp

    def until(self, tick: int) -> int:
        """The average up to, not including, a tick: this one or the one before."""
        if self._start is None or tick - 1 <= self._start:
            return -1  # what the divider makes of a division by zero
        summed = self._sum - (total(self._inp_before, tick, self._summed) if tick < self._summed else 0)
        quotient = abs(summed) // (tick - 1 - self._start)
        return wrap(-quotient if summed < 0 else quotient)

    def check_at(self, now: int) -> int | None:
        """The first tick in which the sum can have overflowed."""
        if self._start is None or self.overflowed:
            return None
        return max(now, self._summed) + max((_LIMIT - abs(self._sum)) >> 31, 1)
