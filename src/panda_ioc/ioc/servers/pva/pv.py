"""A record or table over PV Access.

A put that is refused fails at the client, with the reason. p4p calls from threads of its own; whatever it brings is
handled in the event loop.
"""

import asyncio
import logging
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

from ...plan.alarm import NO_ALARM, Alarm, Severity, Status
from ...plan.codecs import CaptureChoiceCodec, Refusal, all_captures
from ...plan.plan import Plan
from ...plan.record import Access, Content, Kind, Record, Table
from ..access import MayPut
from ..put import OnPut, Put
from ..served import Update
from .types import CODES, fill, properties, type_of

log = logging.getLogger(__name__)

#: Fields of a record, and what clients find them as.
_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "EGU": ("display.units", str),
    "PREC": ("display.precision", int),
}

_UNDEFINED = Alarm(Severity.INVALID, Status.UDF, "no value yet")


class PvaPv:
    """A record or table as a PV.

    Args:
        planned: what it is
        initial: its value until the first post; None leaves it undefined, in alarm
        on_put: does what clients put
        may_put: whether a user, from a host, with some roles, may put
        put_to: the record that puts are handed to, if not the same
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
        #: The fields that a post has changed, as they are now, and who is told of it.
        self.fields: dict[str, Any] = {}
        self.on_field: Callable[[str, Any], None] | None = None
        #: Shows the same in another way.
        self.follower: PvaPv | None = None
        start = Structure(self._type, properties(planned))
        fill(start, self._value(initial), NO_ALARM if initial is not None else _UNDEFINED, time.time_ns())
        self.shared = SharedPV(handler=self, initial=start)

    @property
    def disabled(self) -> bool:
        """DISP is a field that only Channel Access shows."""
        return False

    def post(self, update: Update) -> None:
        """Show an update."""
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
        """Take the columns of a value, by their labels; give the value as the structure has it.

        Another structure is another PV to clients: they are disconnected, and find it as it is now.
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
        """The columns by names that a structure can have."""
        named: dict[str, Any] = {}
        for label, array in value.items():
            name = re.sub(r"\W", "_", label.partition(" ")[0]).lower()
            named[name if name not in named else f"{name}_{len(named)}"] = array
        return list(named.items())

    def put(self, _shared: SharedPV, operation: Any) -> None:
        """Called by p4p, in one of its threads, when a client puts."""
        try:
            self._loop.call_soon_threadsafe(self._begin, operation)
        except RuntimeError:
            operation.done(error="the IOC is stopping")

    def _begin(self, operation: Any) -> None:
        task = self._loop.create_task(self._take(operation))
        self._puts.add(task)
        task.add_done_callback(self._puts.discard)

    def end_puts(self) -> list["asyncio.Task[None]"]:
        """Tell clients whose puts are under way that these are not waited for; give what does so."""
        for task in self._puts:
            task.cancel()
        return list(self._puts)

    async def _take(self, operation: Any) -> None:
        reason = f"{self.planned.name} was not put: the IOC is stopping"
        try:
            reason = await self._refusal(operation)
        finally:
            operation.done(error=reason or None)

    async def _refusal(self, operation: Any) -> str:
        """Hand a put on; return why it is refused."""
        user, host = operation.account(), operation.peer().rpartition(":")[0]
        if not self._may_put(user, host, operation.roles):
            return self._told(f"{user} from {host} may not put to {self.planned.name} by the access rules")
        if self.planned.access is Access.READ:
            return self._told(f"{self.planned.name} can only be read, and was put by {user}@{host}")
        try:
            value = self._value_in(operation.value())
        except Refusal as problem:
            return str(problem)
        if value is None:
            return f"{self.planned.name}: there is no value in what was put"
        return await self._on_put(Put(self._put_to, value, f"{user}@{host}", "PVA"))

    def _told(self, refusal: str) -> str:
        """A refusal that no service learns of, told in the log."""
        log.warning("refused %s", refusal)
        return refusal

    def _value_in(self, put: Any) -> Any:
        """The value that was put; None if there is none."""
        if isinstance(self.planned, Table):
            names = [column.name for column in self.planned.columns]
            return {name: _shared(put[f"value.{name}"]) for name in names if put.changed(f"value.{name}")} or None
        field = "value.index" if self._is_choice else "value"
        return put[field] if put.changed(field) else None

    def _value(self, value: Content | None) -> Any:
        """A value as the structure has it; None for none."""
        if value is not None and self._is_choice:
            return {"index": value}
        return value


def _shared(values: Any) -> Any:
    """An array, in which texts that are the same are one object: of a table's choices there are few."""
    return list(map(sys.intern, values)) if isinstance(values, list) else values


class TextChoice(PvaPv):
    """Text as one of all choices that there are, also where Channel Access has too few.

    Args:
        planned: the record, with all labels
        initial, on_put, may_put: as for `PvaPv`
        put_to: the record that takes the text
        key: what tells choices apart
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
        """Show an update of a text; an index is that of the fewer choices of Channel Access, and says nothing."""
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
        self._shown = (*self._choices, str(value))  # a PandA says what it does not list
        return {"index": len(self._choices), "choices": self._shown}


def _words(text: str) -> frozenset[str]:
    """What tells ways to capture apart: the order of words does not."""
    return frozenset(text.split())


def make_pvs(plan: Plan, initial: Mapping[str, Content], on_put: OnPut, may_put: MayPut) -> dict[str, PvaPv]:
    """Make the records and tables of a plan, by name. Nobody sees them yet."""
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
