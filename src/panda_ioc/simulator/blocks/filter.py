"""FILTER: the difference of a position between triggers, or its average since ENABLE rose.

In average mode TRIG is a level: each tick in which it is high loads the divider again, without restarting its bit
count. A trigger of one tick gives the average up to the tick before it, 35 ticks later; the result of a longer one
depends on the operands in all its ticks. A tick here is an edge of the hardware: `step` computes the registers from
their previous values.
"""

from ..motion import Ramp, at, total
from .base import Block, Changes, bit_in, bit_out, earliest, param, pos_in, pos_out, readback, wrap
from .divider import Divider

OK, OVERFLOW, RETRIGGERED = range(3)

#: Limit of the sum, a 64-bit register: it has overflowed when its highest two bits differ.
_LIMIT = 1 << 62


class Filter(Block):
    """Computes differences or averages; READY marks each new result."""

    ENABLE: int = bit_in()
    TRIG: int = bit_in()
    INP: int | Ramp = pos_in(moving=True)
    MODE: int = param(bits=1)
    READY: int = bit_out()
    OUT: int = pos_out()
    HEALTH: int = readback()

    def __init__(self) -> None:
        super().__init__()
        self._average = _Average()
        self._divider = Divider()
        self._latch = 0
        self._enable = self._trig = 0  # levels in the previous tick
        self._load = False  # whether the divider is loaded at the next edge
        self._negative = False  # sign of the dividend
        self._stopped = False  # whether results are suppressed until ENABLE rises
        self._errors = _Errors()

    def step(self, now: int, changes: Changes) -> int | None:  # noqa: ARG002 - it compares with the previous tick
        before = self._registers()
        if self._average.catch_up(now) and self._load:  # only the last of the skipped loads matters
            self._set_operands(now - 1, *self._average.operands_before)
        enabled = bool(self.ENABLE and not self._enable)
        load, ready, overflowed = self._load, self._divider.result is not None, self._average.overflowed
        if self.MODE:
            self._show_average()
        else:
            self._show_difference(now, enabled=enabled)
        self._follow_errors(enabled=enabled, load=load, ready=ready, overflowed=overflowed)
        self._divider.step(now, load=load)
        if not self.MODE and self._load:
            self._divider.hold(now)  # in this mode nothing ends a load
        if self.MODE:
            self._load = bool(self.TRIG and self._enable)
            if self._load:
                self._set_operands(now, *self._average.operands)
            self._average.add(now, self.INP, restart=enabled, runs=bool(self._enable))
        self._average.go_on(self.INP, runs=bool(self.MODE and self.ENABLE))
        inputs_changed = (self.ENABLE, self.TRIG) != (self._enable, self._trig)
        self._enable, self._trig = self.ENABLE, self.TRIG
        settled = self._registers() == before and not (inputs_changed and (self.MODE or self.READY))
        return earliest(
            None if settled else now + 1, self._divider.due(now, load=self._load), self._average.check_at(now)
        )

    def _registers(self) -> tuple[object, ...]:
        """Return all state that may change in the next tick even if no input changes."""
        divider = self._divider
        return self.READY, self.HEALTH, self._load, self._stopped, divider.running, divider.result, *self._errors.all

    def _show_average(self) -> None:
        if self._stopped:
            return
        result = self._divider.result
        self.READY = int(result is not None)
        if result is not None:
            self.OUT = wrap(-result if self._negative else result)

    def _show_difference(self, now: int, *, enabled: bool) -> None:
        if enabled:
            self._latch = at(self.INP, now)
        elif self.TRIG and not self._trig:
            inp = at(self.INP, now)
            if not self._stopped:
                self.OUT, self.READY = wrap(inp - self._latch), 1
            self._latch = inp
        else:
            self.READY = 0

    def _set_operands(self, now: int, dividend: int, divisor: int) -> None:
        self._negative = dividend < 0
        self._divider.set(now, abs(dividend), divisor)

    def _follow_errors(self, *, enabled: bool, load: bool, ready: bool, overflowed: bool) -> None:
        errors = self._errors
        if enabled:
            self._stopped, self.HEALTH = False, OK
        elif errors.overflow or errors.retrigger:
            self._stopped = True
            self.HEALTH = OVERFLOW * overflowed | RETRIGGERED * errors.retrigger
        errors.step(enabled=enabled, load=load, ready=ready, overflowed=overflowed)


class _Errors:
    """The errors that HEALTH will show.

    Attributes:
        overflow: whether the sum has overflowed
        retrigger: whether the divider was triggered while busy
    """

    def __init__(self) -> None:
        self.overflow = self.retrigger = False
        self._busy = self._loaded = False

    @property
    def all(self) -> tuple[bool, ...]:
        return self.overflow, self.retrigger, self._busy, self._loaded

    def step(self, *, enabled: bool, load: bool, ready: bool, overflowed: bool) -> None:
        if load and not self._loaded:
            self.retrigger = self.retrigger or self._busy
            self._busy = True
        elif self._busy and enabled:
            self.retrigger = True
        elif ready:
            self._busy = self.retrigger = False
        self._loaded = load
        self.overflow = overflowed


class _Average:
    """The sum of INP over the ticks since ENABLE rose, and the number of these ticks."""

    def __init__(self) -> None:
        self._sum = self._count = 0
        self._inp: int | Ramp = 0
        self._runs = False
        self._next = 0  # next tick to add

    @property
    def operands(self) -> tuple[int, int]:
        """Sum and count."""
        return self._sum, self._count

    @property
    def overflowed(self) -> bool:
        return not -_LIMIT <= self._sum < _LIMIT

    @property
    def operands_before(self) -> tuple[int, int]:
        """Sum and count before the last tick."""
        return self._sum - at(self._inp, self._next - 2), self._count - 1

    def catch_up(self, now: int) -> bool:
        """Add the ticks before this one, in which nothing changed; return whether there were any."""
        added = self._runs and now > self._next
        if added:
            self._sum += total(self._inp, self._next, now)
            self._count += now - self._next
        self._next = now + 1
        return added

    def add(self, now: int, inp: int | Ramp, *, restart: bool, runs: bool) -> None:
        """Add this tick, or restart the sum."""
        if restart:
            self._sum = self._count = 0
        elif runs:
            self._sum += at(inp, now)
            self._count += 1

    def go_on(self, inp: int | Ramp, *, runs: bool) -> None:
        """Set what is added in the following ticks."""
        self._inp, self._runs = inp, runs

    def check_at(self, now: int) -> int | None:
        """Return a tick shortly after the sum overflows, or before that; None if it does not overflow."""
        if not self._runs or self.overflowed:
            return None
        if not isinstance(self._inp, int):
            return now + max((_LIMIT - abs(self._sum)) >> 31, 1)
        if self._inp > 0:
            return now + 1 + -(-(_LIMIT - self._sum) // self._inp)
        return now + 2 + (_LIMIT + self._sum) // -self._inp if self._inp else None
