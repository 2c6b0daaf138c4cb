"""Tables over both protocols, on a real IOC and the simulated PandA."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil
import pytest
from aioca import FORMAT_TIME, caget, caput
from p4p.client.asyncio import RemoteError

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import GetTable, Put, PutTable
from panda_ioc.simulator import Server, load
from panda_ioc.simulator.fields import Attribute
from panda_ioc.simulator.tables import TableField, Words

from ..conftest import free_port
from .process import Ioc, is_refused, running_ioc

MAJOR, INVALID = 2, 3
TRIGGERS = ("Immediate", "BITA=1", "POSA>=POSITION", "POSC<=POSITION")
OUTPUTS = [f"out{letter}{phase}" for phase in (1, 2) for letter in "abcdef"]
ROWS = 262144


@pytest.fixture
async def other(server: Server) -> AsyncIterator[AsyncioClient]:
    async with AsyncioClient("127.0.0.1", server.control_port) as client:
        yield client


def sequence(rows: int, seed: int = 1) -> dict[str, Any]:
    """A SEQ table of random valid values."""
    random = np.random.default_rng(seed)
    columns: dict[str, Any] = {name: random.integers(0, 2, rows, dtype=np.uint8) for name in OUTPUTS}
    columns["repeats"] = random.integers(0, 2**16, rows).astype(np.uint16)
    columns["trigger"] = random.choice(TRIGGERS, rows).tolist()
    columns["position"] = random.integers(-(2**31), 2**31, rows).astype(np.int32)
    for name in ("time1", "time2"):
        columns[name] = random.integers(0, 2**32, rows, dtype=np.uint32)
    return columns


async def put(ioc: Ioc, columns: Mapping[str, Any], name: str = "SEQ1:TABLE") -> None:
    await asyncio.wait_for(ioc.raw.put(ioc.pv(name), {"value": columns}), 10)


async def read(ioc: Ioc, name: str = "SEQ1:TABLE") -> dict[str, Any]:
    columns: dict[str, Any] = (await ioc.raw_get(name)).value.todict()
    return columns


def same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def table_of(server: Server, name: str = "SEQ1.TABLE") -> TableField:
    field = server.panda.fields[name]
    assert isinstance(field, TableField)
    return field


@contextmanager
def writes_of(table: TableField) -> Iterator[list[int]]:
    """The numbers of rows of the writes to a table."""
    rows: list[int] = []
    taken = table.on_rows

    def count(field: TableField, words: Words, mode: str) -> None:
        rows.append(len(words) // 4)
        taken(field, words, mode)

    table.on_rows = count
    yield rows
    table.on_rows = taken


async def until_rows(seen: asyncio.Queue[Any], rows: int, timeout: float = 5) -> Any:
    async with asyncio.timeout(timeout):
        while True:
            table = await seen.get()
            if len(table.value.repeats) == rows:
                return table


@pytest.mark.parametrize("rows", [0, 1, 4096])
async def test_a_put_is_one_write_and_reads_back(ioc: Ioc, server: Server, other: AsyncioClient, rows: int) -> None:
    columns = sequence(rows)
    with writes_of(table_of(server)) as written:
        await put(ioc, columns)
    assert written == [rows]
    assert same(await read(ioc), columns)
    words = (await other.send(GetTable("SEQ1.TABLE"))).words.reshape(-1, 4)
    assert np.array_equal(words[:, 0] & 0xFFFF, columns["repeats"])
    assert np.array_equal(words[:, 1].view(np.int32), columns["position"])
    assert await ioc.pva_get("SEQ1:TABLE:ROWS") == rows


async def test_reading_and_writing_back_changes_nothing(ioc: Ioc, server: Server, other: AsyncioClient) -> None:
    await other.send(PutTable("SEQ2.TABLE", [0xFFFFFFFF] * 8))
    seen = await ioc.monitor("SEQ2:TABLE")
    if await ioc.pva_get("SEQ2:TABLE:ROWS") != 2:
        await until_rows(seen, 2)
    columns = await read(ioc, "SEQ2:TABLE")
    assert columns["trigger"] == ["code 15"] * 2  # it has no label
    await put(ioc, columns, "SEQ2:TABLE")
    assert table_of(server, "SEQ2.TABLE").words.tolist() == [0xFFFFFFFF] * 8
    for name in ("REPEATS", "OUTA1", "POSITION"):
        await caput(ioc.pv(f"SEQ2:TABLE:{name}"), await caget(ioc.pv(f"SEQ2:TABLE:{name}")), wait=True, timeout=5)
        assert (await caget(ioc.pv(f"SEQ2:TABLE:{name}"), format=FORMAT_TIME)).severity == 0


async def test_another_block_with_a_table(ioc: Ioc, other: AsyncioClient) -> None:
    await put(ioc, {"position": np.array([1, -2, 3], np.int32)}, "PGEN1:TABLE")
    assert (await other.send(GetTable("PGEN1.TABLE"))).words.view(np.int32).tolist() == [1, -2, 3]
    assert list(await caget(ioc.pv("PGEN1:TABLE:POSITION"))) == [1, -2, 3]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"time1": np.zeros(4, np.uint32)}, "must have the same number of rows: .*time1 4"),
        ({"trigger": ["Immediate", "BITA=0", "Bita=1"]}, "TRIGGER in row 2 is 'Bita=1'.* did you mean"),
        ({"trigger": ["", "", ""]}, "TRIGGER in row 0 is ''"),
        ({"outb1": np.array([0, 1, 2], np.uint8)}, "OUTB1 in row 2 is 2: it must be in the range 0 to 1"),
    ],
)
async def test_a_refused_table_changes_nothing(ioc: Ioc, server: Server, change: dict[str, Any], says: str) -> None:
    before = sequence(3)
    await put(ioc, before)
    with writes_of(table_of(server)) as written, pytest.raises(RemoteError, match=says):
        await put(ioc, {**sequence(3, seed=2), **change})
    assert not written
    after = await ioc.raw_get("SEQ1:TABLE")
    assert same(after.value.todict(), before)
    assert after.alarm.severity == MAJOR
    assert "SEQ1:TABLE = " in await ioc.pva_get("IOC:LAST_REFUSED")
    await put(ioc, before)
    assert (await ioc.raw_get("SEQ1:TABLE")).alarm.severity == 0


async def test_too_many_rows(ioc: Ioc) -> None:
    with pytest.raises(RemoteError, match="too many rows: 262145, the table holds at most 262144"):
        await put(ioc, sequence(ROWS + 1))


async def test_columns_that_are_not_put_stay(ioc: Ioc) -> None:
    columns = sequence(5)
    await put(ioc, columns)
    await put(ioc, {"repeats": np.arange(5, dtype=np.uint16)})
    assert same(await read(ioc), {**columns, "repeats": np.arange(5)})
    with pytest.raises(RemoteError, match="must have the same number of rows"):
        await put(ioc, {"repeats": np.arange(6, dtype=np.uint16)})


async def test_a_change_on_the_panda_reaches_monitors(ioc: Ioc, other: AsyncioClient) -> None:
    seen = await ioc.monitor("SEQ1:TABLE")
    for rows in (7, 3, 0, 9):
        await other.send(PutTable("SEQ1.TABLE", np.full(rows * 4, rows, np.uint32)))
        table = await until_rows(seen, rows)
        assert table.value.position.tolist() == [rows] * rows
    assert list(await caget(ioc.pv("SEQ1:TABLE:TIME1"))) == [9] * 9


def used(ioc: Ioc) -> float:
    """Return the CPU time of the IOC in s, which does not depend on the load of the machine."""
    times = psutil.Process(ioc.process.pid).cpu_times()
    return times.user + times.system


async def test_a_full_table(ioc: Ioc) -> None:
    """In less than 1 s on an idle machine; connected clients stay connected."""
    before = used(ioc)
    for turn in range(3):
        columns = sequence(ROWS, seed=turn)
        await put(ioc, columns)
        assert same(await read(ioc), columns)
    assert (used(ioc) - before) / 3 < 1
    assert await ioc.pva_get("IOC:RECONNECTS") == 0
    assert len(await caget(ioc.pv("SEQ1:TABLE:TIME1"), timeout=10)) == ROWS
    await put(ioc, sequence(0))


async def test_a_put_of_4096_rows_takes_50_ms(ioc: Ioc) -> None:
    columns = sequence(4096)
    took = []
    for _ in range(20):
        began = time.perf_counter()
        await put(ioc, columns)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05


async def test_alternating_puts_while_the_panda_changes_others(ioc: Ioc, other: AsyncioClient) -> None:
    """No put is lost to a poll: each reads back as written."""
    tables = [sequence(20, seed) for seed in range(2)]
    stop = asyncio.Event()

    async def disturb() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            await other.send(PutTable("SEQ2.TABLE", np.full(4, number, np.uint32)))
            await other.send(Put("PULSE1.PULSES", str(number % 1000)))

    disturbing = asyncio.create_task(disturb())
    try:
        for turn in range(1000):
            await put(ioc, tables[turn % 2])
            assert same(await read(ioc), tables[turn % 2]), turn
    finally:
        stop.set()
        await disturbing


async def test_puts_of_several_clients_at_once(ioc: Ioc, server: Server) -> None:
    """Each put is complete: the final table is one of them."""
    tables = [sequence(50 + seed, seed) for seed in range(6)]
    await asyncio.gather(*(put(ioc, columns) for columns in tables))
    after = await read(ioc)
    assert [same(after, columns) for columns in tables].count(True) == 1


async def set_mode(ioc: Ioc, mode: str) -> None:
    await caput(ioc.pv("SEQ1:TABLE:MODE"), mode, wait=True, timeout=5)


async def mode_of(ioc: Ioc) -> str:
    return str(await caget(ioc.pv("SEQ1:TABLE:MODE"), datatype=str))


async def put_column(ioc: Ioc, name: str, values: Any) -> None:
    await caput(ioc.pv(f"SEQ1:TABLE:{name.upper()}"), values, wait=True, timeout=5)


async def test_editing_columns(ioc: Ioc, other: AsyncioClient) -> None:
    before, after = sequence(4, seed=3), sequence(6, seed=4)
    await put(ioc, before)
    for _ in range(2):
        await is_refused(ioc.pv("SEQ1:TABLE:REPEATS"), after["repeats"])  # not without EDIT
        assert "put EDIT to SEQ1:TABLE:MODE first" in await ioc.pva_get("IOC:LAST_REFUSED")
        assert np.array_equal(await caget(ioc.pv("SEQ1:TABLE:REPEATS")), before["repeats"])
    await set_mode(ioc, "EDIT")
    assert await mode_of(ioc) == "EDIT"
    for name, values in after.items():
        await put_column(ioc, name, values)
    # The table shows changes of the PandA; they do not affect the edits.
    seen = await ioc.monitor("SEQ1:TABLE")
    await other.send(PutTable("SEQ1.TABLE", [1] * 12))
    await until_rows(seen, 3)
    for name, values in after.items():
        assert np.array_equal(await caget(ioc.pv(f"SEQ1:TABLE:{name.upper()}")), values)
    await set_mode(ioc, "SUBMIT")
    assert await mode_of(ioc) == "VIEW"
    assert same(await read(ioc), after)
    assert list(await caget(ioc.pv("SEQ1:TABLE:TRIGGER"))) == after["trigger"]


async def test_discarding_what_was_edited(ioc: Ioc) -> None:
    before = sequence(4, seed=5)
    await put(ioc, before)
    await set_mode(ioc, "EDIT")
    await put_column(ioc, "repeats", [1, 2])
    await put_column(ioc, "trigger", ["BITA=1"])
    await set_mode(ioc, "DISCARD")
    assert await mode_of(ioc) == "VIEW"
    assert np.array_equal(await caget(ioc.pv("SEQ1:TABLE:REPEATS")), before["repeats"])
    assert list(await caget(ioc.pv("SEQ1:TABLE:TRIGGER"))) == before["trigger"]
    assert same(await read(ioc), before)


async def test_a_refused_submit_can_be_corrected(ioc: Ioc) -> None:
    before = sequence(4, seed=6)
    await put(ioc, before)
    await set_mode(ioc, "EDIT")
    await is_refused(ioc.pv("SEQ1:TABLE:TRIGGER"), ["nonsense"] * 4)
    assert "row 0 is 'nonsense'" in await ioc.pva_get("IOC:LAST_REFUSED")
    await put_column(ioc, "repeats", [9, 8, 7, 6, 5])
    await is_refused(ioc.pv("SEQ1:TABLE:MODE"), "SUBMIT")
    assert await mode_of(ioc) == "EDIT"
    assert "must have the same number of rows" in (await ioc.pva_get("SEQ1:TABLE:MODE")).raw.alarm.message
    assert same(await read(ioc), before)
    await put_column(ioc, "repeats", [9, 8, 7, 6])
    await set_mode(ioc, "SUBMIT")
    assert (await mode_of(ioc), (await caget(ioc.pv("SEQ1:TABLE:MODE"), format=FORMAT_TIME)).severity) == ("VIEW", 0)
    assert (await read(ioc))["repeats"].tolist() == [9, 8, 7, 6]
    await is_refused(ioc.pv("SEQ1:TABLE:MODE"), "SUBMIT")
    assert "no edited columns" in await ioc.pva_get("IOC:LAST_REFUSED")


async def test_streaming(ioc: Ioc, server: Server) -> None:
    await ioc.pva_put("SEQ1:TABLE:CLEAR", 1)
    with writes_of(table_of(server)) as buffers:
        await put(ioc, sequence(10), "SEQ1:TABLE:APPEND")
        await put(ioc, sequence(20), "SEQ1:TABLE:APPEND")
        assert await ioc.pva_get("SEQ1:TABLE:STATE") == "STREAMING"
        assert await ioc.pva_get("SEQ1:TABLE:ROWS") == 0
        with pytest.raises(RemoteError, match="Table is in streaming mode"):
            await put(ioc, sequence(3))
        with pytest.raises(RemoteError, match="missing columns"):
            await put(ioc, {"repeats": np.ones(1, np.uint16)}, "SEQ1:TABLE:APPEND")
        await put(ioc, sequence(30), "SEQ1:TABLE:APPEND_LAST")
    assert buffers == [10, 20, 30]
    assert await ioc.pva_get("SEQ1:TABLE:STATE") == "STREAMING_LAST"
    with pytest.raises(RemoteError, match="Last streaming table was sent"):
        await put(ioc, sequence(3), "SEQ1:TABLE:APPEND")
    assert await ioc.pva_get("SEQ1:TABLE:QUEUED_LINES") >= 0
    await ioc.pva_put("SEQ1:TABLE:CLEAR", 1)
    assert await ioc.pva_get("SEQ1:TABLE:STATE") == "INIT"
    await put(ioc, sequence(3))
    assert await ioc.pva_get("SEQ1:TABLE:STATE") == "FIXED"


async def test_streaming_by_columns(ioc: Ioc, server: Server) -> None:
    await ioc.pva_put("SEQ1:TABLE:CLEAR", 1)
    await set_mode(ioc, "EDIT")
    for name, values in sequence(5).items():
        await put_column(ioc, name, values)
    await set_mode(ioc, "APPEND_LAST")
    assert (await mode_of(ioc), table_of(server).mode) == ("VIEW", "STREAMING_LAST")
    await ioc.pva_put("SEQ1:TABLE:CLEAR", 1)


async def test_a_table_that_makes_no_sense(ioc: Ioc, server: Server, other: AsyncioClient) -> None:
    seen = await ioc.monitor("PGEN2:TABLE")
    table = table_of(server, "PGEN2.TABLE")
    sound = table.attributes["B"]
    for nonsense in (["!!!!"], ["AAAA"], ["AA==", "AA=="]):
        table.attributes["B"] = Attribute("", lambda lines=nonsense: lines)  # type: ignore[misc]
        await other.send(PutTable("PGEN2.TABLE", [1, 2, 3]))
        bad = (await asyncio.wait_for(seen.get(), 5)).alarm
        assert (bad.severity, "PGEN2.TABLE.B?" in bad.message) == (INVALID, True)
    table.attributes["B"] = sound
    await other.send(PutTable("PGEN2.TABLE", [4, 5]))
    good = await asyncio.wait_for(seen.get(), 5)
    assert (good.alarm.severity, good.value.position.tolist()) == (0, [4, 5])
    assert await ioc.pva_get("IOC:RECONNECTS") == 0


async def test_what_is_beside_a_table(ioc: Ioc) -> None:
    assert list(await caget(ioc.pv("SEQ1:TABLE:LABELS")))[:3] == ["REPEATS", "TRIGGER", "POSITION"]
    assert await ioc.pva_get("SEQ1:TABLE:PV") == ioc.pv("SEQ1:TABLE")
    assert await caget([ioc.pv("SEQ1:TABLE:MODE:EDIT"), ioc.pv("SEQ1:TABLE:MODE:SUBMIT")]) == [1, 2]


def anonymous_memory(ioc: Ioc) -> int:
    """The memory of an IOC without the pages of files, some 27 MB of libraries, whose number depends on the kernel."""
    memory = psutil.Process(ioc.process.pid).memory_info()
    return int(memory.rss - memory.shared)


async def test_memory(server: Server, ca_ports: Iterator[int]) -> None:
    """Empty tables use no memory; a full one frees most of its memory."""
    async with running_ioc(server.control_port, "TEST-MEM", ca_ports) as ioc:
        names = [ioc.pv(f"SEQ{number}:TABLE:{name.upper()}") for number in (1, 2) for name in sequence(0)]
        await caget(names)
        start = anonymous_memory(ioc)
        assert start < 90e6
        await put(ioc, sequence(ROWS))
        await put(ioc, sequence(0))
        seconds = await ioc.monitor("IOC:UPTIME")
        async with asyncio.timeout(10):
            while anonymous_memory(ioc) > start + 40e6:
                await seconds.get()


async def test_a_panda_that_is_away(ca_ports: Iterator[int]) -> None:
    port = free_port()
    async with Server(load(), control_port=port, data_port=0) as panda:
        async with running_ioc(panda.control_port, "TEST-AWAY", ca_ports) as ioc:
            columns = sequence(3)
            await put(ioc, columns)
            seen = await ioc.monitor("SEQ1:TABLE")
            await panda.close()
            while (await asyncio.wait_for(seen.get(), 5)).alarm.severity != INVALID:
                pass
            with pytest.raises(RemoteError, match="no connection to the PandA"):
                await put(ioc, sequence(4))
            assert same(await read(ioc), columns)
            async with Server(load(), control_port=port, data_port=0) as back:
                back.panda.fields["SEQ1.TABLE"].put("", ["1 2 3 4"])  # type: ignore[attr-defined]
                table = await until_rows(seen, 1, timeout=15)
                assert (table.alarm.severity, table.value.position.tolist()) == (0, [2])
                await put(ioc, columns)
                assert same(await read(ioc), columns)
