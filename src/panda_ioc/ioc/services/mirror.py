"""Synchronization of the records with the fields of the PandA, in both directions.

Changes reported by the PandA are posted to the records; puts of clients are sent to the PandA. The value of the PandA
is authoritative: after a refused put, the record shows it, with an alarm that gives the reason.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from ...protocol import Changes
from ..link.panda import PandaLink
from ..plan.codecs import Value
from ..plan.plan import Plan
from ..plan.record import Content
from ..servers.put import Put
from .binding import Binding, PostablePv
from .service import Service


class Mirror(Service):
    """The service of all records that show fields of the PandA, and of those about the IOC.

    Args:
        plan: the records and tables to serve
        link: the connection to the PandA
    """

    def __init__(self, plan: Plan, link: PandaLink) -> None:
        self._records = [record for record in plan.records if not record.service]
        self._link = link
        self._known = link.known
        self._bindings: dict[str, Binding] = {}
        self._by_key: dict[str, list[Binding]] = {}
        self._by_target: dict[str, list[Binding]] = {}
        #: Locks by target: simultaneous puts to the same field are sent one after the other.
        self._locks: dict[str, asyncio.Lock] = {}

    def bind(self, pvs: Mapping[str, PostablePv]) -> None:
        """Connect the PVs to the fields that they show; post alarms, which initial values do not include."""
        for record in self._records:
            binding = Binding(record, pvs[record.name], self._known)
            self._bindings[record.name] = binding
            for key in {*record.sources, record.units_source} - {None}:
                self._by_key.setdefault(str(key), []).append(binding)
            if record.target is not None:
                self._by_target.setdefault(record.target, []).append(binding)
            if binding.uses_panda:
                binding.begin()

    def initial_values(self) -> dict[str, Value]:
        """Return the initial values by record; undefined records are left out."""
        values: dict[str, Value] = {}
        for record in self._records:
            value: Value | None = None
            if record.sources:
                value = Binding(record, _UnservedPv(), self._known).initial()
            elif record.constant is None:
                value = "" if record.kind.is_text else 0
            if value is not None:
                values[record.name] = value
        return values

    def connected(self, *, again: bool) -> None:
        if again:
            self._refresh_all()

    def disconnected(self) -> None:
        """Set the disconnect alarm in every record that uses the PandA."""
        self._refresh_all()

    def apply(self, changes: Changes, different: Collection[str]) -> None:
        """Post reported changes."""
        touched: dict[int, Binding] = {}
        for key in (*changes.values, *changes.in_error):
            for binding in self._by_key.get(key, ()):
                if key in different:
                    touched[id(binding)] = binding
                elif binding.record.pulses and key in changes.values:
                    binding.pulse()
        for binding in touched.values():
            binding.refresh()

    async def put(self, put: Put) -> None:
        """Send a put to the PandA; return when the readbacks are up to date."""
        binding = self._bindings[put.name]
        target = binding.record.target
        async with self._locks.setdefault(target or put.name, asyncio.Lock()):
            binding.putting = True
            try:
                if target is not None:
                    await self._send(binding, put.value)
                binding.accepted(put.value)
            finally:
                binding.putting = False
            for sibling in self._by_target.get(target or "", [binding]):
                sibling.refresh()

    async def _send(self, binding: Binding, value: Any) -> None:
        self._link.check_connected()  # also for a put of the cached value, which may have changed since the loss
        command = binding.command(value)
        if command is not None:
            await self._link.put(command)

    def _refresh_all(self) -> None:
        for binding in self._bindings.values():
            if binding.uses_panda:
                binding.refresh()


class _UnservedPv:
    """A placeholder for the PV of a record that is not served yet."""

    def post(self, value: Content, alarm: object = None, fields: object = None, *, show: bool = True) -> None:
        """Ignore the value."""
