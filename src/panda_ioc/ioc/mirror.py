"""The PandA and the records, kept in step both ways.

What the PandA says goes to the records that are made of it; what a client puts goes to the PandA. The
PandA is the truth: a put that it refuses leaves its own value, and an alarm that says why.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..client import AsyncioClient, PandaConnectionError
from ..protocol import Changes, PandaError
from . import status
from .binding import Binding, Pv
from .codecs import Refusal, Value
from .plan import Plan
from .record import Record

log = logging.getLogger(__name__)


class Mirror:
    """All records of a plan and what the PandA says of them.

    Args:
        plan: what is served
        changes: what the PandA said when it was asked
    """

    def __init__(self, plan: Plan, changes: Changes) -> None:
        self._plan = plan
        self._texts: dict[str, str] = dict(changes.values)
        self._in_error: set[str] = set(changes.in_error)
        self._bindings: dict[str, Binding] = {}
        self._by_key: dict[str, list[Binding]] = {}
        self._client: AsyncioClient | None = None
        self._refresh: Callable[[], Awaitable[None]] | None = None
        self._lost = ""
        self.puts_accepted = 0
        self.puts_refused = 0

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Take the records as they are served with their initial values; post what these do not show."""
        for record in self._plan.records:
            binding = Binding(record, pvs[record.name], self._texts, self._in_error)
            self._bindings[record.name] = binding
            for key in {*record.sources, record.units_source} - {None}:
                self._by_key.setdefault(str(key), []).append(binding)
            if record.sources or record.target:
                binding.begin()
        self._pvs = pvs

    def initial_values(self) -> dict[str, Value]:
        """What each record starts with, before it is served."""
        values: dict[str, Value] = {}
        for record in self._plan.records:
            value = record.constant
            if value is None and record.sources:
                value = Binding(record, _NoPv(), self._texts, self._in_error).initial()
            elif value is None and record.target is None:
                value = "" if record.kind.is_text else 0
            if value is not None:
                values[record.name] = value
        return values

    def connected(self, client: AsyncioClient, refresh: Callable[[], Awaitable[None]], changes: Changes) -> None:
        """The PandA is there.

        Args:
            client: what puts are sent with
            refresh: waits for a poll of everything
            changes: everything that it says now
        """
        self._client, self._refresh = client, refresh
        was_lost, self._lost = self._lost, ""
        self._texts.clear()
        self._texts.update(changes.values)
        self._in_error.clear()
        self._in_error.update(changes.in_error)
        if was_lost:
            for binding in self._bindings.values():
                binding.lost = ""
            self._refresh_all()

    def disconnected(self, reason: str) -> None:
        """The PandA is gone: every record that shows something of it says so."""
        self._client, self._refresh, self._lost = None, None, reason
        for binding in self._bindings.values():
            if binding.record.sources or binding.record.target:
                binding.lost = reason
                binding.refresh()

    def apply(self, changes: Changes) -> None:
        """Post what the PandA says has changed."""
        touched: dict[int, Binding] = {}
        for key, text in changes.values.items():
            same = self._texts.get(key) == text and key not in self._in_error
            self._texts[key] = text
            self._in_error.discard(key)
            for binding in self._by_key.get(key, ()):
                if not same:
                    touched[id(binding)] = binding
                elif binding.record.pulses:
                    binding.pulse()
        for key in changes.in_error:
            self._in_error.add(key)
            for binding in self._by_key.get(key, ()):
                touched[id(binding)] = binding
        for binding in touched.values():
            binding.refresh()

    async def put(self, name: str, value: Any) -> None:
        """Send what a client put; return when the PandA has taken it and the readbacks are true."""
        binding = self._bindings[name]
        binding.putting += 1
        try:
            if binding.record.target is not None:
                await self._send(binding, binding.text_to_put(value))
            binding.accepted(value)
            self.puts_accepted += 1
        except (PandaError, Refusal) as problem:
            self._refused(binding, value, problem)
        finally:
            binding.putting -= 1
            binding.refresh()

    async def _send(self, binding: Binding, value: Any) -> None:
        record = binding.record
        if self._client is None or self._refresh is None:
            raise PandaConnectionError(f"no connection to the PandA: {self._lost}")
        command = record.codec.command(record.target or "", value)
        if command is not None:
            await self._client.send(command)
            log.info("put %s = %r", self._plan.pv(record.name), value)
            await self._refresh()

    def _refused(self, binding: Binding, value: Any, problem: Exception) -> None:
        reason = getattr(problem, "reason", str(problem))
        binding.refusal = reason
        self.puts_refused += 1
        text = f"{self._plan.pv(binding.record.name)} = {_shown(binding.record, value)}: {reason}"
        log.warning("refused %s", text)
        self._pvs[status.LAST_REFUSED].post(text)
        self._pvs[status.PUTS_REFUSED].post(self.puts_refused)

    def _refresh_all(self) -> None:
        for binding in self._bindings.values():
            if binding.record.sources or binding.record.target:
                binding.refresh()


def _shown(record: Record, value: Any) -> str:
    """A value as a message shows it: a choice by its label."""
    if record.labels and isinstance(value, int) and 0 <= value < len(record.labels):
        return repr(record.labels[value])
    return repr(value)


class _NoPv:
    """Stands for a record before it is served."""

    def post(self, value: Value, alarm: object = None) -> None:
        """Nothing is served yet."""

    def set_field(self, field: str, value: str) -> None:
        """Nothing is served yet."""
