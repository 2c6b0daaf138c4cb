"""Detectors: they answer a trigger, and are deaf for some time after it."""

import logging
from dataclasses import dataclass

from .blocks.base import Block, Changes, bit_in, bit_out, earliest
from .engine import TICKS
from .numbers import Refused

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Behaviour:
    """How a detector behaves; all times in ticks.

    Attributes:
        dead_time: from a trigger until the next one is taken: exposure and readout
        delay: from a trigger to the rising edge of the answer
        width: of the answer
        falling: whether the falling edge triggers, not the rising one
    """

    dead_time: int
    delay: int
    width: int
    falling: bool = False

    @classmethod
    def of(cls, dead_time: float, delay: float, width: float | None, *, falling: bool) -> "Behaviour":
        """Make it of seconds; without a width, the answer lasts until the next trigger is taken.

        Raises:
            Refused: the answer would not be over by then
        """
        dead, after = round(dead_time * TICKS), round(delay * TICKS)
        long = dead - after if width is None else round(width * TICKS)
        if dead < 1 or after < 0 or long < 1 or after + long > dead:
            raise Refused(
                f"a detector must be dead for longer than its answer takes, not for {dead_time:g} s with a delay of "
                f"{delay:g} s and a width of {'the rest' if width is None else f'{width:g} s'}"
            )
        return cls(dead, after, long, falling)


class Detector(Block):
    """What is triggered by an output, and answers at an input.

    Attributes:
        name: of the output
        behaviour: how it behaves
        frames: triggers that it took
        early: the ticks of those that came too early, and were ignored
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
        self._ready = 0  # from this tick on, a trigger is taken
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
                    "the detector at %s was triggered %g s too early, at %.9g s; told once",
                    *(self.name, (self._ready - now) / TICKS, now / TICKS),
                )
            self.early.append(now)
            return
        self.frames += 1
        self._ready = now + self.behaviour.dead_time
        self._rises = now + self.behaviour.delay
        self._falls = self._rises + self.behaviour.width
        self.ANSWER = 0  # the last answer is over when the next trigger is taken
