"""The tables of a PandA and what is served of them, kept in step both ways.

One put is one write of the whole table. It is done when the table has been read back, so what is shown then
is what the PandA holds. A change on the PandA is reported without its content, so the table is read again; a
table that is being written or read is not touched by anything else meanwhile, so no put is lost to a poll.

Columns are put one by one over Channel Access, so they are edited here first: MODE says when they are written.
While they are edited, changes of the PandA are shown by the table, not by the columns.

Nothing is written over what nobody has seen: a table that cannot be read is in alarm, is read again from time to time,
and is neither edited nor put in part.
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

#: Words of a table from which on it is worth while to give memory back, and the seconds until nobody holds any of it.
_LARGE = 1 << 17
_SETTLED = 0.1

#: Seconds until a table that could not be read is read again.
_RETRY = 5.0

#: Why a table is not known that nobody has tried to read.
_NOT_READ = "the table has not been read yet"


class _Held:
    """What is known of one table.

    Attributes:
        planned: what it is
        content: what the PandA holds, as far as is known
        columns: the same, as columns
        edited: the columns as they are edited; None while they are not
        turn: held by whatever writes or reads the table
        stale: whether the PandA said that it changed since it was read
        problem: why it could not be read; "" if it was
        retry: reads it again
    """

    def __init__(self, planned: PlannedTable, content: TableContent, problem: str) -> None:
        self.planned = planned
        self.edited: dict[str, Array] | None = None
        self.turn = asyncio.Lock()
        self.stale = False
        self.problem = problem
        self.retry: asyncio.TimerHandle | None = None
        self.take(content)

    def take(self, content: TableContent) -> None:
        """Take what the PandA holds."""
        self.content = content
        self.columns = self.planned.rows.decode(content.words)

    @property
    def mode(self) -> int:
        """MODE as it is between puts."""
        return self.planned.modes.index(VIEW if self.edited is None else EDIT)

    def values(self) -> dict[str, Content]:
        """Everything that is shown of it, by name; the table itself comes last, so whoever sees it finds all true."""
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
    """The service of all tables.

    Args:
        link: the PandA
        planned: what they are
        contents: what they hold, by their names on the PandA
        unread: why others could not be read, by their names on the PandA
    """

    def __init__(
        self,
        link: PandaLink,
        planned: Iterable[PlannedTable],
        contents: Mapping[str, TableContent],
        unread: Mapping[str, str],
    ) -> None:
        self._link = link
        self._tables: dict[str, _Held] = {}
        for table in planned:
            problem = "" if table.source in contents else unread.get(table.source, _NOT_READ)
            self._tables[table.source] = _Held(table, contents.get(table.source, _EMPTY), problem)
        self._pvs: Mapping[str, Pv] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._takers = {name: take for table in self._tables.values() for name, take in self._takers_of(table).items()}

    def _takers_of(self, table: _Held) -> dict[str, Callable[[Any], Awaitable[None]]]:
        """What takes the puts to each name of a table."""
        planned = table.planned
        takers: dict[str, Callable[[Any], Awaitable[None]]] = {
            planned.name: partial(self._put, table),
            planned.beside(MODE): partial(self._set_mode, table),
            planned.beside(CLEAR): partial(self._clear, table),
            planned.beside(APPEND): partial(self._append, table, last=False),
            planned.beside(APPEND_LAST): partial(self._append, table, last=True),
        }
        for name, column in planned.columns:
            takers[name] = partial(self._edit, table, column.name)
        return takers

    def initial_values(self) -> dict[str, Content]:
        """What all is at the start."""
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
        """Take the PVs as they are served; show what could not be read."""
        self._pvs = pvs
        for table in self._tables.values():
            if table.problem:
                self._show(table)

    def connected(self, *, again: bool) -> None:
        """Read all again after a loss; what they held at the start is known."""
        for table in self._tables.values():
            if again:
                self._read_soon(table)
            elif table.problem:
                self._read_later(table)

    def disconnected(self) -> None:
        """Show that the PandA is gone."""
        for table in self._tables.values():
            self._show(table)

    def apply(self, changes: Changes, different: Collection[str]) -> None:  # noqa: ARG002 - a table has no key
        """Read what has changed."""
        for source in changes.multiline:
            if source in self._tables:
                self._read_soon(self._tables[source])

    async def put(self, put: Put) -> None:
        """Do a put to anything of a table."""
        await self._takers[put.name](put.value)

    async def close(self) -> None:
        """Stop reading."""
        for table in self._tables.values():
            self._cancel_retry(table)
        for task in self._reading.values():
            task.cancel()

    async def _put(self, table: _Held, columns: Mapping[str, Array]) -> None:
        """Write the table; columns that are not put stay as they are on the PandA."""
        async with table.turn:
            if not table.columns.keys() <= columns.keys():
                await self._read_now(table)
            words = table.planned.rows.encode({**table.columns, **columns})
            await self._write(table, PutTable(table.planned.source, words))

    async def _append(self, table: _Held, columns: Mapping[str, Array], *, last: bool) -> None:
        async with table.turn:
            words = table.planned.rows.encode(columns)
            await self._write(table, Append(table.planned.source, words, last=last))
            name = table.planned.beside(APPEND_LAST if last else APPEND)
            self._pvs[name].post(table.planned.rows.decode(_EMPTY.words))

    async def _clear(self, table: _Held, value: int) -> None:
        async with table.turn:
            if value:
                await self._write(table, PutTable(table.planned.source, _EMPTY.words))
            self._pvs[table.planned.beside(CLEAR)].post(0)

    async def _edit(self, table: _Held, column: str, values: Array) -> None:
        async with table.turn:
            if table.edited is None:
                if not np.array_equal(values, table.columns[column]):
                    raise Refusal(f"set {table.planned.beside(MODE)} to {EDIT} first")
                return
            table.edited[column] = table.planned.rows.checked(column, values)
            self._show(table)

    async def _set_mode(self, table: _Held, value: int) -> None:
        async with table.turn:
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

    async def _submit(self, table: _Held, mode: str) -> None:
        """Write the columns as they were edited."""
        if table.edited is None:
            raise Refusal(f"nothing is edited: set {table.planned.beside(MODE)} to {EDIT} first")
        if table.problem:
            await self._read_now(table)
        words, source = table.planned.rows.encode(table.edited), table.planned.source
        command = PutTable(source, words) if mode == SUBMIT else Append(source, words, last=mode == APPEND_LAST)
        await self._write(table, command, edited=True)

    async def _write(self, table: _Held, command: PutTable, *, edited: bool = False) -> None:
        """Send a write; return when what it made of the table has been read back."""
        await self._link.send(command)
        if np.size(command.words) > _LARGE:
            memory.trim()
        if edited:
            table.edited = None
        with contextlib.suppress(PandaConnectionError):  # it took it; that it is lost since, other alarms tell
            await self._link.refresh()
            await self._read(table)

    def _read_soon(self, table: _Held) -> None:
        """Read a table that has changed, unless whatever has its turn does so."""
        table.stale = True
        source = table.planned.source
        if source not in self._reading:
            task = asyncio.get_running_loop().create_task(self._read_while_stale(table))
            self._reading[source] = task
            task.add_done_callback(lambda _: self._reading.pop(source))

    async def _read_while_stale(self, table: _Held) -> None:
        async with table.turn:
            while table.stale and not self._link.lost:
                with contextlib.suppress(PandaConnectionError):
                    await self._read(table)

    def _read_later(self, table: _Held) -> None:
        """Read a table again that could not be read, after a while."""
        self._cancel_retry(table)
        table.retry = asyncio.get_running_loop().call_later(_RETRY, self._read_soon, table)

    @staticmethod
    def _cancel_retry(table: _Held) -> None:
        if table.retry is not None:
            table.retry.cancel()

    async def _read_now(self, table: _Held) -> None:
        """Read a table of which something is to be kept.

        Raises:
            Refusal: it cannot be read
            PandaConnectionError: there is no connection
        """
        await self._fetch(table)
        if table.problem:
            self._show(table)
            raise Refusal(f"{table.planned.name} cannot be read, so it is not known what is in it: {table.problem}")

    async def _read(self, table: _Held) -> None:
        """Read a table and show it."""
        before = len(table.content.words)
        await self._fetch(table)
        self._show(table)
        if max(before, len(table.content.words)) > _LARGE:
            asyncio.get_running_loop().call_later(_SETTLED, memory.trim)

    async def _fetch(self, table: _Held) -> None:
        """Read a table; where it cannot be read it stays as it is known, with the reason, and is read again later."""
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
            table.take(content)

    def _show(self, table: _Held) -> None:
        alarm = NO_ALARM
        if self._link.lost:
            alarm = Alarm(Severity.INVALID, Status.COMM, self._link.lost)
        elif table.problem:
            alarm = Alarm(Severity.INVALID, Status.READ, table.problem)
        for name, value in table.values().items():
            if name in self._pvs:  # one that EPICS does not take is left out
                self._pvs[name].post(value, alarm)
