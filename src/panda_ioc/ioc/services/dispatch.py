"""The parts of the IOC that own PVs, and the way of a put to the one that owns what was put.

The mirror owns what shows fields of the PandA; tables and captured data have services of their own. A record
or table of the plan says by its `service` whose it is.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from ...client import PandaConnectionError
from ...protocol import Changes, CommandError, PandaError
from ..log import PUT
from ..plan import status
from ..plan.alarm import NO_ALARM, Alarm, Severity, Status
from ..plan.autosave import AutosaveEntry
from ..plan.codecs import Refusal
from ..plan.plan import Plan
from ..plan.record import Content, Record, Table, shorten
from ..servers.put import Put
from ..servers.served import Pv, refusal
from .service import Service

log = logging.getLogger(__name__)

#: Puts to one record or table that may be under way; one more is refused.
_MOST_UNDER_WAY = 1000

#: Bytes of a value in a line of the log.
_SHOWN_BYTES = 80


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
        self._beside = _by_target(plan)
        self._under_way: Counter[str] = Counter()
        self._bound = asyncio.Event()
        self._connected = self._ending = False
        self._until_connected: set[str] = set()  # what was refused because of the connection
        self.puts_accepted = 0
        self.puts_refused = 0

    def initial_values(self) -> dict[str, Content]:
        """What all records and tables start with."""
        constants = {record.name: record.constant for record in self._plan.records if record.constant is not None}
        told = [service.initial_values() for service in self._services.values()]
        return {name: value for values in (constants, *told) for name, value in values.items()}

    def kept(self) -> dict[str, AutosaveEntry]:
        """What all services keep on disk."""
        return {name: kept for service in self._services.values() for name, kept in service.kept().items()}

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """See `Service`, as for all that follow."""
        self._pvs = pvs
        for service in self._services.values():
            service.bind(pvs)
        self._bound.set()

    def connected(self, *, again: bool) -> None:
        self._connected = True
        for service in self._services.values():
            service.connected(again=again)
        while self._until_connected:
            self._accepted(self._until_connected.pop())

    def disconnected(self) -> None:
        self._connected = False
        for service in self._services.values():
            service.disconnected()

    def apply(self, changes: Changes, different: Collection[str]) -> None:
        for service in self._services.values():
            service.apply(changes, different)

    def attempts(self, state: str, text: str) -> None:
        """Show whether there is a connection to the PandA."""
        alarm = NO_ALARM if state == "CONNECTED" else Alarm(Severity.MAJOR, Status.COMM, text)
        self._pvs[status.CONNECTION].post(status.CONNECTION_STATES.index(state), alarm)
        self._pvs[status.CONNECTION_TEXT].post(text, alarm)

    async def close(self) -> None:
        self._ending = True
        ends = await asyncio.gather(*(service.close() for service in self._services.values()), return_exceptions=True)
        failures = [end for end in ends if isinstance(end, Exception)]
        if failures:
            raise ExceptionGroup("not all could be closed", failures)

    async def put(self, put: Put) -> str:
        """Have a put done; return when it is, with why it was refused, "" if it was not."""
        await self._bound.wait()  # EPICS lets clients put a moment before
        pv = self._pvs[put.name]
        shows = pv.shows
        self._under_way[put.name] += 1
        try:
            self._check(put, pv)
            await self._services[self._planned[put.name].service].put(put)
        except (PandaError, Refusal) as problem:
            reason = problem.reason if isinstance(problem, CommandError) else str(problem)
            self._refused(put, reason, because_of_connection=isinstance(problem, PandaConnectionError))
            return reason
        except Exception:
            log.exception("%s was not put", put.name)
            reason = "an error of the IOC, which its log has"
            self._refused(put, reason)
            return reason
        finally:
            self._under_way[put.name] -= 1
        self._accepted(put.name)
        if pv.shows == shows:
            pv.show()  # over Channel Access the record has the value that was put
        self.puts_accepted += 1
        if log.isEnabledFor(PUT):
            log.log(PUT, "put %s = %s by %s", self._plan.pv(put.name), self._as_text(put), put.source)
        return ""

    def _check(self, put: Put, pv: Pv) -> None:
        """What holds for every service."""
        planned, value = self._planned[put.name], put.value
        if self._ending:
            raise Refusal("the IOC is stopping")
        if self._under_way[put.name] > _MOST_UNDER_WAY:
            raise Refusal(f"{_MOST_UNDER_WAY} puts to {put.name} are not done yet")
        if pv.disabled and put.protocol != "CA":  # where EPICS refuses it itself, at the time of the put
            raise Refusal(f"puts to {put.name} are disabled: {put.name}.DISP is set")
        if not isinstance(planned, Record):
            return
        if planned.kind.is_choice and not 0 <= value < len(planned.labels):
            raise Refusal(f"choice {value:.10g} does not exist: valid choices are 0 to {len(planned.labels) - 1}")
        if planned.kind.is_array and len(value) > planned.length:
            raise Refusal(f"{len(value)} elements are more than the {planned.length} that {planned.name} holds")

    def _accepted(self, name: str) -> None:
        for beside in self._beside.get(name, (name,)):
            self._until_connected.discard(beside)
            self._pvs[beside].accept()

    def _refused(self, put: Put, reason: str, *, because_of_connection: bool = False) -> None:
        """Show a refusal where it was put, and at all other records that put the same."""
        for beside in self._beside.get(put.name, (put.name,)):
            if because_of_connection or not self._connected:
                self._until_connected.add(beside)
            else:
                self._until_connected.discard(beside)
            self._pvs[beside].refuse(refusal(reason, unsure=because_of_connection))
        self.puts_refused += 1
        text = f"{self._plan.pv(put.name)} = {self._as_text(put)}: {reason}"
        log.warning("refused %s, put by %s", text, put.source)
        self._pvs[status.LAST_REFUSED].post(text)
        self._pvs[status.PUTS_REFUSED].post(self.puts_refused)

    def _as_text(self, put: Put) -> str:
        return _shown(self._planned[put.name], put.value)


def _by_target(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return, for each record that puts something of the PandA, all records that put the same."""
    names: dict[str, list[str]] = {}
    for record in plan.records:
        if record.target is not None:
            names.setdefault(record.target, []).append(record.name)
    return {name: tuple(beside) for beside in names.values() for name in beside}


def _shown(planned: Record | Table, value: Any) -> str:
    """A value as a message shows it: short, a choice by its label, of more values how many there are."""
    if isinstance(planned, Table):
        return f"{max(map(len, value.values()), default=0)} rows"
    if planned.kind.is_array:
        return f"{len(value)} elements"
    label = planned.labels[value] if isinstance(value, int) and 0 <= value < len(planned.labels) else ""
    if label:
        return repr(label)
    if not isinstance(value, str):
        return repr(value)
    short = shorten(value, _SHOWN_BYTES)
    return repr(short) if short == value else f"{short!r}..."
