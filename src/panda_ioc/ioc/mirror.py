"""The PandA and the records, kept in step both ways.

What the PandA says goes to the records that are made of it; what a client puts goes to the PandA. The
PandA is the truth: a put that it refuses leaves its own value, and an alarm that says why.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ..client import AsyncioClient, PandaConnectionError, PandaTimeoutError
from ..protocol import Changes, CommandError, PandaError
from . import status
from .binding import Binding, Known, Pv
from .codecs import Refusal, Value
from .log import PUT
from .plan import Plan
from .record import Record, shorten

log = logging.getLogger(__name__)

#: Bytes of a value in a line of the log.
_SHOWN_BYTES = 80


class Mirror:
    """All records of a plan and what the PandA says of them.

    Args:
        plan: what is served
        changes: what the PandA said when it was asked
    """

    def __init__(self, plan: Plan, changes: Changes) -> None:
        self._plan = plan
        self._known = Known(dict(changes.values), set(changes.in_error))
        self._pvs: Mapping[str, Pv] = {}
        self._bindings: dict[str, Binding] = {}
        self._by_key: dict[str, list[Binding]] = {}
        self._by_target: dict[str, list[Binding]] = {}
        self._client: AsyncioClient | None = None
        self._refresh: Callable[[], Awaitable[None]] | None = None
        #: What was put while the connection failed: it need not be told any more when that is back.
        self._unsure: set[str] = set()
        self.puts_accepted = 0
        self.puts_refused = 0

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Take the records as they are served with their initial values; post what these do not show."""
        self._pvs = pvs
        for record in self._plan.records:
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
        for record in self._plan.records:
            value = record.constant
            if value is None and record.sources:
                value = Binding(record, _NoPv(), self._known).initial()
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
        known = self._known
        was_lost, known.lost = known.lost, ""
        known.texts.clear()
        known.texts.update(changes.values)
        known.in_error.clear()
        known.in_error.update(changes.in_error)
        for target in self._unsure:
            known.refusals.pop(target, None)
        self._unsure.clear()
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
            known.in_error.add(key)
            for binding in self._by_key.get(key, ()):
                touched[id(binding)] = binding
        for binding in touched.values():
            binding.refresh()

    async def put(self, name: str, value: Any) -> None:
        """Send what a client put; return when the PandA has taken it and the readbacks are true."""
        binding = self._bindings[name]
        target = binding.record.target
        binding.putting += 1
        try:
            if target is not None:
                await self._send(binding, value)
                self._known.refusals.pop(target, None)
                self._unsure.discard(target)
                self.puts_accepted += 1
            binding.accepted(value)
        except (PandaError, Refusal) as problem:
            self._refused(binding, value, problem)
        finally:
            binding.putting -= 1
            for beside in self._by_target.get(target or "", [binding]):
                beside.refresh()

    async def _send(self, binding: Binding, value: Any) -> None:
        client, refresh = self._client, self._refresh
        if client is None or refresh is None:
            raise PandaConnectionError(f"no connection to the PandA: {self._known.lost}")
        command = binding.command(value)
        if command is None:
            return
        try:
            await client.send(command)
        except (PandaConnectionError, PandaTimeoutError) as problem:
            raise PandaConnectionError(f"it is not known whether the PandA took it: {problem}") from problem
        with contextlib.suppress(PandaConnectionError):  # it took it; that it is lost since, other alarms tell
            await refresh()
        log.log(PUT, "put %s = %s", self._plan.pv(binding.record.name), _shown(binding.record, value))

    def _refused(self, binding: Binding, value: Any, problem: PandaError | Refusal) -> None:
        target = binding.record.target or ""
        reason = problem.reason if isinstance(problem, CommandError) else str(problem)
        self._known.refusals[target] = reason
        if isinstance(problem, PandaConnectionError):
            self._unsure.add(target)
        self.puts_refused += 1
        text = f"{self._plan.pv(binding.record.name)} = {_shown(binding.record, value)}: {reason}"
        log.warning("refused %s", text)
        self._pvs[status.LAST_REFUSED].post(text)
        self._pvs[status.PUTS_REFUSED].post(self.puts_refused)

    def _refresh_all(self) -> None:
        for binding in self._bindings.values():
            if binding.is_of_the_panda:
                binding.refresh()


def _shown(record: Record, value: Any) -> str:
    """A value as a message shows it: short, a choice by its label."""
    if record.labels and isinstance(value, int) and 0 <= value < len(record.labels):
        return repr(record.labels[value])
    short = shorten(str(value), _SHOWN_BYTES) if isinstance(value, str) else value
    return repr(short) if short == value else f"{short!r}..."


class _NoPv:
    """Stands for a record before it is served."""

    def post(self, value: Value, alarm: object = None) -> None:
        """Nothing is served yet."""

    def set_field(self, field: str, value: str) -> None:
        """Nothing is served yet."""
