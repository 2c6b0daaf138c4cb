"""A simulation in step with the clock on the wall, or as fast as it can.

Work is done in slices, so that the ports stay responsive; when nothing is due there is no timer, and no cost. A
simulation that cannot keep up is slower than the wall, says so, and does not try to make up for it.
"""

import asyncio
import logging
import math
import time

from .engine import TICKS
from .simulation import Simulation

_log = logging.getLogger(__name__)

#: Events in a slice: some milliseconds.
_SLICE = 1000

#: Seconds between slices: what happens in between is done at once.
_PERIOD = 0.02

#: Seconds by which it may be late before it says so, and between two times that it says so.
_LATE = 0.2
_QUIET = 10.0


class Runner:
    """Lets time pass for a simulation.

    Args:
        simulation: what is to run
        speed: 1 for the speed of the clock on the wall, 0.1 for a tenth of it; math.inf for as fast as it can, 0 for
            not at all: then time passes by `Simulation.advance` alone

    Attributes:
        lost: seconds of the wall by which it fell behind in all
    """

    def __init__(self, simulation: Simulation, speed: float = 1.0) -> None:
        if not speed >= 0:
            raise ValueError(f"a speed cannot be {speed}")
        self.lost = 0.0
        self._simulation = simulation
        self._speed = speed
        self._per_second = speed * TICKS
        self._timer: asyncio.Handle | None = None
        self._timer_at = math.inf
        self._said = -math.inf
        self._late = False  # whether it is still working on what is over
        self._base_tick = simulation.engine.now
        self._base_time = time.monotonic()

    @property
    def waiting(self) -> bool:
        """Whether something is due."""
        return self._timer is not None

    def sync(self) -> None:
        """Come to the present, as far as a slice of work takes it. To be called before each command."""
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
        """See to it that what is due next is done in time. To be called after each command."""
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
        """Do no more."""
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
        """Do a slice of what is due, whenever it is due."""
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
            _log.warning("cannot keep up with real time: %.1f s behind in all; the simulation is slower now", self.lost)
