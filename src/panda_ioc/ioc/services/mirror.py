"""The PandA and the records, kept in step both ways.

What the PandA says goes to the records that are made of it; what a client puts goes to the PandA. The
PandA is the truth: a put that it refuses leaves its own value, and an alarm that says why.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from ...client import AsyncioClient, PandaConnectionError, PandaTimeoutError
from ...protocol import Changes, RemoteProtocolError
from ..plan.codecs import Value
from ..plan.kept import Kept
from ..plan.plan import Plan
from ..plan.record import Content
from ..servers.put import Put
from .binding import Binding, Known, Pv
from .dispatch import Refresh


class Mirror:
    """The service of all records that show what the PandA says of its fields, and of those about the IOC.

    Args:
        plan: what is served
        changes: what the PandA said when it was asked
    """

    def __init__(self, plan: Plan, changes: Changes) -> None:
        self._records = [record for record in plan.records if not record.service]
        self._known = Known(dict(changes.values), set(changes.in_error))
        self._bindings: dict[str, Binding] = {}
        self._by_key: dict[str, list[Binding]] = {}
        self._by_target: dict[str, list[Binding]] = {}
        self._client: AsyncioClient | None = None
        self._refresh: Refresh | None = None
        #: Held by a put to a target: clients that put the same at once do so one after the other.
        self._turns: dict[str, asyncio.Lock] = {}

    def kept(self) -> Mapping[str, Kept]:
        """Nothing: the PandA keeps what it was told."""
        return {}

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
            value = record.constant
            if value is None and record.sources:
                value = Binding(record, _NoPv(), self._known).initial()
            elif value is None:
                value = "" if record.kind.is_text else 0
            if value is not None:
                values[record.name] = value
        return values

    def connected(self, client: AsyncioClient, refresh: Refresh, changes: Changes) -> None:
        self._client, self._refresh = client, refresh
        known = self._known
        was_lost, known.lost = known.lost, ""
        known.texts.clear()
        known.texts.update(changes.values)
        known.in_error.clear()
        known.in_error.update(changes.in_error)
        if was_lost:
            self._refresh_all()

    def disconnected(self, reason: str) -> None:
        """The PandA is gone: every record that shows something of it says so."""
        self._client, self._refresh, self._known.lost = None, None, reason
        self._refresh_all()

    def apply(self, changes: Changes) -> None:
        """Post what the PandA says has changed."""
        known = self._known
        touched: dict[int, Binding] = {}
        for key, text in changes.values.items():
            same = known.texts.get(key) == text and key not in known.in_error
            known.texts[key] = text
            known.in_error.discard(key)
            for binding in self._by_key.get(key, ()):
                if not same:
                    touched[id(binding)] = binding
                elif binding.record.pulses:
                    binding.pulse()
        for key in changes.in_error:
            if key in known.in_error:
                continue
            known.in_error.add(key)
            for binding in self._by_key.get(key, ()):
                touched[id(binding)] = binding
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

    async def close(self) -> None:
        """Nothing is left to do."""

    async def _send(self, binding: Binding, value: Any) -> None:
        client, refresh = self._client, self._refresh
        if client is None or refresh is None:
            raise PandaConnectionError(f"no connection to the PandA: {self._known.lost}")
        command = binding.command(value)
        if command is None:
            return
        try:
            await client.send(command)
        except (PandaConnectionError, PandaTimeoutError, RemoteProtocolError) as problem:
            raise PandaConnectionError(f"not known whether the PandA took it: {problem}") from problem
        with contextlib.suppress(PandaConnectionError):  # it took it; that it is lost since, other alarms tell
            await refresh()

    def _refresh_all(self) -> None:
        for binding in self._bindings.values():
            if binding.is_of_the_panda:
                binding.refresh()


class _NoPv:
    """Stands for a record before it is served."""

    def post(self, value: Content, alarm: object = None, fields: object = None, *, show: bool = True) -> None:
        """Nothing is served yet."""
