"""Dispatch of puts to the services that own the records and tables.

The attribute `service` of a planned record or table names its service. The mirror, "", owns the records that show
fields of the PandA.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from ...client import PandaConnectionError
from ...protocol import Changes, CommandError, PandaError
from ..log import PUT, warn_of_client
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

#: Limit of pending puts to one record or table; further puts are refused.
_MAX_PENDING = 1000

#: Limit of a value in a log line, in bytes.
_MAX_LOGGED_BYTES = 80


class Services:
    """All services of the IOC.

    Args:
        plan: the records and tables to serve
        services: the services by the name that records and tables use

    Attributes:
        puts_accepted: number of accepted puts since the start
        puts_refused: number of refused puts since the start
    """

    def __init__(self, plan: Plan, services: Mapping[str, Service]) -> None:
        self._plan = plan
        self._services = services
        self._planned = {item.name: item for item in plan.items}
        self._pvs: Mapping[str, Pv] = {}
        self._siblings = _siblings(plan)
        self._pending: Counter[str] = Counter()
        self._bound = asyncio.Event()
        self._connected = self._ending = False
        self._failed_without_connection: set[str] = set()
        self.puts_accepted = 0
        self.puts_refused = 0

    def initial_values(self) -> dict[str, Content]:
        """Return the initial values of all records and tables, by name."""
        constants = {record.name: record.constant for record in self._plan.records if record.constant is not None}
        of_services = [service.initial_values() for service in self._services.values()]
        return {name: value for values in (constants, *of_services) for name, value in values.items()}

    def autosave_entries(self) -> dict[str, AutosaveEntry]:
        """Return the values of all services that autosave restores."""
        return {
            name: entry for service in self._services.values() for name, entry in service.autosave_entries().items()
        }

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Store the PVs; see `Service` for this method and the next ones."""
        self._pvs = pvs
        for service in self._services.values():
            service.bind(pvs)
        self._bound.set()

    def connected(self, *, again: bool) -> None:
        self._connected = True
        for service in self._services.values():
            service.connected(again=again)
        while self._failed_without_connection:
            self._accepted(self._failed_without_connection.pop())

    def disconnected(self) -> None:
        self._connected = False
        for service in self._services.values():
            service.disconnected()

    def apply(self, changes: Changes, different: Collection[str]) -> None:
        for service in self._services.values():
            service.apply(changes, different)

    def attempts(self, state: str, text: str) -> None:
        """Post the state of the connection to the PandA."""
        alarm = NO_ALARM if state == "CONNECTED" else Alarm(Severity.MAJOR, Status.COMM, text)
        self._pvs[status.CONNECTION].post(status.CONNECTION_STATES.index(state), alarm)
        self._pvs[status.CONNECTION_TEXT].post(text, alarm)

    async def close(self) -> None:
        self._ending = True
        closing = (service.close() for service in self._services.values())
        results = await asyncio.gather(*closing, return_exceptions=True)
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise ExceptionGroup("closing of services failed", failures)

    async def put(self, put: Put) -> str:
        """Execute a put; return the reason of its refusal, "" if it was accepted."""
        await self._bound.wait()  # EPICS may accept puts before `bind`
        pv = self._pvs[put.name]
        shows = pv.shows
        self._pending[put.name] += 1
        try:
            self._check(put, pv)
            await self._services[self._planned[put.name].service].put(put)
        except (PandaError, Refusal) as problem:
            reason = problem.reason if isinstance(problem, CommandError) else str(problem)
            self._refused(put, reason, because_of_connection=isinstance(problem, PandaConnectionError))
            return reason
        except Exception:
            log.exception("internal error in a put to %s", put.name)
            reason = "internal error of the IOC: see its log"
            self._refused(put, reason)
            return reason
        finally:
            self._pending[put.name] -= 1
        self._accepted(put.name)
        if pv.shows == shows:
            pv.show()  # Channel Access has set the record to the value of the put
        self.puts_accepted += 1
        if log.isEnabledFor(PUT):
            log.log(PUT, "put %s = %s by %s", self._plan.pv(put.name), self._as_text(put), put.source)
        return ""

    def _check(self, put: Put, pv: Pv) -> None:
        """Check a put against the rules that apply to all services."""
        planned, value = self._planned[put.name], put.value
        if self._ending:
            raise Refusal("the IOC is stopping")
        if self._pending[put.name] > _MAX_PENDING:
            raise Refusal(f"{_MAX_PENDING} puts to {put.name} are pending: wait for their completion")
        if pv.disabled and put.protocol != "CA":  # EPICS itself refuses it over Channel Access
            raise Refusal(f"puts to {put.name} are disabled: put 0 to {put.name}.DISP to enable them")
        if not isinstance(planned, Record):
            return
        if planned.kind.is_choice and not 0 <= value < len(planned.labels):
            raise Refusal(f"choice {value:.10g} does not exist: valid choices are 0 to {len(planned.labels) - 1}")
        if planned.kind.is_array and len(value) > planned.length:
            raise Refusal(f"too many elements: {len(value)}, {planned.name} holds at most {planned.length}")

    def _accepted(self, name: str) -> None:
        for sibling in self._siblings.get(name, (name,)):
            self._failed_without_connection.discard(sibling)
            self._pvs[sibling].accept()

    def _refused(self, put: Put, reason: str, *, because_of_connection: bool = False) -> None:
        """Show a refusal at its record, and at all other records that put to the same field."""
        for sibling in self._siblings.get(put.name, (put.name,)):
            if because_of_connection or not self._connected:
                self._failed_without_connection.add(sibling)
            else:
                self._failed_without_connection.discard(sibling)
            self._pvs[sibling].refuse(refusal(reason, unsure=because_of_connection))
        self.puts_refused += 1
        text = f"{self._plan.pv(put.name)} = {self._as_text(put)}"
        warn_of_client(f"refused put {text} by {put.source}: {reason}")
        self._pvs[status.LAST_REFUSED].post(f"{text}: {reason}")
        self._pvs[status.PUTS_REFUSED].post(self.puts_refused)

    def _as_text(self, put: Put) -> str:
        return _loggable(self._planned[put.name], put.value)


def _siblings(plan: Plan) -> dict[str, tuple[str, ...]]:
    """Return, for each record that puts to a field of the PandA, all records that put to this field."""
    names: dict[str, list[str]] = {}
    for record in plan.records:
        if record.target is not None:
            names.setdefault(record.target, []).append(record.name)
    return {name: tuple(siblings) for siblings in names.values() for name in siblings}


def _loggable(planned: Record | Table, value: Any) -> str:
    """Return a value as short text for a log line: a choice as its label, an array or table as its size."""
    if isinstance(planned, Table):
        return f"{max(map(len, value.values()), default=0)} rows"
    if planned.kind.is_array:
        return f"{len(value)} elements"
    label = planned.labels[value] if isinstance(value, int) and 0 <= value < len(planned.labels) else ""
    if label:
        return repr(label)
    if not isinstance(value, str):
        return repr(value)
    short = shorten(value, _MAX_LOGGED_BYTES)
    return repr(short) if short == value else f"{short!r}..."
