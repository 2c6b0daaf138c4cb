"""A record or table wherever it is served: one value, one alarm, one refusal for all protocols."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..plan.alarm import NO_ALARM, Alarm, Severity, Status
from ..plan.plan import Plan
from ..plan.record import Content
from .put import OnPut, Put


@dataclass(frozen=True)
class Update:
    """What clients are to see of a record or table from now on; they see all of it at once.

    Attributes:
        value: its value
        alarm: the alarm that goes with it
        time_ns: when it was so, in nanoseconds of Unix time
        fields: other fields of the record that change with the value: EGU, PREC
    """

    value: Content
    alarm: Alarm
    time_ns: int
    fields: Mapping[str, str] = field(default_factory=dict)


class TransportPv(Protocol):
    """A record or table as one protocol serves it."""

    @property
    def disabled(self) -> bool:
        """Whether a client has disabled puts by DISP, a field that only Channel Access shows."""

    def post(self, update: Update) -> None:
        """Show an update; monitors have been told when this returns."""


class Server(Protocol):
    """A protocol that serves a plan. All is called in the event loop, in this order."""

    def load(self, plan: Plan, initial: Mapping[str, Content], on_put: OnPut) -> Mapping[str, TransportPv]:
        """Make what is planned; clients do not see it yet.

        Args:
            plan: what is served
            initial: what each starts with, by name; one that is not among them is undefined until it is posted
            on_put: does what clients put

        Returns:
            all records and tables that this protocol can serve, by name
        """

    async def start(self) -> None:
        """Serve it.

        Raises:
            PandaError: it cannot be served
        """

    def clients(self) -> int:
        """Return how many connections clients have; it is asked a few times a second."""

    async def stop(self) -> None:
        """Tell clients whose puts are not done, and serve no more."""


class Pv:
    """A record or a table, wherever it is served.

    Args:
        sides: what serves it, in the order in which they are told
        value: what it was made with; None if it has no value yet
        on_put: does a put as one of a client

    Attributes:
        value: what was posted last
        alarm: the alarm that was posted with it
        refusal: the alarm of the last put, if that was refused; it is shown unless the posted one is worse
        shows: how often clients were shown something
        on_post: are called after each post
    """

    def __init__(self, sides: tuple[TransportPv, ...], value: Content | None, on_put: OnPut) -> None:
        self._sides = sides
        self._on_put = on_put
        self._shown = NO_ALARM
        self._due: dict[str, str] = {}
        self.value = value
        self.alarm = NO_ALARM
        self.refusal = NO_ALARM
        self.shows = 0
        self.on_post: list[Callable[[], None]] = []

    @property
    def disabled(self) -> bool:
        """Whether puts are disabled by DISP."""
        return any(side.disabled for side in self._sides)

    async def put(self, put: Put) -> str:
        """Put a value as a client does; return the reason of a refusal, "" if there is none."""
        return await self._on_put(put)

    def post(
        self,
        value: Content,
        alarm: Alarm = NO_ALARM,
        fields: Mapping[str, str] | None = None,
        *,
        show: bool = True,
    ) -> None:
        """Give it a value, an alarm, and other fields; monitors have been told when this returns.

        Args:
            value: its value
            alarm: the alarm that goes with it
            fields: EGU or PREC, where they change
            show: whether clients see it now, or with what is shown next
        """
        self.value, self.alarm = value, alarm
        self._due |= fields or {}
        if show:
            self.show()

    def refuse(self, alarm: Alarm) -> None:
        """Show that a put was refused: the value as it is, with an alarm that says why."""
        self.refusal = alarm
        self.show()

    def accept(self) -> None:
        """Show that the last put was not refused, or that its refusal means nothing any more."""
        self.refusal = NO_ALARM
        if self._shown != self.alarm:
            self.show()

    def show(self) -> None:
        """Show what was posted last."""
        if self.value is None:
            return
        self.shows += 1
        # Of two that are as bad, a refusal says what can be done; and that there is no value yet says less than either.
        worse = self.alarm.severity > self.refusal.severity and self.alarm.status is not Status.UDF
        self._shown = self.alarm if worse or self.refusal is NO_ALARM else self.refusal
        fields, self._due = self._due, {}
        update = Update(self.value, self._shown, time.time_ns(), fields)
        for side in self._sides:
            side.post(update)
        for told in self.on_post:
            told()


def refusal(reason: str, *, unsure: bool) -> Alarm:
    """Return the alarm of a put that was refused, or of which nobody knows whether the PandA took it."""
    return Alarm(Severity.INVALID, Status.COMM, reason) if unsure else Alarm(Severity.MAJOR, Status.WRITE, reason)


def join(
    plan: Plan, initial: Mapping[str, Content], on_put: OnPut, *servers: Mapping[str, TransportPv]
) -> dict[str, Pv]:
    """Make one of what several servers have under a name.

    Args:
        plan: what is served
        initial: the first values, by name
        on_put: see `Pv`
        servers: what each serves, by name; the first is posted to first
    """
    return {
        item.name: Pv(
            tuple(server[item.name] for server in servers if item.name in server), initial.get(item.name), on_put
        )
        for item in plan.items
    }
