"""CLOCK: a clock generator.

An edge of ENABLE, or a write to a parameter, takes effect one tick late; until then the old waveform continues.
"""

from .base import Block, Changes, bit_in, bit_out, param


class Clock(Block):
    """A clock that is high for WIDTH, then low until the end of PERIOD."""

    ENABLE: int = bit_in()
    PERIOD: int = param()
    WIDTH: int = param()
    OUT: int = bit_out()

    def __init__(self) -> None:
        super().__init__()
        self._start: int | None = None  # start of the waveform; None while the clock is stopped
        self._period = self._high = 1
        self._restart: int | None = None  # tick in which a new waveform starts
        self._runs_then = False
        self._next_period = self._next_high = 1

    def step(self, now: int, changes: Changes) -> int | None:
        if self._restart == now:
            self._start = now if self._runs_then else None
            self._period, self._high = self._next_period, self._next_high
            self._restart = None
        if changes:
            self._restart = now + 1
            self._runs_then = bool(self.ENABLE and (self.PERIOD or self.WIDTH))
            self._next_period, self._next_high = self._waveform()
        if self._start is None:
            self.OUT = 0
            return self._restart
        phase = (now - self._start) % self._period
        self.OUT = int(phase < self._high)
        edge = now - phase + (self._high if self.OUT else self._period)
        return edge if self._restart is None else self._restart

    def _waveform(self) -> tuple[int, int]:
        """Return the period, and the time for which the clock is high."""
        period = self.PERIOD if self.PERIOD > self.WIDTH else self.WIDTH + 1
        period = max(period, 2)
        return period, self.WIDTH or period // 2
