"""Simulated detectors: they answer a trigger, and ignore further ones during their dead time."""

import logging
from dataclasses import dataclass

from .blocks.base import Block, Changes, bit_in, bit_out, earliest
from .engine import TICKS
from .numbers import Refused

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Behaviour:
    """The times of a detector, in ticks.

    Attributes:
        dead_time: time after an accepted trigger in which further ones are ignored: exposure and readout
        delay: time from a trigger to the rising edge of the answer
        width: width of the answer
        falling: whether the falling edge triggers instead of the rising one
    """

    dead_time: int
    delay: int
    width: int
    falling: bool = False

    @classmethod
    def of(cls, dead_time: float, delay: float, width: float | None, *, falling: bool) -> "Behaviour":
        """Convert times in s; without a width, the answer lasts until the end of the dead time.

        Raises:
            Refused: the answer would last longer than the dead time
        """
        dead, after = round(dead_time * TICKS), round(delay * TICKS)
        long = dead - after if width is None else round(width * TICKS)
        if dead < 1 or after < 0 or long < 1 or after + long > dead:
            raise Refused(
                f"a dead time of {dead_time:g} s is too short for a delay of {delay:g} s"
                f"{'' if width is None else f' and a width of {width:g} s'}"
            )
        return cls(dead, after, long, falling)


class Detector(Block):
    """A detector that is triggered by an output and answers at an input.

    Attributes:
        name: name of the output
        behaviour: times of the detector
        frames: number of accepted triggers
        early: ticks of the triggers that came too early and were ignored
    """

    TRIGGER: int = bit_in(outside=True)
    ANSWER: int = bit_out(outside=True)

    def __init__(self, name: str, behaviour: Behaviour, level: int) -> None:
        super().__init__()
        self.name = name
        self.behaviour = behaviour
        self.frames = 0
        self.early: list[int] = []
        self.TRIGGER = level
        self._ready = 0  # first tick in which the next trigger is accepted
        self._rises: int | None = None
        self._falls: int | None = None

    def step(self, now: int, changes: Changes) -> int | None:
        if "TRIGGER" in changes and bool(self.TRIGGER) != self.behaviour.falling:
            self._triggered(now)
        if self._rises is not None and now >= self._rises:
            self.ANSWER, self._rises = 1, None
        if self._falls is not None and now >= self._falls:
            self.ANSWER, self._falls = 0, None
        return earliest(self._rises, self._falls)

    def _triggered(self, now: int) -> None:
        if now < self._ready:
            if not self.early:
                _log.warning(
                    "the detector at %s ignored a trigger at %.9g s, %g s too early; only the first is logged",
                    *(self.name, now / TICKS, (self._ready - now) / TICKS),
                )
            self.early.append(now)
            return
        self.frames += 1
        self._ready = now + self.behaviour.dead_time
        self._rises = now + self.behaviour.delay
        self._falls = self._rises + self.behaviour.width
        self.ANSWER = 0  # an accepted trigger ends the previous answer
