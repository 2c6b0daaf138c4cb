"""The transfer of tables from memory into SEQ or PGEN.

A write to TABLE_LENGTH starts a transfer from TABLE_ADDRESS, one word per tick. A plain length means a fixed table,
which can be played repeatedly. With the highest bit set, the table is part of a stream: each row is played once, more
tables can follow, and the stream ends with a table without the bit. A length of 0 clears everything, also after an
error.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
import numpy.typing as npt

#: The bit of TABLE_LENGTH that announces more tables.
MORE = 1 << 31

#: Ticks from the write until the first row is loaded, in addition to one per word.
_LATENCY = 7

#: Ticks from the write to the start of the transfer, if no other transfer is in progress.
_REQUEST = 3

#: Ticks from a write until its effect shows: that the table was cleared, or that the write was refused.
_CLEARED = 2
_REFUSED = 1

Words = Sequence[int] | npt.NDArray[np.uint32]

#: Returns a number of words from an address on: (address, words).
Memory = Callable[[int, int], Words]


class Event(Enum):
    """An effect that shows some ticks after a write."""

    READY = auto()
    CLEARED = auto()
    REFUSED = auto()


_NONE: Sequence[Event] = ()


class _Mode(Enum):
    EMPTY = auto()
    FIXED = auto()
    STREAM = auto()
    LAST = auto()
    CLOSED = auto()  # after the end of a stream, or an error: refuses tables until cleared


@dataclass(slots=True)
class _Table:
    words: Words
    row_words: int
    begin: int  # tick of the write, or later if another transfer was in progress
    next_row: int = 0

    @property
    def rows_left(self) -> int:
        return len(self.words) // self.row_words - self.next_row

    def row_in(self, row: int) -> int:
        """Return the tick in which a row is loaded."""
        return self.begin + _LATENCY + (row + 1) * self.row_words


class Loader:
    """The tables of a block, and the next row to play.

    Args:
        row_words: words per row
        memory: reads the words of tables
    """

    def __init__(self, row_words: int, memory: Memory) -> None:
        self.row_words = row_words
        self.memory = memory
        self._mode = _Mode.EMPTY
        self._tables: deque[_Table] = deque()
        self._events: dict[int, list[Event]] = {}
        self._playing = False
        self._at_end = False
        self._leaving: tuple[int, deque[_Table]] = (-1, deque())  # cleared tables, and the last tick they can be played

    @property
    def streams(self) -> bool:
        """Whether rows are played only once."""
        return self._mode in {_Mode.STREAM, _Mode.LAST}

    @property
    def at_end(self) -> bool:
        """Whether the last row taken is the last of all."""
        return self._at_end

    @property
    def rows_left(self) -> int:
        """Number of rows of a stream that are still to be played."""
        if not self.streams:
            return 0
        return sum(table.rows_left for table in self._tables)

    @property
    def closed(self) -> bool:
        """Whether tables are refused until the table is cleared."""
        return self._mode in {_Mode.LAST, _Mode.CLOSED}

    @property
    def next_push(self) -> int:
        """First tick in which the next table of a stream may be written."""
        return self._tables[-1].begin + _REQUEST + 1 if self._tables else 0

    def may_push(self, now: int) -> bool:
        """Return whether a table may be written now."""
        if self._mode is _Mode.STREAM:
            return not self._tables or now > self._tables[-1].begin + _REQUEST
        return self._mode is _Mode.EMPTY

    def write(self, now: int, address: int, length: int) -> None:
        """Handle a write to TABLE_LENGTH."""
        words = length & ~MORE
        if not words:
            if self._playing:
                self._leaving = (now + _CLEARED - 1, self._tables.copy())
            self._clear()
            self._note(now + _CLEARED, Event.CLEARED)
        elif not self.may_push(now):
            self._note(now + _REFUSED, Event.REFUSED)
        else:
            first = self._mode is _Mode.EMPTY
            if length & MORE:
                self._mode = _Mode.STREAM
            else:
                self._mode = _Mode.FIXED if first else _Mode.LAST
            previous = self._tables[-1] if self._tables else None
            begin = max(now, previous.begin + len(previous.words)) if previous else now
            table = _Table(self.memory(address, words), self.row_words, begin)
            self._tables.append(table)
            if first:
                self._note(table.row_in(0), Event.READY)

    def close(self) -> None:
        """Clear the tables at the end of a stream or after an error; refuse more until cleared by a write."""
        self._clear()
        self._mode = _Mode.CLOSED

    def _clear(self) -> None:
        self._tables.clear()
        for events in self._events.values():
            events[:] = [event for event in events if event is not Event.READY]
        self._mode = _Mode.EMPTY
        self._playing = self._at_end = False

    def rewind(self) -> None:
        """Start to play: a fixed table from its first row, a stream from its next row."""
        self._playing = True
        self._at_end = False
        if self._mode is _Mode.FIXED:
            self._tables[0].next_row = 0

    def take(self, now: int) -> list[int] | None:
        """Return the next row; None if it is not loaded yet, or was cleared."""
        until, leaving = self._leaving
        tables = leaving if now <= until else self._tables
        while len(tables) > 1 and not tables[0].rows_left:
            tables.popleft()
        if not tables or not (self._playing or tables is leaving):
            return None
        table = tables[0]
        if not table.rows_left or now < table.row_in(table.next_row):
            return None
        start = table.next_row * self.row_words
        table.next_row += 1
        self._at_end = self._mode is not _Mode.STREAM and len(tables) == 1 and not table.rows_left
        return [int(word) for word in table.words[start : start + self.row_words]]

    def loaded(self, now: int) -> bool:
        """Return whether the first row is loaded."""
        return bool(self._tables) and now >= self._tables[0].row_in(0)

    def _note(self, tick: int, event: Event) -> None:
        self._events.setdefault(tick, []).append(event)

    def events(self, now: int) -> Sequence[Event]:
        """Return the events of this tick."""
        return self._events.pop(now, _NONE) if self._events else _NONE

    def defer(self, now: int, events: Sequence[Event]) -> None:
        """Postpone events of this tick to the next one, except a refusal."""
        for event in events:
            if event is not Event.REFUSED:
                self._note(now + 1, event)

    def wake(self) -> int | None:
        """Return the tick of the next event."""
        return min(self._events) if self._events else None
