"""The bit bus and the position bus as tables, composed of the records of their rows.

A put to a table becomes puts to the records whose values differ; all values are checked before the first of these puts.
Read-only columns are optional in a put: values are ignored, and each name must be the name of its row.
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

#: The numeric columns; all others are text.
_NUMERIC = {"value", "scale", "offset"}


class _BusState:
    """The state of a bus.

    Attributes:
        bus: the planned bus
        scheduled: whether an update of its table is scheduled
    """

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.scheduled = False


class Buses(Service):
    """The service of the tables of both buses.

    Args:
        link: the connection to the PandA
        plan: the records and tables to serve
    """

    def __init__(self, link: PandaLink, plan: Plan) -> None:
        self._link = link
        self._records = {record.name: record for record in plan.records}
        self._states = {bus.table: _BusState(bus) for bus in plan.buses}
        self._pvs: Mapping[str, Pv] = {}
        self._lock = asyncio.Lock()

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Store the PVs; update a table after each post to a record of its rows."""
        self._pvs = pvs
        for state in self._states.values():
            for name in {name for names in state.bus.records.values() for name in names if name}:
                pvs[name].on_post.append(partial(self._schedule, state))
            self._show(state)

    def connected(self, *, again: bool) -> None:
        if again:
            self._show_all()

    def disconnected(self) -> None:
        self._show_all()

    async def put(self, put: Put) -> None:
        """Put the values that differ."""
        state = self._states[put.name]
        async with self._lock:
            try:
                await self._put(state.bus, put)
            finally:
                self._show(state)

    async def _put(self, bus: Bus, put: Put) -> None:
        self._link.check_connected()
        puts: dict[str, Any] = {}
        for column, values in put.value.items():
            if len(values) != len(bus.rows):
                raise Refusal(f"column {column} has {len(values)} rows: it must have {len(bus.rows)}")
            if column == "name":
                _check_names(bus, values)
            if column not in READ_ONLY_COLUMNS:
                self._collect(puts, bus, column, values)
        for name, value in puts.items():
            self._check(name, value)
        pending = (self._pvs[name].put(put.redirect(name, value)) for name, value in puts.items())
        refusals = await asyncio.gather(*pending)
        reasons = [f"{name}: {refusal}" for name, refusal in zip(puts, refusals, strict=True) if refusal]
        if reasons:
            raise Refusal("; ".join(reasons))

    def _collect(self, puts: dict[str, Any], bus: Bus, column: str, values: Any) -> None:
        """Add a put for each value of a column that differs."""
        for row, (record, value) in enumerate(zip(bus.records[column], _plain(values), strict=True)):
            if value == self._value(record, column):
                continue
            if not record:
                raise Refusal(f"{column} of row {row} is {value!r}: it is read-only, leave it unchanged")
            put = self._as_put(record, value)
            if record in puts and puts[record] != put:
                raise Refusal(
                    f"{column} of row {row} is {value!r}, but another row that shares {record} has a different value: "
                    "use the same value in both"
                )
            puts[record] = put

    def _as_put(self, name: str, value: Any) -> Any:
        """Convert a value of the table to the value to put to its record."""
        record = self._records[name]
        if not record.kind.is_choice:
            return value
        if value not in record.labels:
            raise Refusal(f"{value!r} is not a choice of {name}: use {', '.join(record.labels)}")
        return record.labels.index(value)

    def _check(self, name: str, value: Any) -> None:
        record = self._records[name]
        try:
            record.codec.command(record.target or "", value, None)
        except Refusal as problem:
            raise Refusal(f"{name}: {problem}") from None

    def _value(self, name: str, column: str) -> float | str:
        """Return the value of a record as the table shows it."""
        value = self._pvs[name].value if name else None
        if column in _NUMERIC:
            return float(value) if isinstance(value, int | float) else 0.0
        if name and self._records[name].kind.is_choice:
            return self._records[name].labels[value] if isinstance(value, int) else ""
        return str(value) if isinstance(value, str) else ""

    def _schedule(self, state: _BusState) -> None:
        """Schedule one update of the table for all changes of its rows in this iteration of the event loop."""
        if not state.scheduled:
            state.scheduled = True
            asyncio.get_running_loop().call_soon(self._show, state)

    def _show_all(self) -> None:
        for state in self._states.values():
            self._show(state)

    def _show(self, state: _BusState) -> None:
        state.scheduled = False
        bus = state.bus
        columns: dict[str, Array] = {"name": list(bus.rows)}
        for column, names in bus.records.items():
            values: list[Any] = [self._value(name, column) for name in names]
            columns[column] = np.array(values, float) if column in _NUMERIC else values
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
