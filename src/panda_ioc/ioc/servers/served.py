"""What serves a record: Channel Access and PV Access as one."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol

from ..plan.alarm import NO_ALARM, Alarm, Severity, Status
from ..plan.record import Content


class Side(Protocol):
    """A record as one of the two protocols serves it."""

    def post(self, value: Content, alarm: Alarm = NO_ALARM) -> None:
        """Give it a value and an alarm."""

    def set_field(self, field: str, value: str) -> None:
        """Set another field of it."""


class Pv:
    """A record or a table, wherever it is served.

    Args:
        sides: what serves it
        value: what it was made with; None if it has no value yet
        put: puts a value as a client does; gives the reason of a refusal, "" if there is none

    Attributes:
        value: what was posted last
        alarm: the alarm that went with it
        posts: how often it was posted
        on_post: is called after each post
    """

    def __init__(self, sides: tuple[Side, ...], value: Content | None, put: Callable[[Any], Awaitable[str]]) -> None:
        self._sides = sides
        self.value = value
        self.put = put
        self.alarm = NO_ALARM
        self.posts = 0
        self.on_post: Callable[[], None] | None = None

    def post(self, value: Content, alarm: Alarm = NO_ALARM) -> None:
        """Give it a value and an alarm; monitors have been told when this returns."""
        self.value, self.alarm = value, alarm
        self.posts += 1
        for side in self._sides:
            side.post(value, alarm)
        if self.on_post is not None:
            self.on_post()

    def refuse(self, reason: str, posts: int) -> None:
        """Show that a put was refused: the value as it was, with an alarm that says why, if it is in no worse one.

        Args:
            reason: why
            posts: what `posts` was before the put; until the next post a record of Channel Access has the value put
        """
        alarm = Alarm(Severity.MAJOR, Status.WRITE, reason)
        alarm = self.alarm if self.alarm.severity > alarm.severity else alarm
        if self.value is not None and (self.posts == posts or self.alarm != alarm):
            self.post(self.value, alarm)

    def forgive(self) -> None:
        """Show that a put would not be refused any more."""
        if self.value is not None and self.alarm.status is Status.WRITE:
            self.post(self.value)

    def set_field(self, field: str, value: str) -> None:
        """Set another field of it: EGU or PREC."""
        for side in self._sides:
            side.set_field(field, value)


def join(
    names: Mapping[str, Content | None], put: Callable[[str, Any], Awaitable[str]], *servers: Mapping[str, Side]
) -> dict[str, Pv]:
    """Make one of what several servers have under a name.

    Args:
        names: all names, with the first values
        put: see `Pv`; it is given the name, too
        servers: what each serves, by name; the first is posted to first
    """
    return {
        name: Pv(tuple(server[name] for server in servers if name in server), value, partial(put, name))
        for name, value in names.items()
    }
