"""The one place that knows p4p: serves a plan over PV Access, posts values, hands puts on.

Here are the structures that clients see. They are those that EPICS' own server gave these records, with what
that had no room for: texts of any length, all choices in full, the reason of an alarm as its message. A put
that is refused fails at the client, with the reason.

p4p calls from threads of its own; whatever it brings is handled in the event loop.
"""

import asyncio
import logging
import re
import sys
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from p4p import Type
from p4p import Value as Structure
from p4p.nt import NTEnum, NTScalar, NTTable
from p4p.nt.common import alarm, timeStamp
from p4p.server import Server as P4pServer
from p4p.server import StaticProvider
from p4p.server.raw import SharedPV

from ...plan.alarm import NO_ALARM, Alarm, Severity, Status
from ...plan.codecs import CaptureChoice, Refusal, all_captures
from ...plan.plan import Plan
from ...plan.pvi import Tree, pvi_trees
from ...plan.record import Access, Content, Kind, Record, Table
from ..access import MayPut

log = logging.getLogger(__name__)

#: Is given the name of a record or table, what a client puts, and who it is; gives why it is refused, or "".
OnPut = Callable[[str, Any, str], Awaitable[str]]

#: p4p's codes for the dtypes of numpy.
_CODES = {
    "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I",
    "i8": "l", "u8": "L", "f4": "f", "f8": "d", "str": "s",
}  # fmt: skip

_SCALARS = {Kind.AI: "d", Kind.AO: "d", Kind.LONGIN: "i", Kind.LONGOUT: "i"}

#: The kinds of alarm as PV Access groups them: 1 is the device, 2 its driver, 6 a value that is not known.
_STATUS = {Status.NO_ALARM: 0, Status.READ: 1, Status.WRITE: 1, Status.STATE: 1, Status.COMM: 2, Status.UDF: 6}

_FORMS = ("Default", "String", "Binary", "Decimal", "Hex", "Exponential", "Engineering")

#: Fields of a record, and what clients find them as.
_FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "EGU": ("display.units", str),
    "PREC": ("display.precision", int),
}

#: Seconds that clients have to be told that their puts are not waited for.
_END_TIMEOUT = 2.0

_UNDEFINED = Alarm(Severity.INVALID, Status.UDF, "no value yet")


class Pv:
    """A record or table as a PV.

    Args:
        planned: what it is
        initial: its value until the first post; None leaves it undefined, in alarm
        on_put: is awaited for every put, with the record's name, the value, and who made it
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
        self._type = _type_of(planned)
        self._labels: tuple[str, ...] = ()
        #: Shows the same in another way.
        self.follower: Pv | None = None
        start = Structure(self._type, _properties(planned))
        _fill(start, self._value(initial), NO_ALARM if initial is not None else _UNDEFINED)
        self.shared = SharedPV(handler=self, initial=start)

    def post(self, value: Content, alarm: Alarm = NO_ALARM) -> None:
        """Give it a value and an alarm."""
        if isinstance(self.planned, Table) and not self.planned.columns:
            value = self._with_columns_of(value)
        update = Structure(self._type, {})
        _fill(update, self._value(value), alarm)
        self.shared.post(update)
        if self.follower is not None:
            self.follower.post(value, alarm)

    def _with_columns_of(self, value: Any) -> Mapping[str, Any]:
        """Take the columns of a value, by their labels; give the value as the structure has it.

        Another structure is another PV to clients: they are disconnected, and find it as it is now.
        """
        if tuple(value) != self._labels:
            self._labels = tuple(value)
            columns = [(name, f"a{_CODES[np.asarray(array).dtype.str[1:]]}") for name, array in self._named(value)]
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

    def set_field(self, field: str, value: str) -> None:
        """Set what belongs to a field of the record, EGU or PREC."""
        name, convert = _FIELDS[field]
        if self._type.has(name):
            self.shared.post(Structure(self._type, {name: convert(value)}))

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
        if not self._may_put(user, host, list(operation.roles())):
            return self._told(f"{user} from {host} may not put to {self.planned.name} by the access rules")
        if self.planned.access is Access.READ:
            return self._told(f"{self.planned.name} can only be read, and was put by {user}@{host}")
        try:
            value = self._value_in(operation.value())
        except Refusal as problem:
            return str(problem)
        if value is None:
            return f"{self.planned.name}: there is no value in what was put"
        return await self._on_put(self._put_to, value, f"{user}@{host}")

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


class TextChoice(Pv):
    """Text as one of all choices that there are, also where Channel Access has too few.

    Args:
        planned: the record, with all labels
        initial, on_put, may_put: as for `Pv`
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

    def post(self, value: Content, alarm: Alarm = NO_ALARM) -> None:
        """Give it a text and an alarm; an index is that of the fewer choices of Channel Access, and says nothing."""
        if isinstance(value, str):
            super().post(value, alarm)

    def _value_in(self, put: Any) -> Any:
        index = super()._value_in(put)
        if index is None:
            return None
        if not 0 <= index < len(self._shown):
            raise Refusal(f"there is no choice {index}, only 0 to {len(self._shown) - 1}")
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


