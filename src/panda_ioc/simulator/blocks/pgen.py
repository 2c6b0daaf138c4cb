"""PGEN: a position generator, which plays a table of positions, one per trigger."""

from .base import Changes, bit_in, pos_out, rising, wrap
from .loader import Memory
from .player import OK, UNDERRUN, WAIT_ENABLE, Player

RUNNING = WAIT_ENABLE + 1


class Pgen(Player):
    """Sends the next word of a table to OUT on each rising edge of TRIG."""

    row_words = 1

    TRIG: int = bit_in()
    OUT: int = pos_out()

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self._repeat = 1

    def step(self, now: int, changes: Changes) -> int | None:
        wake = super().step(now, changes)
        if rising(changes, "ENABLE"):  # in any state, unlike SEQ, and even for an error in this tick
            self.HEALTH = OK
        return wake

    def begin(self, now: int) -> None:
        self.STATE = RUNNING
        self._repeat = 1

    def play(self, now: int, changes: Changes) -> None:
        if not rising(changes, "TRIG"):
            return
        loader = self.loader
        words = loader.take(now)
        if words is None:
            self.fail(UNDERRUN)
            return
        self.OUT = wrap(words[0])
        if not loader.at_end:
            return
        if loader.streams or self._repeat == self.REPEATS:
            self.finish()
        else:
            self._repeat += 1
            loader.rewind()
