"""POSENC: follows a position with quadrature or step/direction signals; OUTENC contains the same stepper.

A prescaler allows one step per period; only a write to the period restarts it. The values of the previous tick decide
whether to step, and in which direction.
"""

from .base import Block, Changes, bit_in, bit_out, earliest, param, pos_in, readback, wrap

DISABLED, AT_POSITION, SLEWING = range(3)
QUADRATURE, STEP_DIRECTION = range(2)

#: (A, B) in the order of a cycle in the positive direction.
_CYCLE = ((0, 0), (1, 0), (1, 1), (0, 1))


class Stepper:
    """Moves to a target one step at a time.

    Attributes:
        track: current position
        state: DISABLED, AT_POSITION or SLEWING
        phase: number of steps within the cycle of A and B
        stepped: whether it made a step in this tick
        last_stepped: whether it would have made a step in a tick in which it was disabled
        period: ticks per step; at least 1
    """

    def __init__(self) -> None:
        self.track = 0
        self.state = DISABLED
        self.phase = 0
        self.stepped = self.last_stepped = False
        self._direction = 0
        self.period = 1
        self._decided = (-1, False)  # next tick, and whether it may step, decided before a restart of the prescaler
        self._base = -2  # steps are allowed in the ticks base + k * period, k > 0

    def restart(self, now: int, period: int) -> None:
        """Restart the prescaler after a write to the period. Call this after `step`.

        The prescaler is checked in the tick before a step, so the old count still applies to the next tick.
        """
        self._decided = now + 1, (now - self._base) % self.period == period - 1
        self._base = now + 1
        self.period = period

    def step(self, now: int, target: int, *, enabled: int) -> int | None:
        """Compute a tick.

        Returns:
            tick of the next step; None for no step
        """
        due = bool(self._direction) and self._allowed(now)
        self.stepped = self.last_stepped = False
        if not enabled:
            self.last_stepped = due
            self.state, self._direction = DISABLED, 0
            return None
        if self.state == DISABLED:
            self.track = target
        elif due:
            self.track = wrap(self.track + self._direction)
            self.phase = (self.phase + self._direction) % 4
            self.stepped = True
        self._direction = (target > self.track) - (target < self.track)
        self.state = SLEWING if self._direction else AT_POSITION
        return self.next_step(now)

    def next_step(self, now: int) -> int | None:
        """Return the next tick with a step, after this one."""
        if not self._direction:
            return None
        if self._decided == (now + 1, True):
            return now + 1
        periods = max(-(-(now + 1 - self._base) // self.period), 1)
        return self._base + periods * self.period

    def _allowed(self, now: int) -> bool:
        tick, allowed = self._decided
        if now == tick:
            return allowed
        return now > self._base and (now - self._base) % self.period == 0

    @property
    def quadrature(self) -> tuple[int, int]:
        """Levels of A and B."""
        return _CYCLE[self.phase]


class Posenc(Block):
    """Follows INP."""

    ENABLE: int = bit_in()
    INP: int = pos_in()
    PERIOD: int = param()
    PROTOCOL: int = param()
    A: int = bit_out()
    B: int = bit_out()
    STATE: int = readback()

    def __init__(self) -> None:
        super().__init__()
        self._stepper = Stepper()

    def step(self, now: int, changes: Changes) -> int | None:
        stepper = self._stepper
        was_disabled = stepper.state == DISABLED
        stepper.step(now, self.INP, enabled=self.ENABLE)
        # A pulse and a pause take two ticks. With a period of 0, which was not measured, pulses have no pauses.
        period = 2 if self.PERIOD == 1 and self.PROTOCOL & 1 else max(self.PERIOD, 1)
        if "PERIOD" in changes:
            stepper.restart(now, period)
        stepper.period = period  # the protocol may have changed
        self.STATE = stepper.state
        lower_at = None
        if not self.ENABLE:
            stepper.phase = self.B = 0
            self.A = int(stepper.last_stepped and self.PROTOCOL != QUADRATURE)  # a pulse is one tick late
            lower_at = now + 1 if self.A else None
        elif self.PROTOCOL == QUADRATURE:
            self.A, self.B = stepper.quadrature
        else:
            # While disabled, the tracked position counts as 0; the comparison still uses that when ENABLE rises.
            self.A, self.B = int(stepper.stepped), int((0 if was_disabled else stepper.track) >= self.INP)
            lower_at = now + 1 if stepper.stepped or was_disabled else None
        return earliest(lower_at, stepper.next_step(now))
