"""The bit bus and the position bus as tables."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from p4p.client.asyncio import RemoteError

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import GetLine, GetState, Put
from panda_ioc.simulator import Server

from .process import Ioc, running_ioc


@pytest.fixture(scope="module")
async def ioc(server: Server, ca_ports: Iterator[int]) -> AsyncIterator[Ioc]:
    async with running_ioc(server.control_port, "TEST-BUS", ca_ports, "--log-level", "put") as ioc:
        yield ioc


@pytest.fixture
async def other(server: Server) -> AsyncIterator[AsyncioClient]:
    async with AsyncioClient("127.0.0.1", server.control_port) as client:
        yield client


async def read(ioc: Ioc, bus: str) -> dict[str, Any]:
    columns: dict[str, Any] = (await ioc.raw_get(f"{bus}:TABLE")).value.todict()
    return columns


async def put(ioc: Ioc, bus: str, columns: dict[str, Any]) -> None:
    await asyncio.wait_for(ioc.raw.put(ioc.pv(f"{bus}:TABLE"), {"value": columns}), 10)


async def test_they_show_what_the_rows_show(ioc: Ioc, other: AsyncioClient) -> None:
    positions = await read(ioc, "POSITIONS")
    assert list(positions) == ["name", "value", "units", "scale", "offset", "capture", "dataset"]
    row = positions["name"].index("COUNTER1:OUT")
    assert await ioc.pva_get(f"POSITIONS:{row}:NAME") == "COUNTER1:OUT"
    bits = await read(ioc, "BITS")
    assert list(bits) == ["name", "value", "capture", "dataset"]
    assert len(bits["name"]) == 128
    assert "SEQ1.OUTA" in bits["name"]
    seen = await ioc.monitor("POSITIONS:TABLE")
    await other.send(Put("COUNTER1.OUT.SCALE", "0.5"))
    await other.send(Put("COUNTER1.OUT.CAPTURE", "Value Sum"))
    async with asyncio.timeout(5):
        while (table := (await seen.get()).value).scale[row] != 0.5 or table.capture[row] != "Value Sum":
            pass


async def test_only_what_differs_is_sent(ioc: Ioc, other: AsyncioClient) -> None:
    positions = await read(ioc, "POSITIONS")
    await put(ioc, "POSITIONS", positions)
    await ioc.wait_for("put TEST-BUS:POSITIONS:TABLE")
    start = len(ioc.output)
    first, second = positions["name"].index("COUNTER3:OUT"), positions["name"].index("INENC2:VAL")
    positions["units"][first] = "mm"
    positions["scale"] = positions["scale"].copy()
    positions["scale"][first] = 1e-3
    positions["capture"][second] = "Min Max"
    positions["dataset"][second] = "theta"
    await put(ioc, "POSITIONS", positions)
    told = [await other.send(GetLine(f"COUNTER3.OUT.{name}")) for name in ("UNITS", "SCALE")]
    assert told == ["mm", "0.001"]
    assert await other.send(GetLine("INENC2.VAL.CAPTURE")) == "Min Max"
    assert await ioc.pva_get("INENC2:VAL:DATASET") == "theta"
    after = await read(ioc, "POSITIONS")
    assert (after["dataset"][second], after["capture"][second], after["units"][first]) == ("theta", "Min Max", "mm")
    await ioc.wait_for("put TEST-BUS:POSITIONS:TABLE", start=start)
    puts = {line.partition(" put ")[2].partition(" = ")[0] for line in ioc.output[start:] if " put " in line}
    names = ["COUNTER3:OUT:SCALE", "COUNTER3:OUT:UNITS", "INENC2:VAL:CAPTURE:TEXT", "INENC2:VAL:DATASET"]
    assert puts == {ioc.pv(name) for name in (*names, "POSITIONS:TABLE")}
    makers = {line.rpartition(" by ")[2] for line in ioc.output[start:] if " put " in line}
    assert len(makers) == 1
    assert "@" in makers.pop()


async def test_some_columns_alone(ioc: Ioc, other: AsyncioClient) -> None:
    offsets = np.arange(len((await read(ioc, "POSITIONS"))["name"]), dtype=float)
    await put(ioc, "POSITIONS", {"offset": offsets})
    assert (await read(ioc, "POSITIONS"))["offset"].tolist() == offsets.tolist()
    assert await other.send(GetLine("COUNTER2.OUT.OFFSET")) == "3"


@pytest.mark.parametrize(
    ("bus", "column", "row", "value", "says"),
    [
        ("POSITIONS", "name", 3, "X.Y", "row 3 is COUNTER2:OUT, not X.Y"),
        ("POSITIONS", "capture", 3, "Valeu", "'Valeu' is not a valid capture option; did you mean Value"),
        ("POSITIONS", "scale", 3, float("nan"), "nan is not a finite number"),
        ("POSITIONS", "units", None, ["mm"], "units has 1 rows"),
        ("BITS", "capture", 3, "Maybe", "'Maybe' is not a choice of PCAP:BITS0:CAPTURE"),
    ],
)
async def test_refusals(
    ioc: Ioc, other: AsyncioClient, bus: str, column: str, row: int | None, value: Any, says: str
) -> None:
    before = await other.send(GetState())
    columns = await read(ioc, bus)
    changed = columns[column].copy()
    if row is None:
        changed = value
    else:
        changed[row] = value
    # With something that could be set: it must not be.
    besides = {"dataset": [f"name {number}" for number in range(len(columns["name"]))]}
    with pytest.raises(RemoteError, match=says):
        await put(ioc, bus, {**columns, **besides, column: changed})
    assert (await read(ioc, bus))["dataset"] == columns["dataset"]
    assert await other.send(GetState()) == before
    assert (await ioc.raw_get(f"{bus}:TABLE")).alarm.severity == 2
    await put(ioc, bus, columns)
    assert (await ioc.raw_get(f"{bus}:TABLE")).alarm.severity == 0


async def test_bits_are_captured_by_words(ioc: Ioc, other: AsyncioClient) -> None:
    bits = await read(ioc, "BITS")
    captures = bits["capture"]
    await put(ioc, "BITS", {"capture": [*captures[:32], *["Value"] * 32, *captures[64:]]})
    assert await other.send(GetLine("PCAP.BITS1.CAPTURE")) == "Value"
    assert (await read(ioc, "BITS"))["capture"] == [*captures[:32], *["Value"] * 32, *captures[64:]]
