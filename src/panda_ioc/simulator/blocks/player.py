"""The base of SEQ and PGEN: blocks that play a table once it is loaded and while ENABLE is high."""

from collections.abc import Sequence
from typing import ClassVar

from .base import Block, Changes, bit_in, bit_out, param, readback, rising
from .loader import Event, Loader, Memory

#: Values of STATE; all higher ones mean that the table is played.
UNREADY, WAIT_ENABLE = range(2)

#: HEALTH.
OK, UNDERRUN, NOT_READY = range(3)


class Player(Block):
    """A block that plays a table.

    Args:
        memory: reads the words of tables
    """

    row_words: ClassVar[int]

    ENABLE: int = bit_in()
    TABLE_ADDRESS: int = param()
    TABLE_LENGTH: int = param()
    REPEATS: int = param()
    ACTIVE: int = bit_out()
    STATE: int = readback()
    HEALTH: int = readback()

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.loader = Loader(self.row_words, memory)

    def begin(self, now: int) -> None:
        """Start to play the first row, when ENABLE rises."""
        raise NotImplementedError

    def play(self, now: int, changes: Changes) -> None:
        """Continue to play."""
        raise NotImplementedError

    def step(self, now: int, changes: Changes) -> int | None:
        running = self.STATE > WAIT_ENABLE
        events = self.loader.events(now)
        refused, fell = Event.REFUSED in events, "ENABLE" in changes and not self.ENABLE
        if "TABLE_LENGTH" in changes:
            self.loader.write(now, self.TABLE_ADDRESS, self.TABLE_LENGTH)
        if running and not self.ENABLE:
            self._abort(now)
        elif running and refused:
            self.fail(NOT_READY)
        elif running:
            self.play(now, changes)
        elif refused or fell:
            self.loader.defer(now, events)  # nothing else is handled in such a tick
        else:
            self._wait(now, events, enabled=rising(changes, "ENABLE"))
        if refused:
            self.HEALTH = self.HEALTH or NOT_READY
        return self.loader.wake()

    def _wait(self, now: int, events: Sequence[Event], *, enabled: bool) -> None:
        """Wait for a table, then for ENABLE."""
        if self.STATE == UNREADY:
            if Event.READY in events:
                self.STATE = WAIT_ENABLE
        elif Event.CLEARED in events:
            self.STATE = UNREADY
        elif enabled:
            self.ACTIVE, self.HEALTH = 1, OK
            self.loader.rewind()
            self.begin(now)

    def _abort(self, now: int) -> None:
        """Stop when ENABLE falls: a fixed table can be played again, a stream is lost."""
        ready = not self.loader.streams and self.loader.loaded(now)
        if self.loader.streams:
            self.loader.close()
        self.stop(WAIT_ENABLE if ready else UNREADY)

    def fail(self, health: int) -> None:
        """Stop because of an error; HEALTH keeps the first error."""
        self.loader.close()
        self.HEALTH = self.HEALTH or health
        self.stop(UNREADY)

    def finish(self) -> None:
        """Stop at the end of the table."""
        if self.loader.streams:
            self.loader.close()
            self.stop(UNREADY)
        else:
            self.stop(WAIT_ENABLE)

    def stop(self, state: int) -> None:
        """Stop, for any reason."""
        self.ACTIVE, self.STATE = 0, state
