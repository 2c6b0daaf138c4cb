"""Hostile puts to every kind of record over both protocols: clients and the log get messages of this project."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest
from aioca import DBR_CHAR, DBR_CHAR_STR, DBR_DOUBLE, DBR_ENUM, DBR_LONG, DBR_STRING, caget, caput
from p4p.client.asyncio import RemoteError

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.link.introspection import introspect
from panda_ioc.ioc.plan.data_settings import SERVICE as DATA
from panda_ioc.ioc.plan.plan import make_plan
from panda_ioc.ioc.plan.record import Access, Record, Table
from panda_ioc.simulator import DeviceSpec, Server
from panda_ioc.validation import validated

from ..words import PYTHON
from .process import Ioc, running_ioc

BYTES = [
    b"\xff\xfe",
    b"",
    b"x" * 39,
    b"Other",
    b"nan",
    b"1e999",
    b"0x",
    b"%s%n{0}",
    b"\x1b[31m",
    b"\xc3",
    b"a\nb",
    b"-",
]
NUMBERS = [float("nan"), float("inf"), float("-inf"), 1e300, -1.0, 0.5, 3e9, 65535.0]
OVER_CA: list[tuple[Any, Any]] = [
    *((np.array([text], "S40"), DBR_STRING) for text in BYTES),
    *((np.array([number]), DBR_DOUBLE) for number in NUMBERS),
    *((np.array([number], np.int32), DBR_LONG) for number in (-(2**31), 2**31 - 1)),
    *((np.array([number], np.uint16), DBR_ENUM) for number in (2, 16, 65535)),
    *((np.frombuffer(text, np.uint8), DBR_CHAR) for text in (b"\xff" * 10, b"\0", b"\xc3\0\xff", b"x" * 300)),
    (np.array([1.5, 2.5]), DBR_DOUBLE),
]
TEXTS = ["", "Other", "nan", "x" * 3000, "\x1b[31m\n", "\0", "%s%n{0}", "é" * 600]
OVER_PVA: list[Any] = [*TEXTS, *NUMBERS, -1, 2**31 - 1, 99, [], [1.5, float("nan")], ["x", ""], True]


def device() -> DeviceSpec:
    """A PandA with a field of every type."""
    labels = ["one", "two"]
    table = {
        "BIT": {"bits": "0:0"},
        "INT": {"bits": "15:1", "type": "int"},
        "KIND": {"bits": "19:16", "type": "enum", "labels": labels},
        "WIDE": {"bits": "63:32"},
    }
    types: dict[str, dict[str, Any]] = {
        **{
            f"{kind}_{subtype}": {"type": f"{kind} {subtype}"}
            for kind in ("param", "write")
            for subtype in ("uint", "int", "bit", "time", "lut")
        },
        "param_scalar": {"type": "param scalar", "scale": 0.5},
        "param_small": {"type": "param uint", "max": 9},
        "param_enum": {"type": "param enum", "labels": labels},
        "param_many": {
            "type": "param enum",
            "labels": [f"label {number} that is longer than others" for number in range(40)],
        },
        "write_action": {"type": "write action"},
        "time": {"type": "time"},
        "bit": {"type": "bit_out"},
        "pos": {"type": "pos_out"},
        "bit_mux": {"type": "bit_mux", "max_delay": 31},
        "pos_mux": {"type": "pos_mux"},
        "table": {"type": "table", "max_length": 64, "row_words": 2, "columns": table},
    }
    pcap = {
        "BITS0": {"type": "ext_out bits", "word": 0},
        "SAMPLES": {"type": "ext_out samples"},
        "TS": {"type": "ext_out timestamp"},
    }
    blocks = {
        "ALL": {"count": 1, "fields": {name.upper(): field for name, field in types.items()}},
        "PCAP": {"count": 1, "fields": pcap},
    }
    return validated({"name": "all", "blocks": blocks}, DeviceSpec)


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    async with Server(device(), control_port=0, data_port=0) as server:
        yield server


@pytest.fixture(scope="module")
async def ioc(server: Server, ca_ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ioc]:
    options = ("--data-port", str(server.data_port), "--designs-dir", str(tmp_path_factory.mktemp("designs")))
    async with running_ioc(server.control_port, "TEST-PYTHON", ca_ports, *options) as ioc:
        yield ioc


async def settable(server: Server) -> list[Record | Table]:
    """Settable records, one of each kind and service, without the restart."""
    async with AsyncioClient("127.0.0.1", server.control_port) as client:
        plan = make_plan(await introspect(client), "TEST-PYTHON", designs=True)
    items = [item for item in plan.items if item.access is not Access.READ and item.name != "IOC:RESTART"]
    kinds = {_kind(item): item for item in items}
    return list(kinds.values())


def _kind(item: Record | Table) -> tuple[object, ...]:
    if isinstance(item, Table) or item.service == DATA:
        return (item.name,)
    return item.kind, type(item.codec), item.service, item.dtype, bool(item.sources), bool(item.labels)


class Judge:
    """A collector of texts of Python in the messages to clients and in the log."""

    def __init__(self, ioc: Ioc) -> None:
        self.bad: list[str] = []
        self._ioc = ioc
        self._seen = len(ioc.output)

    async def look(self, put: str, *said: str) -> None:
        """Check the messages after a put."""
        lines = [line for line in self._ioc.output[self._seen :] if "recGblRecordError" not in line]
        self._seen = len(self._ioc.output)
        refused = str(await caget(self._ioc.pv("IOC:LAST_REFUSED"), datatype=DBR_CHAR_STR))
        self.bad += [f"{put}: {text}" for text in (*said, refused, *lines) if PYTHON.search(text)]


async def test_over_channel_access(ioc: Ioc, server: Server) -> None:
    judge = Judge(ioc)
    for item in await settable(server):
        if isinstance(item, Table):
            continue
        pv = ioc.pv(item.name)
        for value, datatype in OVER_CA:
            done = await caput(pv, value, datatype=datatype, wait=True, timeout=5, throw=False)
            said = "" if done.ok else str(done).removeprefix(pv)
            await judge.look(f"{item.name} = {value!r}", said, await caget(f"{pv}.AMSG"))
    assert judge.bad == []


async def test_over_pv_access(ioc: Ioc, server: Server) -> None:
    judge = Judge(ioc)
    for item in await settable(server):
        kind = (await ioc.raw_get(item.name)).type()
        for value in OVER_PVA:
            said = ""
            try:
                structure = _structure(item, kind, value)
            except Exception:  # noqa: BLE001, S112 - the client cannot make it: it never reaches the IOC
                continue
            try:
                await asyncio.wait_for(ioc.raw.put(ioc.pv(item.name), structure), 10)
            except RemoteError as error:
                said = str(error)
            await judge.look(f"{item.name} = {value!r}", said, (await ioc.raw_get(item.name)).alarm.message)
    assert judge.bad == []


def _structure(item: Record | Table, kind: Any, value: Any) -> Any:
    from p4p import Value

    if isinstance(item, Table):
        return Value(kind, {"value": {column.name: value for column in item.columns}})
    return Value(kind, {"value": {"index": value} if item.kind.is_choice else value})
