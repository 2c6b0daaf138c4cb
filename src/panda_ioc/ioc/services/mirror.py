"""The PandA and the records, kept in step both ways.

What the PandA says goes to the records that are made of it; what a client puts goes to the PandA. The
PandA is the truth: a put that it refuses leaves its own value, and an alarm that says why.
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
from .binding import Binding, Pv
from .service import Service


class Mirror(Service):
    """The service of all records that show what the PandA says of its fields, and of those about the IOC.

    Args:
        plan: what is served
        link: the PandA
    """

    def __init__(self, plan: Plan, link: PandaLink) -> None:
        self._records = [record for record in plan.records if not record.service]
        self._link = link
        self._known = link.known
        self._bindings: dict[str, Binding] = {}
        self._by_key: dict[str, list[Binding]] = {}
        self._by_target: dict[str, list[Binding]] = {}
        #: Held by a put to a target: clients that put the same at once do so one after the other.
        self._turns: dict[str, asyncio.Lock] = {}

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Take the records as they are served with their initial values; post what these do not show."""
        for record in self._records:
            binding = Binding(record, pvs[record.name], self._known)
            self._bindings[record.name] = binding
            for key in {*record.sources, record.units_source} - {None}:
                self._by_key.setdefault(str(key), []).append(binding)
            if record.target is not None:
                self._by_target.setdefault(record.target, []).append(binding)
            if binding.is_of_the_panda:
                binding.begin()

    def initial_values(self) -> dict[str, Value]:
        """What each record starts with, before it is served."""
        values: dict[str, Value] = {}
        for record in self._records:
            value: Value | None = None
            if record.sources:
                value = Binding(record, _NoPv(), self._known).initial()
            elif record.constant is None:
                value = "" if record.kind.is_text else 0
            if value is not None:
                values[record.name] = value
        return values

    def connected(self, *, again: bool) -> None:
        if again:
            self._refresh_all()

    def disconnected(self) -> None:
        """Show in every record that has something of the PandA that it is gone."""
        self._refresh_all()

    def apply(self, changes: Changes, different: Collection[str]) -> None:
        """Post what the PandA says has changed."""
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
        """Send what a client put; return when the PandA has taken it and the readbacks are true."""
        binding = self._bindings[put.name]
        target = binding.record.target
        async with self._turns.setdefault(target or put.name, asyncio.Lock()):
            binding.putting = True
            try:
                if target is not None:
                    await self._send(binding, put.value)
                binding.accepted(put.value)
            finally:
                binding.putting = False
            for beside in self._by_target.get(target or "", [binding]):
                beside.refresh()

    async def _send(self, binding: Binding, value: Any) -> None:
        command = binding.command(value)
        if command is not None:
            await self._link.send(command)
            await self._link.refresh_if_there()

    def _refresh_all(self) -> None:
        for binding in self._bindings.values():
            if binding.is_of_the_panda:
                binding.refresh()


class _NoPv:
    """Stands for a record before it is served."""

    def post(self, value: Content, alarm: object = None, fields: object = None, *, show: bool = True) -> None:
        """Nothing is served yet."""
