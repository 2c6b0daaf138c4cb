"""Advance a simulation in step with real time, or as fast as possible.

Work is done in slices, so that the ports stay responsive; while nothing is due there is no timer and no load. If the
simulation cannot keep up with real time, it falls behind, logs that, and does not catch up.
"""

import asyncio
import logging
import math
import time

from .engine import TICKS
from .simulation import Simulation

_log = logging.getLogger(__name__)

#: Events in a slice; a slice takes some milliseconds.
_SLICE = 1000

#: Seconds between slices; events in between are processed together.
_PERIOD = 0.02

#: Delay in s that is logged, and minimum interval in s between log messages.
_LATE = 0.2
_QUIET = 10.0


class Runner:
    """Advances the time of a simulation.

    Args:
        simulation: simulation to advance
        speed: simulated time per real time: 1 for real time, 0.1 for a tenth of it, math.inf for as fast as possible,
            0 for paused: only `Simulation.advance` then advances the time

    Attributes:
        lost: real time in s by which the simulation fell behind in total

    Raises:
        ValueError: the speed is negative or NaN
    """

    def __init__(self, simulation: Simulation, speed: float = 1.0) -> None:
        if not speed >= 0:
            raise ValueError(f"speed must be 0 or more, not {speed}")
        self.lost = 0.0
        self._simulation = simulation
        self._speed = speed
        self._per_second = speed * TICKS
        self._timer: asyncio.Handle | None = None
        self._timer_at = math.inf
        self._said = -math.inf
        self._late = False  # whether events of the past are still to be processed
        self._base_tick = simulation.engine.now
        self._base_time = time.monotonic()

    @property
    def waiting(self) -> bool:
        """Whether an event is scheduled."""
        return self._timer is not None

    def sync(self) -> None:
        """Advance to the present, for at most one slice of work. Call this before each command."""
        if self._speed in {0, math.inf}:
            return
        now = time.monotonic()
        engine = self._simulation.engine
        target = self._base_tick + int((now - self._base_time) * self._per_second)
        if target <= engine.now:
            return
        self._late = not self._simulation.advance(target - engine.now, limit=_SLICE)
        behind = (target - engine.now) / self._per_second
        if behind > _LATE:
            self.lost += behind
            self._base_tick, self._base_time = engine.now, now
            self._complain(now)

    def schedule(self) -> None:
        """Set a timer for the next event. Call this after each command."""
        due = self._simulation.engine.next_due()
        if due is None or self._speed == 0:
            self.stop()
            return
        now = time.monotonic()
        at = now
        if self._speed != math.inf and not self._late:
            at = max(now + _PERIOD, self._base_time + (due - self._base_tick) / self._per_second)
        if at >= self._timer_at:
            return
        self.stop()
        loop = asyncio.get_running_loop()
        self._timer_at = at
        self._timer = loop.call_later(at - now, self._run) if at > now else loop.call_soon(self._run)

    def stop(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, math.inf

    def _run(self) -> None:
        self._timer, self._timer_at = None, math.inf
        if self._speed == math.inf:
            self._run_free()
        else:
            self.sync()
        self.schedule()

    def _run_free(self) -> None:
        """Process a slice of events, without regard to real time."""
        engine = self._simulation.engine
        last = engine.events + _SLICE
        while engine.events < last:
            due = engine.next_due()
            if due is None:
                break
            engine.run(due, limit=last - engine.events)
        self._simulation.flush()

    def _complain(self, now: float) -> None:
        if now - self._said >= _QUIET:
            self._said = now
            _log.warning("simulation cannot keep up with real time: %.1f s lost in total", self.lost)
