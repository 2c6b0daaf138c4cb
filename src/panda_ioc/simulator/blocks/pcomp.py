"""PCOMP: position compare.

At most one state transition happens per tick. In between, the block waits for INP to leave a range, which it declares
as quiet, so that a moving position costs no computing time until then.
"""

from .base import ANY, Band, Block, Changes, bit_in, bit_out, param, pos_in, readback, rising, wrap

WAIT_ENABLE, WAIT_DIR, WAIT_PRE_START, WAIT_RISING, WAIT_FALLING = range(5)
OK, JUMPED, CANNOT_GUESS = range(3)
_EITHER = 2
_LOWEST, _HIGHEST = ANY


class Pcomp(Block):
    """Generates pulses of WIDTH every STEP counts, from position START on."""

    ENABLE: int = bit_in()
    INP: int = pos_in()
    PRE_START: int = param(signed=True)
    START: int = param(signed=True)
    WIDTH: int = param(signed=True)
    STEP: int = param(signed=True)
    PULSES: int = param()
    RELATIVE: int = param()
    DIR: int = param()
    ACTIVE: int = bit_out()
    OUT: int = bit_out()
    PRODUCED: int = readback()
    STATE: int = readback()
    HEALTH: int = readback()

    def __init__(self) -> None:
        super().__init__()
        self._sign = 1  # direction: 1 or -1
        self._latched = 0  # INP when ENABLE rose
        self._last = self._next = 0  # positions of the previous and the next edge
        self.quiet = {"INP": ANY}

    def step(self, now: int, changes: Changes) -> int | None:
        state = self.STATE
        if rising(changes, "ENABLE"):
            self._latched = self.INP
        if "ENABLE" in changes and not self.ENABLE:
            self._end(self.HEALTH)
        elif state == WAIT_ENABLE:
            if rising(changes, "ENABLE"):
                self._begin()
        else:
            _WAITING[state](self, wrap(self.INP - self._zero()))
        self.quiet = {"INP": self._band()}
        return now + 1 if self.STATE not in {state, WAIT_ENABLE} else None

    def _begin(self) -> None:
        self.ACTIVE, self.HEALTH, self.PRODUCED = 1, OK, 0
        if self.DIR == _EITHER:
            self.STATE = WAIT_DIR
            return
        self._sign = -1 if self.DIR else 1
        if self.RELATIVE and not self.START and not self.PRE_START:
            self._rise(0)
        else:
            self.STATE = WAIT_PRE_START

    def _wait_dir(self, pos: int) -> None:
        if not self.RELATIVE:
            if pos != self.START:
                self._sign = 1 if pos < self.START else -1
                self.STATE = WAIT_PRE_START
            return
        threshold = wrap(self.START + self.PRE_START)
        if threshold <= 0:
            self._end(CANNOT_GUESS)
        elif wrap(abs(pos)) >= threshold:
            self._sign = 1 if pos > 0 else -1
            if self.PRE_START > 0:  # it is moving away and will come back
                self._sign = -self._sign
                self.STATE = WAIT_PRE_START
            else:
                self._rise(wrap(self._sign * self.START))

    def _wait_pre_start(self, pos: int) -> None:
        start = self._start()
        limit = wrap(start - self._sign * self.PRE_START)
        if pos < limit if self._sign > 0 else pos > limit:
            self._last, self._next = wrap(start - self._sign), start
            self.STATE = WAIT_RISING

    def _wait_rising(self, pos: int) -> None:
        if not self._crossed(pos):
            return
        if self._jumped(pos):
            self._end(JUMPED)
        else:
            self._rise(self._next)

    def _wait_falling(self, pos: int) -> None:
        if not self._crossed(pos):
            return
        self.OUT = 0
        if self.PULSES and self.PRODUCED == self.PULSES:
            self._end(OK)
        elif self._jumped(pos):
            self._end(JUMPED)
        else:
            self._last, self._next = self._next, self._far()
            self.STATE = WAIT_RISING

    def _rise(self, pos: int) -> None:
        """Generate a rising edge at a position, and wait for the falling one."""
        self.OUT = 1
        self.PRODUCED = (self.PRODUCED + 1) & 0xFFFFFFFF
        self._last, self._next = pos, wrap(pos + self._sign * self.WIDTH)
        self.STATE = WAIT_FALLING

    def _end(self, health: int) -> None:
        self.ACTIVE = self.OUT = 0
        self.STATE, self.HEALTH = WAIT_ENABLE, health

    def _zero(self) -> int:
        """Return the origin of positions; RELATIVE may change during a run."""
        return self._latched if self.RELATIVE & 1 else 0

    def _start(self) -> int:
        return wrap(self._sign * self.START) if self.RELATIVE else self.START

    def _far(self) -> int:
        return wrap(self._last + self._sign * self.STEP)

    def _crossed(self, pos: int) -> bool:
        return pos >= self._next if self._next >= self._last else pos <= self._next

    def _jumped(self, pos: int) -> bool:
        """Return whether the position has already passed the edge after the next one."""
        far = self._far()
        return self._last <= self._next <= far <= pos or self._last >= self._next >= far >= pos

    def _band(self) -> Band:
        """Return the range of INP in which nothing happens."""
        low, high = self._pos_band()
        zero = self._zero()
        return max(low + zero, _LOWEST), min(high + zero, _HIGHEST)

    def _pos_band(self) -> Band:
        if self.STATE == WAIT_ENABLE:
            return ANY
        if self.STATE == WAIT_DIR:
            if not self.RELATIVE:
                return self.START, self.START
            threshold = wrap(self.START + self.PRE_START)
            return 1 - threshold, threshold - 1
        if self.STATE == WAIT_PRE_START:
            limit = wrap(self._start() - self._sign * self.PRE_START)
            return (limit, _HIGHEST) if self._sign > 0 else (_LOWEST, limit)
        return (_LOWEST, self._next - 1) if self._next >= self._last else (self._next + 1, _HIGHEST)


_WAITING = {
    WAIT_DIR: Pcomp._wait_dir,
    WAIT_PRE_START: Pcomp._wait_pre_start,
    WAIT_RISING: Pcomp._wait_rising,
    WAIT_FALLING: Pcomp._wait_falling,
}
