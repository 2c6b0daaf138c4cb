"""A record or table over PV Access.

A refused put fails with the reason. p4p calls the handlers in its threads; puts are executed in the event loop.
"""

import asyncio
import re
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from p4p import Value as Structure
from p4p.nt import NTTable
from p4p.server.raw import SharedPV

from ...log import warn_of_client
from ...plan.alarm import NO_ALARM, Alarm, Severity, Status
from ...plan.codecs import CaptureChoiceCodec, Refusal, all_captures
from ...plan.plan import Plan
from ...plan.record import Access, Content, Kind, Record, Table
from ..access import MayPut
from ..put import OnPut, Put
from ..served import Update
from .types import CODES, fill, properties, type_of

#: Fields of a record, with their place in the structure and the conversion of their text.
_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "EGU": ("display.units", str),
    "PREC": ("display.precision", int),
}

_UNDEFINED = Alarm(Severity.INVALID, Status.UDF, "no value yet")


class PvaPv:
    """A record or table that is served over PV Access.

    Args:
        planned: the planned record or table
        initial: initial value; None leaves the PV undefined, in alarm, until the first post
        on_put: executes puts
        may_put: checks the permission of a client
        put_to: name of the record that receives the puts, if it is another one

    Attributes:
        planned: the planned record or table
        fields: values of changed fields by name
        on_field: called with name and value of a changed field
        follower: PV that receives the same posts
        shared: the PV of p4p
    """

    def __init__(
        self,
        planned: Record | Table,
        initial: Content | None,
        on_put: OnPut,
        may_put: MayPut,
        put_to: str | None = None,
    ) -> None:
        self.planned = planned
        self._on_put = on_put
        self._may_put = may_put
        self._put_to = put_to or planned.name
        self._loop = asyncio.get_running_loop()
        self._puts: set[asyncio.Task[None]] = set()
        self._is_choice = isinstance(planned, Record) and planned.kind.is_choice
        self._type = type_of(planned)
        self._labels: tuple[str, ...] = ()
        self.fields: dict[str, Any] = {}
        self.on_field: Callable[[str, Any], None] | None = None
        self.follower: PvaPv | None = None
        start = Structure(self._type, properties(planned))
        fill(start, self._value(initial), NO_ALARM if initial is not None else _UNDEFINED, time.time_ns())
        self.shared = SharedPV(handler=self, initial=start)

    @property
    def disabled(self) -> bool:
        """Always False, as PV Access has no field DISP."""
        return False

    def post(self, update: Update) -> None:
        """Send an update to clients."""
        value = update.value
        if isinstance(self.planned, Table) and not self.planned.columns:
            value = self._with_columns_of(value)
        structure = Structure(self._type, {})
        fill(structure, self._value(value), update.alarm, update.time_ns)
        for field, text in update.fields.items():
            name, convert = _FIELDS[field]
            self.fields[field] = convert(text)
            if self._type.has(name):
                structure[name] = self.fields[field]
        self.shared.post(structure)
        if self.on_field is not None:
            for field in update.fields:
                self.on_field(field, self.fields[field])
        if self.follower is not None:
            self.follower.post(update)

    def _with_columns_of(self, value: Any) -> Mapping[str, Any]:
        """Return a value with the column names of the structure; change the structure if the columns have changed.

        A changed structure requires a new PV, so clients are disconnected and reconnect.
        """
        if tuple(value) != self._labels:
            self._labels = tuple(value)
            columns = [(name, f"a{CODES[np.asarray(array).dtype.str[1:]]}") for name, array in self._named(value)]
            self._type = NTTable.buildType(columns)
            start = Structure(self._type, {"labels": self._labels, "descriptor": self.planned.description})
            self.shared.close()
            self.shared.open(start)
        return dict(self._named(value))

    @staticmethod
    def _named(value: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Return names, valid in a structure, and arrays of the columns."""
        named: dict[str, Any] = {}
        for label, array in value.items():
            name = re.sub(r"\W", "_", label.partition(" ")[0]).lower()
            named[name if name not in named else f"{name}_{len(named)}"] = array
        return list(named.items())

    def put(self, _shared: SharedPV, operation: Any) -> None:
        """Handle a put; called by p4p in one of its threads."""
        try:
            self._loop.call_soon_threadsafe(self._begin, operation)
        except RuntimeError:
            operation.done(error="the IOC is stopping")

    def _begin(self, operation: Any) -> None:
        task = self._loop.create_task(self._execute(operation))
        self._puts.add(task)
        task.add_done_callback(self._puts.discard)

    def cancel_puts(self) -> list["asyncio.Task[None]"]:
        """Cancel pending puts; return the tasks that inform the clients."""
        for task in self._puts:
            task.cancel()
        return list(self._puts)

    async def _execute(self, operation: Any) -> None:
        reason = f"the put to {self.planned.name} was cancelled: the IOC is stopping"
        try:
            reason = await self._refusal(operation)
        finally:
            operation.done(error=reason or None)

    async def _refusal(self, operation: Any) -> str:
        """Pass a put to the services; return the reason of a refusal, "" if accepted."""
        user, host = operation.account(), operation.peer().rpartition(":")[0]
        client = f"{user}@{host}"
        if not self._may_put(user, host, operation.roles):
            return self._refuse(client, f"the access rules do not allow {client} to put to {self.planned.name}")
        if self.planned.access is Access.READ:
            return self._refuse(client, f"{self.planned.name} is read-only")
        try:
            value = self._value_in(operation.value())
        except Refusal as problem:
            return self._refuse(client, str(problem))
        if value is None:
            return self._refuse(client, f"the put to {self.planned.name} has no value")
        return await self._on_put(Put(self._put_to, value, client, "PVA"))

    def _refuse(self, client: str, reason: str) -> str:
        """Log a refusal that does not reach the services; return its reason."""
        warn_of_client(f"refused put {self.planned.name} by {client} over PVA: {reason}")
        return reason

    def _value_in(self, put: Any) -> Any:
        """Return the value of a put; None if it has none."""
        if isinstance(self.planned, Table):
            names = [column.name for column in self.planned.columns]
            return {name: _shared(put[f"value.{name}"]) for name in names if put.changed(f"value.{name}")} or None
        field = "value.index" if self._is_choice else "value"
        return put[field] if put.changed(field) else None

    def _value(self, value: Content | None) -> Any:
        """Return a value for the structure; None for none."""
        if value is not None and self._is_choice:
            return {"index": value}
        return value


def _shared(values: Any) -> Any:
    """Return an array; equal texts become one object, as columns of choices have few different ones."""
    return list(map(sys.intern, values)) if isinstance(values, list) else values


class TextChoice(PvaPv):
    """A text record as a choice (NTEnum) with all labels, which may be too many for a record of Channel Access.

    Args:
        planned: the planned record, with all labels
        initial: see `PvaPv`
        on_put: see `PvaPv`
        may_put: see `PvaPv`
        put_to: name of the text record that receives the puts
        key: returns equal keys for equivalent labels
    """

    def __init__(
        self,
        planned: Record,
        initial: Content | None,
        on_put: OnPut,
        may_put: MayPut,
        put_to: str,
        *,
        key: Callable[[str], Hashable] = str,
    ) -> None:
        self._choices = planned.labels
        self._shown: tuple[str, ...] = planned.labels
        self._key = key
        self._indices = {key(choice): index for index, choice in reversed(list(enumerate(planned.labels)))}
        super().__init__(replace(planned, kind=Kind.MBBO), initial, on_put, may_put, put_to)

    def post(self, update: Update) -> None:
        """Send an update with a text; ignore an index, which is one of the fewer choices of Channel Access."""
        if isinstance(update.value, str):
            super().post(update)

    def _value_in(self, put: Any) -> Any:
        index = super()._value_in(put)
        if index is None:
            return None
        if not 0 <= index < len(self._shown):
            raise Refusal(f"choice {index} does not exist: valid choices are 0 to {len(self._shown) - 1}")
        return self._shown[index]

    def _value(self, value: Content | None) -> Any:
        if value is None:
            return None
        index = self._indices.get(self._key(str(value)))
        if index is not None:
            return {"index": index}
        self._shown = (*self._choices, str(value))  # a value of the PandA that is not in its list of labels
        return {"index": len(self._choices), "choices": self._shown}


def _words(text: str) -> frozenset[str]:
    """Return the words of capture options, as their order is not significant."""
    return frozenset(text.split())


def make_pvs(plan: Plan, initial: Mapping[str, Content], on_put: OnPut, may_put: MayPut) -> dict[str, PvaPv]:
    """Create the PVs of a plan and return them by name; they are not served yet."""
    names = {record.name for record in plan.records}
    pvs: dict[str, PvaPv] = {}
    follow: dict[str, PvaPv] = {}
    for planned in plan.items:
        text = f"{planned.name}:TEXT"
        put_to = text if text in names else planned.name
        first = initial.get(planned.name)
        if isinstance(planned, Table):
            pv = PvaPv(planned, first, on_put, may_put)
        elif isinstance(planned.codec, CaptureChoiceCodec) and text in names:
            labels = all_captures(planned.codec.labels)
            pv = TextChoice(replace(planned, labels=labels), initial.get(text), on_put, may_put, text, key=_words)
            follow[text] = pv
        elif planned.kind is Kind.STRINGOUT and planned.choices_record == f"{planned.name}:CHOICES":
            pv = TextChoice(planned, first, on_put, may_put, put_to)
        else:
            pv = PvaPv(planned, first, on_put, may_put, put_to if planned.kind is Kind.STRINGOUT else None)
        pvs[planned.name] = pv
    for name, pv in follow.items():
        pvs[name].follower = pv
    return pvs
