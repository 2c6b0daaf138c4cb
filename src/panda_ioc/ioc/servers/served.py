"""A record or table with the same value, alarm and refusal over all protocols."""

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
    """The new state of a record or table, which clients receive as one update.

    Attributes:
        value: new value
        alarm: new alarm
        time_ns: time stamp in ns of Unix time
        fields: changed fields by name: EGU, PREC
    """

    value: Content
    alarm: Alarm
    time_ns: int
    fields: Mapping[str, str] = field(default_factory=dict)


class TransportPv(Protocol):
    """A record or table served over one protocol."""

    @property
    def disabled(self) -> bool:
        """Whether puts are disabled by DISP, a field that only Channel Access has."""

    def post(self, update: Update) -> None:
        """Send an update to clients. Reads after this call return the new value; monitors may get it later."""


class Server(Protocol):
    """A server for one protocol. The methods are called in the event loop, in this order."""

    def load(self, plan: Plan, initial: Mapping[str, Content], on_put: OnPut) -> Mapping[str, TransportPv]:
        """Create the records and tables; clients cannot connect to them yet.

        Args:
            plan: the records and tables to serve
            initial: initial values by name; a PV without one is undefined until its first post
            on_put: executes the puts of clients

        Returns:
            the records and tables that this protocol supports, by name
        """

    async def start(self) -> None:
        """Start serving.

        Raises:
            PandaError: the server cannot start
        """

    def clients(self) -> int:
        """Return the number of client connections; called every few seconds."""

    async def stop(self) -> None:
        """Stop serving; clients with pending puts get an error."""


class Pv:
    """A record or table, served over one or several protocols.

    Args:
        transports: the PVs of the protocols, in the order of updates
        value: initial value; None for undefined
        on_put: executes puts

    Attributes:
        value: last posted value
        alarm: last posted alarm
        refusal: alarm of the last put if it was refused; clients see it unless the posted alarm is worse
        shows: number of updates sent to clients
        on_post: functions called after each update
    """

    def __init__(self, transports: tuple[TransportPv, ...], value: Content | None, on_put: OnPut) -> None:
        self._transports = transports
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
        return any(transport.disabled for transport in self._transports)

    async def put(self, put: Put) -> str:
        """Execute a put like one of a client; return the reason of a refusal, "" if accepted."""
        return await self._on_put(put)

    def post(
        self,
        value: Content,
        alarm: Alarm = NO_ALARM,
        fields: Mapping[str, str] | None = None,
        *,
        show: bool = True,
    ) -> None:
        """Set value, alarm and other fields.

        Args:
            value: new value
            alarm: new alarm
            fields: EGU and PREC if they have changed
            show: True sends the update to clients; False sends it with the next one
        """
        self.value, self.alarm = value, alarm
        self._due |= fields or {}
        if show:
            self.show()

    def refuse(self, alarm: Alarm) -> None:
        """Send the current value with the alarm of a refused put."""
        self.refusal = alarm
        self.show()

    def accept(self) -> None:
        """Clear the alarm of a refused put."""
        self.refusal = NO_ALARM
        if self._shown != self.alarm:
            self.show()

    def show(self) -> None:
        """Send the last posted state to clients."""
        if self.value is None:
            return
        self.shows += 1
        # At equal severity, the refusal is shown, as users can act on it. UDF is less specific than any refusal.
        worse = self.alarm.severity > self.refusal.severity and self.alarm.status is not Status.UDF
        self._shown = self.alarm if worse or self.refusal is NO_ALARM else self.refusal
        fields, self._due = self._due, {}
        update = Update(self.value, self._shown, time.time_ns(), fields)
        for transport in self._transports:
            transport.post(update)
        for callback in self.on_post:
            callback()


def refusal(reason: str, *, unsure: bool) -> Alarm:
    """Return the alarm of a refused put, or of one for which the PandA sent no reply (`unsure`)."""
    return Alarm(Severity.INVALID, Status.COMM, reason) if unsure else Alarm(Severity.MAJOR, Status.WRITE, reason)


def join(
    plan: Plan, initial: Mapping[str, Content], on_put: OnPut, *servers: Mapping[str, TransportPv]
) -> dict[str, Pv]:
    """Combine the PVs of several servers by name.

    Args:
        plan: the records and tables to serve
        initial: initial values by name
        on_put: executes puts
        servers: PVs of each server by name; the first server gets each update first
    """
    return {
        item.name: Pv(
            tuple(server[item.name] for server in servers if item.name in server), initial.get(item.name), on_put
        )
        for item in plan.items
    }
