"""The transfer of table rows to the block, as the driver of a PandA does it.

A fixed table is one transfer. The buffers of a stream are queued here until the block can load the next one.
"""

from collections import deque

import numpy as np

from .blocks.loader import MORE
from .blocks.player import Player
from .engine import Engine, Node
from .numbers import Refused
from .tables import TableField, Words

#: Limit of a stream's queue, as a multiple of the maximum length of the table: the memory of a PandA.
_MAX_QUEUED = 4

_STREAMS = ("STREAMING", "STREAMING_LAST")

#: Ticks that a write takes: clear the table, let the block see that, write its length.
_WRITE_TICKS = 3


class Store:
    """The memory from which one block loads its tables: the words of the next transfer."""

    def __init__(self) -> None:
        self.words: Words = np.empty(0, np.uint32)

    def read(self, _address: int, _words: int) -> Words:
        """Return the words; the address is ignored."""
        return self.words


class Feed:
    """The transfers of one table.

    Args:
        field: the table
        node: node of its block
        engine: engine that runs the block
        store: memory of the block
    """

    def __init__(self, field: TableField, node: Node, engine: Engine, store: Store) -> None:
        self._field = field
        self._node = node
        self._engine = engine
        self._store = store
        self._waiting: deque[tuple[Words, bool]] = deque()  # buffers, and whether each is the last one
        self._queued = 0
        assert isinstance(node.block, Player)  # noqa: S101 - guaranteed by the table of blocks
        self._loader = node.block.loader
        field.on_rows = self._put
        field.count_queued = self.lines

    def lines(self) -> int:
        """Return the number of queued lines of a stream."""
        waiting = sum(len(words) for words, _ in self._waiting)
        return waiting // self._loader.row_words + self._loader.rows_left

    def show(self) -> None:
        """Report the number of queued lines if it has changed."""
        queued = self.lines()
        if queued != self._queued:
            self._queued = queued
            self._field.changed(f"{self._field.name}.QUEUED_LINES")

    def _put(self, field: TableField, words: Words, mode: str) -> None:
        """Accept a buffer that was written to the table."""
        engine = self._engine
        adds = mode in _STREAMS and field.mode in _STREAMS
        if adds:
            self._check(field, words)
        else:
            self._waiting.clear()
            engine.put(engine.now + 1, self._node, {"TABLE_LENGTH": 0})
        if mode != "INIT":
            self._waiting.append((words, mode != "STREAMING"))
        if not adds:
            engine.call_at(engine.now + 2, self._pump)
        elif len(self._waiting) == 1:
            self._pump()
        for _ in range(_WRITE_TICKS):
            engine.settle()

    def _check(self, field: TableField, words: Words) -> None:
        """Raise Refused if the stream cannot take another buffer."""
        row_words = self._loader.row_words
        if self._loader.closed:
            raise Refused("Streaming has stopped")
        if self.lines() * row_words + len(words) > _MAX_QUEUED * max(field.spec.max_length, row_words):
            raise Refused("Too many points for table")

    def _pump(self) -> None:
        """Give the block the next buffer if it can take one, and schedule the next attempt."""
        if self._loader.closed:
            self._waiting.clear()
        if not self._waiting:
            return
        now = self._engine.now
        if self._loader.may_push(now + 1):
            words, last = self._waiting.popleft()
            self._push(words, last=last)
            if self._waiting:
                self._engine.call_at(now + 2, self._pump)
        else:
            self._engine.call_at(max(self._loader.next_push, now + 1), self._pump)

    def _push(self, words: Words, *, last: bool) -> None:
        self._store.words = words
        length = len(words) if last else len(words) | MORE
        self._engine.put(self._engine.now + 1, self._node, {"TABLE_ADDRESS": 0, "TABLE_LENGTH": length})
