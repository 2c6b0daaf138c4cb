"""COUNTER: an up/down counter."""

from .base import Block, Changes, bit_in, bit_out, matches, param, pos_out, rising, wrap

_ON_DISABLE = 1

#: The range if MIN and MAX are both 0.
_RANGE = -(2**31), 2**31 - 1


class Counter(Block):
    """Counts edges of TRIG while ENABLE is high."""

    ENABLE: int = bit_in()
    TRIG: int = bit_in()
    DIR: int = bit_in()
    TRIG_EDGE: int = param()
    OUT_MODE: int = param()
    SET: int = param(signed=True)
    START: int = param(signed=True)
    STEP: int = param(signed=True)  # signed in the hardware, although its field is unsigned
    MAX: int = param(signed=True)
    MIN: int = param(signed=True)
    CARRY: int = bit_out()
    OUT: int = pos_out()

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._carry = 0
        self._overflowed = 0  # whether it overflowed since ENABLE rose
        self._low, self._high = _RANGE
        self._counted: int | None = None  # count after the last trigger, even if that was in an earlier run
        self._at_end = (0, 0)  # OUT and CARRY in On-Disable mode

    def step(self, now: int, changes: Changes) -> None:
        if rising(changes, "ENABLE"):
            self._count, self._overflowed = self.START, 0
        elif "SET" in changes:
            self._count, self._overflowed = self.SET, 0
        elif "ENABLE" in changes:
            self._carry = 0
            self._at_end = (self._count if self._counted is None else self._counted, self._overflowed)
        elif self.ENABLE and "TRIG" in changes:
            self._carry = 0
            if matches(self.TRIG_EDGE, self.TRIG):
                self._count_step()
        if "MAX" in changes or "MIN" in changes:  # effective from the next tick on
            self._low, self._high = (self.MIN, self.MAX) if self.MIN or self.MAX else _RANGE
        self.OUT, self.CARRY = self._at_end if self.OUT_MODE == _ON_DISABLE else (self._count, self._carry)

    def _count_step(self) -> None:
        step = self.STEP or 1
        low, high = self._low, self._high
        count = self._count + (-step if self.DIR else step)
        if not low <= count <= high:
            count += (low - high - 1) if count > high else (high - low + 1)
            self._carry = self._overflowed = 1
        self._count = self._counted = wrap(count)
