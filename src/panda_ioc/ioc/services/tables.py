"""Synchronization of the tables of the PandA with their PVs, in both directions.

A put writes the whole table and completes when the table has been read back. The PandA reports changes of a table
without the content, so the table is read again. Each table has a lock, so that polls and puts do not interfere.

Channel Access puts columns one by one. They are edited in the IOC and written by a put to MODE. During editing, the
table shows changes on the PandA, the columns do not.

A table that cannot be read is in alarm. It is read again periodically, and it cannot be edited or put in part, as this
would overwrite unknown content.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ...client import PandaConnectionError
from ...protocol import Append, Changes, GetTable, PandaError, PutTable, TableContent
from .. import memory
from ..link.panda import PandaLink
from ..plan.alarm import NO_ALARM, Alarm, Severity, Status
from ..plan.codecs import Refusal
from ..plan.record import Array, Content
from ..plan.sequences import over_time
from ..plan.tables import (
    APPEND,
    APPEND_LAST,
    CLEAR,
    DISCARD,
    EDIT,
    LABELS,
    MODE,
    ROWS,
    STATE,
    SUBMIT,
    VIEW,
    PlannedTable,
)
from ..servers.put import Put
from ..servers.served import Pv
from .service import Service

_EMPTY = TableContent(np.empty(0, np.uint32))

#: Number of words from which memory is returned to the system.
_LARGE = 1 << 17

#: Delay until a failed read of a table is repeated, in s.
_RETRY_DELAY = 5.0

#: Alarm of a table before the first attempt to read it.
_NOT_READ = "the table has not been read yet"


class TableState:
    """The state of one table.

    Attributes:
        planned: the planned table
        content: last content read from the PandA
        columns: `content` as columns
        edited: edited columns; None while not editing
        lock: held while the table is read, written or edited
        stale: whether the PandA has reported a change since the last read
        problem: error of the last read; "" if it succeeded
        retry: timer of the next attempt after a failed read
    """

    def __init__(self, planned: PlannedTable, content: TableContent, problem: str) -> None:
        self.planned = planned
        self.edited: dict[str, Array] | None = None
        self.lock = asyncio.Lock()
        self.stale = False
        self.problem = problem
        self.retry: asyncio.TimerHandle | None = None
        self.update(content)

    def update(self, content: TableContent) -> None:
        """Store content read from the PandA."""
        self.content = content
        self.columns = self.planned.rows.decode(content.words)

    @property
    def mode(self) -> int:
        """Value of MODE between puts."""
        return self.planned.modes.index(VIEW if self.edited is None else EDIT)

    def values(self) -> dict[str, Content]:
        """Return the values of all PVs by name; the table itself is last, when all others are up to date."""
        planned, columns = self.planned, self.columns if self.edited is None else self.edited
        length = len(next(iter(self.columns.values())))
        values: dict[str, Content] = {planned.beside(ROWS): length}
        for name, column in planned.columns:
            values[name] = columns[column.name]
        if planned.streams:
            values[planned.beside(STATE)] = self.content.mode
        values |= {planned.plot(name): array for name, array in over_time(self.columns).items()}
        values[planned.name] = self.columns
        return values


class Tables(Service):
    """The service of all tables of the PandA.

    Args:
        link: the connection to the PandA
        planned: the planned tables
        contents: initial content of tables, by field of the PandA
        unread: errors of the tables that could not be read, by field of the PandA
    """

    def __init__(
        self,
        link: PandaLink,
        planned: Iterable[PlannedTable],
        contents: Mapping[str, TableContent],
        unread: Mapping[str, str],
    ) -> None:
        self._link = link
        self._tables: dict[str, TableState] = {}
        for table in planned:
            problem = "" if table.source in contents else unread.get(table.source, _NOT_READ)
            self._tables[table.source] = TableState(table, contents.get(table.source, _EMPTY), problem)
        self._pvs: Mapping[str, Pv] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._handlers: dict[str, Callable[[Any], Awaitable[None]]] = {}
        for state in self._tables.values():
            self._handlers |= self._handlers_of(state)

    def _handlers_of(self, table: TableState) -> dict[str, Callable[[Any], Awaitable[None]]]:
        """Return the functions that execute puts to the PVs of a table, by name."""
        planned = table.planned
        handlers: dict[str, Callable[[Any], Awaitable[None]]] = {
            planned.name: partial(self._put, table),
            planned.beside(MODE): partial(self._set_mode, table),
            planned.beside(CLEAR): partial(self._clear, table),
            planned.beside(APPEND): partial(self._append, table, last=False),
            planned.beside(APPEND_LAST): partial(self._append, table, last=True),
        }
        for name, column in planned.columns:
            handlers[name] = partial(self._edit, table, column.name)
        return handlers

    def initial_values(self) -> dict[str, Content]:
        """Return the initial values by name."""
        values: dict[str, Content] = {}
        for table in self._tables.values():
            planned = table.planned
            labels = [bits.column.label for bits in planned.rows.bits]
            values.update(
                {
                    **({} if table.problem else table.values()),
                    planned.beside(MODE): table.mode,
                    planned.beside(LABELS): labels,
                    planned.beside(CLEAR): 0,
                    planned.beside(APPEND): planned.rows.decode(_EMPTY.words),
                    planned.beside(APPEND_LAST): planned.rows.decode(_EMPTY.words),
                }
            )
        return values

    def bind(self, pvs: Mapping[str, Pv]) -> None:
        """Store the PVs; set the alarms of tables that could not be read."""
        self._pvs = pvs
        for table in self._tables.values():
            if table.problem:
                self._show(table)

    def connected(self, *, again: bool) -> None:
        """Read all tables after a reconnect; at the start, schedule reads of those that failed."""
        for table in self._tables.values():
            if again:
                self._read_soon(table)
            elif table.problem:
                self._read_later(table)

    def disconnected(self) -> None:
        """Set the disconnect alarm of all tables."""
        for table in self._tables.values():
            self._show(table)

    def apply(self, changes: Changes, different: Collection[str]) -> None:  # noqa: ARG002 - a table has no key
        """Read the tables that have changed."""
        for source in changes.multiline:
            if source in self._tables:
                self._read_soon(self._tables[source])

    async def put(self, put: Put) -> None:
        """Execute a put to a PV of a table."""
        await self._handlers[put.name](put.value)

    async def close(self) -> None:
        """Cancel reads and retries."""
        for table in self._tables.values():
            self._cancel_retry(table)
        for task in self._reading.values():
            task.cancel()

    async def _put(self, table: TableState, columns: Mapping[str, Array]) -> None:
        """Write the table; missing columns keep their content on the PandA."""
        async with table.lock:
            if not table.columns.keys() <= columns.keys():
                await self._read_now(table)
            words = table.planned.rows.encode({**table.columns, **columns})
            await self._write(table, PutTable(table.planned.source, words))

    async def _append(self, table: TableState, columns: Mapping[str, Array], *, last: bool) -> None:
        async with table.lock:
            words = table.planned.rows.encode(columns)
            await self._write(table, Append(table.planned.source, words, last=last))
            name = table.planned.beside(APPEND_LAST if last else APPEND)
            self._pvs[name].post(table.planned.rows.decode(_EMPTY.words))

    async def _clear(self, table: TableState, value: int) -> None:
        async with table.lock:
            if value:
                await self._write(table, PutTable(table.planned.source, _EMPTY.words))
            self._pvs[table.planned.beside(CLEAR)].post(0)

    async def _edit(self, table: TableState, column: str, values: Array) -> None:
        async with table.lock:
            if table.edited is None:
                self._link.check_connected()
                if not np.array_equal(values, table.columns[column]):
                    raise Refusal(f"the columns are not in edit mode: put {EDIT} to {table.planned.beside(MODE)} first")
                return
            table.edited[column] = table.planned.rows.checked(column, values)
            self._show(table)

    async def _set_mode(self, table: TableState, value: int) -> None:
        async with table.lock:
            mode = table.planned.modes[value]
            if mode in {VIEW, DISCARD}:
                table.edited = None
            elif mode == EDIT:
                if table.edited is None:
                    await self._read_now(table)
                    table.edited = dict(table.columns)
            else:
                await self._submit(table, mode)
            self._show(table)
            self._pvs[table.planned.beside(MODE)].post(table.mode)

    async def _submit(self, table: TableState, mode: str) -> None:
        """Write the edited columns."""
        if table.edited is None:
            raise Refusal(f"no edited columns: put {EDIT} to {table.planned.beside(MODE)} first")
        if table.problem:
            await self._read_now(table)
        words, source = table.planned.rows.encode(table.edited), table.planned.source
        command = PutTable(source, words) if mode == SUBMIT else Append(source, words, last=mode == APPEND_LAST)
        await self._write(table, command, edited=True)

    async def _write(self, table: TableState, command: PutTable, *, edited: bool = False) -> None:
        """Send a write; return when the table has been read back."""
        await self._link.send(command)
        if np.size(command.words) > _LARGE:
            memory.trim()
        if edited:
            table.edited = None
        with contextlib.suppress(PandaConnectionError):  # the write itself succeeded; the loss sets alarms
            await self._link.refresh()
            await self._read(table)

    def _read_soon(self, table: TableState) -> None:
        """Start reading a changed table, unless it is being read already."""
        table.stale = True
        source = table.planned.source
        if source not in self._reading:
            task = asyncio.get_running_loop().create_task(self._read_while_stale(table))
            self._reading[source] = task
            task.add_done_callback(lambda _: self._reading.pop(source))

    async def _read_while_stale(self, table: TableState) -> None:
        async with table.lock:
            while table.stale and not self._link.lost:
                with contextlib.suppress(PandaConnectionError):
                    await self._read(table)

    def _read_later(self, table: TableState) -> None:
        """Schedule the next attempt to read a table."""
        self._cancel_retry(table)
        table.retry = asyncio.get_running_loop().call_later(_RETRY_DELAY, self._read_soon, table)

    @staticmethod
    def _cancel_retry(table: TableState) -> None:
        if table.retry is not None:
            table.retry.cancel()

    async def _read_now(self, table: TableState) -> None:
        """Read a table before its content is edited or written in part.

        Raises:
            Refusal: the table cannot be read
            PandaConnectionError: no connection to the PandA
        """
        await self._fetch(table)
        if table.problem:
            self._show(table)
            raise Refusal(f"cannot read {table.planned.name} from the PandA: {table.problem}")

    async def _read(self, table: TableState) -> None:
        """Read a table and post it."""
        before = len(table.content.words)
        await self._fetch(table)
        self._show(table)
        if max(before, len(table.content.words)) > _LARGE:
            memory.trim_soon()

    async def _fetch(self, table: TableState) -> None:
        """Read a table; if this fails, keep the last content, store the error and schedule a retry."""
        table.stale = False
        try:
            content = await self._link.ask(GetTable(table.planned.source))
        except PandaConnectionError:
            raise
        except PandaError as problem:
            table.problem = str(problem)
            self._read_later(table)
        else:
            table.problem = ""
            self._cancel_retry(table)
            table.update(content)

    def _show(self, table: TableState) -> None:
        alarm = NO_ALARM
        if self._link.lost:
            alarm = Alarm(Severity.INVALID, Status.COMM, self._link.lost)
        elif table.problem:
            alarm = Alarm(Severity.INVALID, Status.READ, table.problem)
        for name, value in table.values().items():
            if name in self._pvs:  # records that EPICS does not accept are not served
                self._pvs[name].post(value, alarm)