def make_pvs(plan: Plan, initial: Mapping[str, Content], on_put: OnPut, may_put: MayPut) -> dict[str, Pv]:
    """Make the records and tables of a plan, by name. Nobody sees them yet."""
    names = {record.name for record in plan.records}
    pvs: dict[str, Pv] = {}
    follow: dict[str, Pv] = {}
    for planned in plan.items:
        text = f"{planned.name}:TEXT"
        put_to = text if text in names else planned.name
        first = initial.get(planned.name)
        if isinstance(planned, Table):
            pv = Pv(planned, first, on_put, may_put)
        elif isinstance(planned.codec, CaptureChoice) and text in names:
            labels = all_captures(planned.codec.labels)
            pv = TextChoice(replace(planned, labels=labels), initial.get(text), on_put, may_put, text, key=_words)
            follow[text] = pv
        elif planned.kind is Kind.STRINGOUT and planned.choices == f"{planned.name}:CHOICES":
            pv = TextChoice(planned, first, on_put, may_put, put_to)
        else:
            pv = Pv(planned, first, on_put, may_put, put_to if planned.kind is Kind.STRINGOUT else None)
        pvs[planned.name] = pv
    for name, pv in follow.items():
        pvs[name].follower = pv
    return pvs


class Server:
    """Serves PVs from `start` to `stop`. Where it listens, `EPICS_PVAS_...` and `EPICS_PVA_...` say.

    Args:
        plan: what is served
        pvs: its records and tables
    """

    def __init__(self, plan: Plan, pvs: Mapping[str, Pv]) -> None:
        self._pvs = [*pvs.values()]
        self._provider = StaticProvider("panda-ioc")
        for pv in pvs.values():
            aliases = pv.planned.aliases if isinstance(pv.planned, Record) else ()
            for name in (pv.planned.name, *aliases):
                self._provider.add(plan.pv(name), pv.shared)
        for name, tree in pvi_trees(plan.items, plan.prefix, plan.pvi).items():
            if name not in pvs:
                self._provider.add(plan.pv(name), SharedPV(initial=_structure(tree)))
        self._server: P4pServer | None = None

    def start(self) -> None:
        """Let clients find it."""
        self._server = P4pServer(providers=[self._provider])

    async def stop(self) -> None:
        """End puts that are under way, disconnect all clients and serve no more."""
        if self._server is None:
            return
        under_way = [task for pv in self._pvs for task in pv.end_puts()]
        if under_way:
            await asyncio.wait(under_way, timeout=_END_TIMEOUT)
        self._server.stop()


def _fill(update: Any, value: Any, state: Alarm) -> None:
    if value is not None:
        update["value"] = value
    nanoseconds = time.time_ns()
    update["timeStamp"] = {"secondsPastEpoch": nanoseconds // 10**9, "nanoseconds": nanoseconds % 10**9}
    update["alarm"] = {"severity": int(state.severity), "status": _STATUS[state.status], "message": state.message}


@cache
def _scalar(code: str) -> Any:
    return NTScalar.buildType(code, display=True, control=True, form=True)


@cache
def _choice() -> Any:
    return NTEnum.buildType(extra=[("display", ("S", None, [("description", "s")]))])


def _type_of(planned: Record | Table) -> Any:
    if isinstance(planned, Table):
        return NTTable.buildType([(column.name, f"a{_CODES[column.dtype]}") for column in planned.columns])
    if planned.kind.is_choice:
        return _choice()
    if planned.kind.is_array:
        return _scalar(f"a{_CODES[planned.dtype]}")
    return _scalar(_SCALARS.get(planned.kind, "s"))


def _properties(planned: Record | Table) -> dict[str, Any]:
    """All of a structure that is not its value."""
    if isinstance(planned, Table):
        return {"labels": [column.label for column in planned.columns], "descriptor": planned.description}
    if planned.kind.is_choice:
        return {"value": {"choices": planned.labels}, "display": {"description": planned.description}}
    display: dict[str, Any] = {"description": planned.description, "units": planned.units}
    if not _type_of(planned).has("control"):
        return {"display": display}
    limits = {"limitLow": planned.low or 0, "limitHigh": planned.high or 0}
    display.update(limits, precision=planned.precision or 0, form={"choices": _FORMS})
    return {"display": display, "control": limits}


def _structure(tree: Tree) -> Any:
    """A structure of texts, with the time and an alarm."""
    structure = Structure(Type([("alarm", alarm), ("timeStamp", timeStamp), *_members(tree)]), tree)
    _fill(structure, None, NO_ALARM)
    return structure


def _members(tree: Tree) -> list[tuple[str, Any]]:
    members: list[tuple[str, Any]] = []
    for name, inside in tree.items():
        if isinstance(inside, str):
            members.append((name, "s"))
        elif isinstance(inside, Mapping):
            members.append((name, ("S", None, _members(inside))))
        else:
            members.append((name, ("aS", None, _members(next(filter(None, inside))))))
    return members
