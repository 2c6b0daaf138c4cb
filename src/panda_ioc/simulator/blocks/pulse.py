"""PULSE: delays, stretches and multiplies pulses.

With a WIDTH, each accepted trigger makes a train of pulses; without, both edges of TRIG are repeated after DELAY. A
write to a parameter while enabled acts like a low level of ENABLE for one tick.
"""

from collections import deque

from .base import Block, Changes, bit_in, bit_out, matches, param, readback

#: Limit of queued triggers; the documentation says 255, the hardware accepts one or two more.
_QUEUE = 256

#: Shortest delay and width, except for 0.
_SHORTEST = 5

_PARAMS = ("DELAY", "WIDTH", "PULSES", "STEP", "TRIG_EDGE")


class Pulse(Block):
    """Generates PULSES pulses of WIDTH every STEP, DELAY after each trigger."""

    ENABLE: int = bit_in()
    TRIG: int = bit_in()
    DELAY: int = param(bits=48)
    WIDTH: int = param(bits=48)
    PULSES: int = param()
    STEP: int = param(bits=48)
    TRIG_EDGE: int = param()
    OUT: int = bit_out()
    QUEUED: int = readback()
    DROPPED: int = readback()

    def __init__(self) -> None:
        super().__init__()
        self._enabled = False
        self._waiting: deque[tuple[int, int]] = deque()  # queued triggers: tick and level
        self._last: int | None = None  # tick of the last accepted trigger of a train

    def step(self, now: int, changes: Changes) -> int | None:
        written = any(name in changes for name in _PARAMS)
        enabled = bool(self.ENABLE) and not written
        if not enabled or not self._enabled:
            if enabled:
                self.DROPPED = 0
            self._enabled = enabled
            self._waiting.clear()
            self._last = None
            self.OUT = self.QUEUED = 0
            return now + 1 if written and self.ENABLE else None
        triggered = "TRIG" in changes
        next_edge = self._replay(now, triggered=triggered) if self.WIDTH == 0 else self._train(now, triggered=triggered)
        waiting = self._waiting
        entered = bool(waiting) and waiting[-1][0] == now
        self.QUEUED = len(waiting) - entered
        return now + 1 if entered else next_edge

    def _replay(self, now: int, *, triggered: bool) -> int | None:
        """Without WIDTH: repeat the edges of TRIG after the delay."""
        waiting = self._waiting
        delay = self._delay()
        if triggered:
            self._accept(now)
        while waiting and waiting[0][0] + delay <= now:
            self.OUT = waiting.popleft()[1]
        return waiting[0][0] + delay if waiting else None

    def _train(self, now: int, *, triggered: bool) -> int | None:
        """With WIDTH: generate a train of pulses for each trigger; trains never overlap."""
        width = max(self.WIDTH, _SHORTEST)
        step = self.STEP if self.STEP > width else width + 1
        length = (max(self.PULSES, 1) - 1) * step + width
        if triggered and matches(self.TRIG_EDGE, self.TRIG):
            if self._last is not None and now - self._last <= length:
                self.DROPPED += 1
            elif self._accept(now):
                self._last = now
        waiting = self._waiting
        delay = self._delay()
        while waiting and waiting[0][0] + delay + length <= now:
            waiting.popleft()
        self.OUT = 0
        if not waiting:
            return None
        start = waiting[0][0] + delay
        if now < start:
            return start
        phase = (now - start) % step
        self.OUT = int(phase < width)
        return now - phase + (width if self.OUT else step)

    def _accept(self, now: int) -> bool:
        if len(self._waiting) >= _QUEUE:
            self.DROPPED += 1
            return False
        self._waiting.append((now, self.TRIG))
        return True

    def _delay(self) -> int:
        return max(self.DELAY, _SHORTEST) if self.DELAY else 0
