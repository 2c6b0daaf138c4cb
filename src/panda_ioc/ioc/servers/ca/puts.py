"""Who puts what over Channel Access: told by EPICS before and after each put, and asked as a record is processed.

EPICS processes a record in the thread of the client whose put it is, within that put. The one exception is a put
with completion that waited for another one to the same record: it is made later, in a thread of EPICS' own, and the
record then says which channel's put it is busy with. So nothing has to be guessed, where access rules trap every put.
"""

import asyncio
import dataclasses
import itertools
import re
import threading
from dataclasses import dataclass

from ..put import Put

#: Fields of a record by which its value is put.
_VALUE = {"", "VAL", "PROC"}

#: What may follow the name of a field: "$", "[0:3]" or a filter.
_MODIFIER = re.compile(r"\W.*", re.DOTALL)


@dataclass(eq=False)
class Write:
    """A put that EPICS has told of.

    Attributes:
        channel: tells the channels of all clients apart
        record: the full name, or that of an alias
        field: as it was named, "" if it was not
        originator: "user@host"
        number: what the client puts, if that is one number
        text: what the client puts, if that is one text
        taken: whether the record has been processed for it
        ended: whether it is over: done, refused by EPICS, or given up by a client that left
        thread: the client's, in which EPICS told of it
        ahead: the put, where it is made before EPICS processes the record for it; it returns the reason of a refusal
    """

    channel: int
    record: str
    field: str
    originator: str
    number: float | None = None
    text: str | None = None
    taken: bool = False
    ended: bool = False
    thread: int = dataclasses.field(default_factory=threading.get_ident)
    ahead: asyncio.Task[str] | None = None

    @property
    def plain_field(self) -> str:
        """The name of the field, without what may follow it."""
        return _MODIFIER.sub("", self.field)

    @property
    def processes(self) -> bool:
        """Whether it has the record processed with the value that is there, whatever number it is."""
        return self.plain_field == "PROC"

    @property
    def is_of_the_value(self) -> bool:
        """Whether it puts the value of the record, and not one of its other fields."""
        return self.plain_field in _VALUE


@dataclass(frozen=True)
class Completion:
    """A put whose end a client waits for.

    Attributes:
        put: what is put
        channel: the client's
        write: what EPICS told of it; None if it told nothing
    """

    put: Put
    channel: int
    write: Write | None

    def is_of(self, channel: int | None) -> bool:
        """Whether a channel still waits for it."""
        return self.channel == channel and self.write is not None and not self.write.ended


class Puts:
    """All puts over Channel Access that are under way. It may be used in any thread."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._under_way: dict[int, Write] = {}
        self._by_thread: dict[int, Write] = {}
        #: In order. One that waits can be followed by others of the same channel that do not.
        self._by_channel: dict[int, list[Write]] = {}

    def begins(self, write: Write) -> int:
        """A put begins, in this thread; return a number for `ends`."""
        number = next(self._numbers)
        self._under_way[number] = write
        self._by_thread[write.thread] = write
        self._by_channel.setdefault(write.channel, []).append(write)
        return number

    def ends(self, number: int) -> Write | None:
        """A put has ended, in any thread; return it."""
        write = self._under_way.pop(number, None)
        if write is not None:
            write.ended = True
            if self._by_thread.get(write.thread) is write:
                del self._by_thread[write.thread]
            of_channel = self._by_channel[write.channel]
            of_channel.remove(write)
            if not of_channel:
                del self._by_channel[write.channel]
        return write

    def take(self, channel: int | None) -> Write | None:
        """Return the put for which a record is processed in this thread; None if no client puts.

        Args:
            channel: that whose put with completion the record is busy with
        """
        write = self._by_thread.get(threading.get_ident())
        if write is None and channel is not None:
            write = next(iter(self._by_channel.get(channel, ())), None)
        if write is not None:
            write.taken = True
        return write
