"""The bit bus and the position bus as tables, made of the records of their rows.

A table shows what these records show. A put of it becomes puts to those records whose value differs; all are
checked before the first is made. What only shows may be there or not: a value is left as it is, and a name
must be that of its row.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ..link.panda import PandaLink
from ..plan.alarm import NO_ALARM, Alarm, Severity, Status
from ..plan.buses import READ_ONLY_COLUMNS, Bus
from ..plan.codecs import Refusal
from ..plan.plan import Plan
from ..plan.record import Array
from ..servers.put import Put
from ..servers.served import Pv
from .service import Service

#: The columns that are numbers; all others are text.
_NUMBERS = {"value", "scale", "offset"}


class _Shown:
    """A bus and what is shown of it.

    Attributes:
        bus: what it is
        due: whether it is to be shown soon
    """

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.due = False


class Buses(Service):
    """The service of the tables of both buses.

    Args:
        link: the PandA
        plan: what is served
    """

    def __init__(self, link: PandaLink, plan: Plan) -> None:
        self._link = link
        self._records = {record.name: record for record in plan.records}
        self._shown = {bus.table: _Shown(bus) for bus in plan.buses}
        self._pvs: Mapping[str, Pv] = {}
        self._turn = asyncio.Lock()

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Take the PVs; follow those of the rows."""
        self._pvs = pvs
        for shown in self._shown.values():
            for name in {name for names in shown.bus.records.values() for name in names if name}:
                pvs[name].on_post.append(partial(self._show_soon, shown))
            self._show(shown)

    def connected(self, *, again: bool) -> None:
        if again:
            self._show_all()

    def disconnected(self) -> None:
        self._show_all()

    async def put(self, put: Put) -> None:
        """Put what differs."""
        shown = self._shown[put.name]
        async with self._turn:
            try:
                await self._put(shown.bus, put)
            finally:
                self._show(shown)

    async def _put(self, bus: Bus, put: Put) -> None:
        puts: dict[str, Any] = {}
        for column, values in put.value.items():
            if len(values) != len(bus.rows):
                raise Refusal(f"{column} has {len(values)} rows, not {len(bus.rows)}")
            if column == "name":
                _check_names(bus, values)
            if column not in READ_ONLY_COLUMNS:
                self._collect(puts, bus, column, values)
        for name, value in puts.items():
            self._check(name, value)
        refusals = await asyncio.gather(*(self._pvs[name].put(put.part(name, value)) for name, value in puts.items()))
        told = [f"{name}: {refusal}" for name, refusal in zip(puts, refusals, strict=True) if refusal]
        if told:
            raise Refusal("; ".join(told))

    def _collect(self, puts: dict[str, Any], bus: Bus, column: str, values: Any) -> None:
        """Add to the puts what differs in a column."""
        for row, (record, value) in enumerate(zip(bus.records[column], _plain(values), strict=True)):
            if value == self._value(record, column):
                continue
            if not record:
                raise Refusal(f"{column} of row {row} cannot be set")
            put = self._as_put(record, value)
            if record in puts and puts[record] != put:
                raise Refusal(f"{column} of row {row} is {value!r}, and something else in a row that shares it")
            puts[record] = put

    def _as_put(self, name: str, value: Any) -> Any:
        """A value of the table as its record takes it."""
        record = self._records[name]
        if not record.kind.is_choice:
            return value
        if value not in record.labels:
            raise Refusal(f"{value!r} is no choice of {name}, only {', '.join(record.labels)}")
        return record.labels.index(value)

    def _check(self, name: str, value: Any) -> None:
        record = self._records[name]
        try:
            record.codec.command(record.target or "", value, None)
        except Refusal as problem:
            raise Refusal(f"{name}: {problem}") from None

    def _value(self, name: str, column: str) -> float | str:
        """What a record shows, as the table has it."""
        value = self._pvs[name].value if name else None
        if column in _NUMBERS:
            return float(value) if isinstance(value, int | float) else 0.0
        if name and self._records[name].kind.is_choice:
            return self._records[name].labels[value] if isinstance(value, int) else ""
        return str(value) if isinstance(value, str) else ""

    def _show_soon(self, shown: _Shown) -> None:
        """Show it when all that changes now has changed."""
        if not shown.due:
            shown.due = True
            asyncio.get_running_loop().call_soon(self._show, shown)

    def _show_all(self) -> None:
        for shown in self._shown.values():
            self._show(shown)

    def _show(self, shown: _Shown) -> None:
        shown.due = False
        bus = shown.bus
        columns: dict[str, Array] = {"name": list(bus.rows)}
        for column, names in bus.records.items():
            values: list[Any] = [self._value(name, column) for name in names]
            columns[column] = np.array(values, float) if column in _NUMBERS else values
        alarm = NO_ALARM
        if self._link.lost:
            alarm = Alarm(Severity.INVALID, Status.COMM, self._link.lost)
        self._pvs[bus.table].post(columns, alarm)


def _plain(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _check_names(bus: Bus, names: Any) -> None:
    for row, (wanted, name) in enumerate(zip(bus.rows, names, strict=True)):
        if name != wanted:
            raise Refusal(f"row {row} is {wanted or 'not used'}, not {name}: rows cannot be renamed or moved")
