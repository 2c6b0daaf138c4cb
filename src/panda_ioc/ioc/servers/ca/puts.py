"""Assignment of record processing to the puts of Channel Access clients.

EPICS calls the IOC before and after each put. It processes the record between these calls, in the thread of the client.
The exception is a put with completion that waits for another one to the same record: a thread of EPICS executes it
later, and the record has the channel of the put. As access rules trap all puts, the assignment is always unique.
"""

import asyncio
import dataclasses
import itertools
import re
import threading
from dataclasses import dataclass

from ..put import Put

#: Fields by which clients put the value of a record.
_VALUE = {"", "VAL", "PROC"}

#: A modifier after the name of a field: "$", "[0:3]" or a filter.
_MODIFIER = re.compile(r"\W.*", re.DOTALL)


@dataclass(eq=False)
class Write:
    """A put reported by EPICS.

    Attributes:
        channel: unique number of the channel
        record: full name of the record or of an alias
        field: field as the client has it; "" for none
        originator: client as "user@host"
        number: value of the put if it is one number
        text: value of the put if it is one string
        processed: whether the record has been processed for this put
        ended: whether the put is completed, refused by EPICS, or aborted by a disconnect
        thread: thread of the client, in which EPICS reported the put
        early: task of a put that the IOC executes before EPICS processes the record; returns the reason of a refusal
    """

    channel: int
    record: str
    field: str
    originator: str
    number: float | None = None
    text: str | None = None
    processed: bool = False
    ended: bool = False
    thread: int = dataclasses.field(default_factory=threading.get_ident)
    early: asyncio.Task[str] | None = None

    @property
    def plain_field(self) -> str:
        """Name of the field without modifiers."""
        return _MODIFIER.sub("", self.field)

    @property
    def processes(self) -> bool:
        """Whether the put processes the record with its current value, regardless of the number."""
        return self.plain_field == "PROC"

    @property
    def is_to_value(self) -> bool:
        """Whether it is a put to the value of the record, not to another field."""
        return self.plain_field in _VALUE


@dataclass(frozen=True)
class Completion:
    """A put with completion.

    Attributes:
        put: the put
        channel: channel of the client
        write: report of EPICS about the put; None if there was none
    """

    put: Put
    channel: int
    write: Write | None

    def is_for(self, channel: int | None) -> bool:
        """Whether a channel waits for this completion."""
        return self.channel == channel and self.write is not None and not self.write.ended


class Puts:
    """All pending puts over Channel Access. Methods may be called in any thread."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._pending: dict[int, Write] = {}
        self._by_thread: dict[int, Write] = {}
        #: In order. Puts without completion may follow a pending one with completion on the same channel.
        self._by_channel: dict[int, list[Write]] = {}

    def begin(self, write: Write) -> int:
        """Add a put of the current thread; return its number for `end`."""
        number = next(self._numbers)
        self._pending[number] = write
        self._by_thread[write.thread] = write
        self._by_channel.setdefault(write.channel, []).append(write)
        return number

    def end(self, number: int) -> Write | None:
        """Remove a put, in any thread; return it."""
        write = self._pending.pop(number, None)
        if write is not None:
            write.ended = True
            if self._by_thread.get(write.thread) is write:
                del self._by_thread[write.thread]
            of_channel = self._by_channel[write.channel]
            of_channel.remove(write)
            if not of_channel:
                del self._by_channel[write.channel]
        return write

    def current(self, channel: int | None) -> Write | None:
        """Return the put for which this thread processes a record; None if no client has put to it.

        Args:
            channel: channel of the pending put with completion of the record
        """
        write = self._by_thread.get(threading.get_ident())
        if write is None and channel is not None:
            write = next(iter(self._by_channel.get(channel, ())), None)
        if write is not None:
            write.processed = True
        return write
