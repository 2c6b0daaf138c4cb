"""The parts of the IOC that own PVs, and the way of a put to the one that owns what was put.

The mirror owns what shows fields of the PandA; tables and captured data have services of their own. A record
or table of the plan says by its `service` whose it is.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from ...client import AsyncioClient
from ...protocol import Changes, CommandError, PandaError
from ..log import PUT
from ..plan import status
from ..plan.codecs import Refusal
from ..plan.kept import Kept
from ..plan.plan import Plan
from ..plan.record import Content, Record, Table, shorten
from ..servers.served import Pv

log = logging.getLogger(__name__)

#: Waits for a poll of everything that begins after the call.
Refresh = Callable[[], Awaitable[None]]

#: Who makes the put under way, and with it the puts that it becomes.
_maker: ContextVar[str] = ContextVar("maker", default="")

#: Bytes of a value in a line of the log.
_SHOWN_BYTES = 80


def maker() -> str:
    """Who makes the put under way, as "user@host"; "somebody" if nobody knows."""
    return _maker.get() or "somebody"


class Service(Protocol):
    """A part of the IOC that owns PVs. All is called in the event loop."""

    def initial_values(self) -> Mapping[str, Content]:
        """What its PVs start with; one that is not among them is undefined until it is posted."""

    def kept(self) -> Mapping[str, Kept]:
        """What is to be there again after a restart, by names that are unique."""

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Take all PVs, by name, as they are served."""

    def connected(self, client: AsyncioClient, refresh: Refresh, changes: Changes) -> None:
        """The PandA is there.

        Args:
            client: what commands are sent with
            refresh: waits for a poll of everything
            changes: everything that it says now
        """

    def disconnected(self, reason: str) -> None:
        """The PandA is gone."""

    def apply(self, changes: Changes) -> None:
        """The PandA says what has changed."""

    async def put(self, name: str, value: Any) -> None:
        """Take what a client put to a record or table; return when it is done and all that is shown is true.

        Args:
            name: the record or table
            value: a number, an index of a choice, text, an array, or the columns of a table that were put

        Raises:
            Refusal, PandaError: it is refused, and nothing changed
        """

    async def close(self) -> None:
        """The IOC ends."""


class Services:
    """All services as one.

    Args:
        plan: what is served
        services: by the name that records have
    """

    def __init__(self, plan: Plan, services: Mapping[str, Service]) -> None:
        self._plan = plan
        self._services = services
        self._planned = {item.name: item for item in plan.items}
        self._pvs: Mapping[str, Pv] = {}
        self._connected = self._ending = False
        self._refused_alone: set[str] = set()  # without a PandA, and not by the mirror, which knows itself
        self.puts_accepted = 0
        self.puts_refused = 0

    def initial_values(self) -> dict[str, Content]:
        """What all records and tables start with."""
        constants = {record.name: record.constant for record in self._plan.records if record.constant is not None}
        told = [service.initial_values() for service in self._services.values()]
        return {name: value for values in (constants, *told) for name, value in values.items()}

    def kept(self) -> dict[str, Kept]:
        """What all services keep on disk."""
        return {name: kept for service in self._services.values() for name, kept in service.kept().items()}

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """See `Service`, as for all that follow."""
        self._pvs = pvs
        for service in self._services.values():
            service.bind(pvs)

    def connected(self, client: AsyncioClient, refresh: Refresh, changes: Changes) -> None:
        self._connected = True
        while self._refused_alone:
            self._pvs[self._refused_alone.pop()].forgive()
        for service in self._services.values():
            service.connected(client, refresh, changes)

    def disconnected(self, reason: str) -> None:
        self._connected = False
        for service in self._services.values():
            service.disconnected(reason)

    def apply(self, changes: Changes) -> None:
        for service in self._services.values():
            service.apply(changes)

    async def close(self) -> None:
        self._ending = True
        ends = await asyncio.gather(*(service.close() for service in self._services.values()), return_exceptions=True)
        failures = [end for end in ends if isinstance(end, Exception)]
        if failures:
            raise ExceptionGroup("not all could be closed", failures)

    async def put(self, name: str, value: Any, by: str = "") -> str:
        """Hand on what a client put; return when it is done, with why it was refused, "" if it was not.

        Args:
            name: the record or table
            value: see `Service.put`
            by: who put it, as "user@host"; "" if nobody knows, or if it is a part of another put
        """
        planned = self._planned[name]
        part_of = _maker.set(by or _maker.get())
        posts = self._pvs[name].posts
        try:
            self._check(planned, value)
            await self._services[planned.service].put(name, value)
        except (PandaError, Refusal) as problem:
            reason = problem.reason if isinstance(problem, CommandError) else str(problem)
        except Exception as bug:
            log.exception("%s was not put", name)
            reason = f"an error of the IOC: {bug!r}"
        else:
            self.puts_accepted += 1
            log.log(PUT, "put %s = %s by %s", self._plan.pv(name), _shown(planned, value), maker())
            return ""
        finally:
            _maker.reset(part_of)
        self._pvs[name].refuse(reason, posts)
        self._refused(planned, value, reason)
        return reason

    def _check(self, planned: Record | Table, value: Any) -> None:
        """What holds for every service."""
        if self._ending:
            raise Refusal("the IOC is stopping")
        if not isinstance(planned, Record):
            return
        if planned.kind.is_choice and not 0 <= value < len(planned.labels):
            raise Refusal(f"there is no choice {value}, only 0 to {len(planned.labels) - 1}")
        if planned.kind.is_array and len(value) > planned.length:
            raise Refusal(f"{len(value)} elements are more than the {planned.length} that {planned.name} holds")

    def _refused(self, planned: Record | Table, value: Any, reason: str) -> None:
        if not self._connected and planned.service:
            self._refused_alone.add(planned.name)
        self.puts_refused += 1
        text = f"{self._plan.pv(planned.name)} = {_shown(planned, value)}: {reason}"
        log.warning("refused %s", text)
        self._pvs[status.LAST_REFUSED].post(text)
        self._pvs[status.PUTS_REFUSED].post(self.puts_refused)


def _shown(planned: Record | Table, value: Any) -> str:
    """A value as a message shows it: short, a choice by its label, of more values how many there are."""
    if isinstance(planned, Table):
        return f"{max(map(len, value.values()), default=0)} rows"
    if planned.kind.is_array:
        return f"{len(value)} elements"
    label = planned.labels[value] if isinstance(value, int) and 0 <= value < len(planned.labels) else ""
    if label:
        return repr(label)
    short = shorten(str(value), _SHOWN_BYTES) if isinstance(value, str) else value
    return repr(short) if short == value else f"{short!r}..."
