"""Replies of a real PandABox from the replay server: every PV that beamlines use has the known type and value."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aioca import DBR_DOUBLE, DBR_LONG, FORMAT_CTRL, caget, caput

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.link.introspection import introspect
from panda_ioc.ioc.plan.compat import known_names, missing_names
from panda_ioc.ioc.plan.plan import make_plan
from panda_ioc.protocol import GetChanges

from .process import Ioc, is_refused, running_ioc
from .writing_back import WriteBack, over_ca, over_pva, settings_of, write_back


@pytest.fixture(scope="module")
async def ioc(replay_port: int, ca_ports: Iterator[int]) -> AsyncIterator[Ioc]:
    async with running_ioc(replay_port, "TEST-BOX", ca_ports) as ioc:
        yield ioc


#: Columns that EPICS would wrap numbers for: their arrays are wider here, so that what does not fit is refused.
WIDER = {"POSITION": DBR_DOUBLE, **{f"OUT{letter}{phase}": DBR_LONG for letter in "ABCDEF" for phase in (1, 2)}}


def listed(path: Path) -> Iterator[tuple[str, int, list[str]]]:
    """Each record of the list: its name, the type of its value in CA, the choices of an enum."""
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        name, _, datatype, *metadata = line.split("\t")
        enums = [part.removeprefix("enum=").split("|") for part in metadata if part.startswith("enum=")]
        yield name, int(datatype), enums[0] if enums else []


async def test_every_listed_record_answers_over_ca(ioc: Ioc, shared: Path) -> None:
    names = list(listed(shared / "compat" / "pandablocks-ioc-pvs.tsv"))
    assert len(names) > 1600
    values = await caget([ioc.pv(name) for name, _, _ in names], format=FORMAT_CTRL, throw=False)
    wrong = []
    for (name, datatype, enums), value in zip(names, values, strict=True):
        if not value.ok:
            wrong.append(f"{name} does not answer")
        elif value.datatype != WIDER.get(name.partition(":TABLE:")[2], datatype):
            wrong.append(f"{name} is of type {value.datatype}, not {datatype}")
        elif enums and list(value.enums)[: len(enums)] != enums:
            wrong.append(f"{name} has choices {value.enums}, not {enums}")
        elif value.severity:
            wrong.append(f"{name} is in alarm {value.severity} {value.status}")
    assert not wrong


async def test_every_listed_record_answers_over_pva(ioc: Ioc, shared: Path) -> None:
    names = [name for name, _, _ in listed(shared / "compat" / "pandablocks-ioc-pvs.tsv")]
    values = await asyncio.wait_for(ioc.pva.get([ioc.pv(name) for name in names]), 30)
    assert len(values) == len(names)
    by_name = dict(zip(names, values, strict=True))
    assert by_name["SYSTEM:TEMP_ZYNQ"] == 47.616
    assert by_name["SYSTEM:TEMP_ZYNQ"].raw.display.units == "deg"
    assert by_name["TTLOUT1:VAL"] == "ZERO"
    assert by_name["CALC1:TYPEA"].raw.value.choices == ["Value", "-Value"]
    assert by_name["SEQ1:LABEL"] == "Sequencer"


#: An entry of a PVI structure as its recording shows it: the letter, the PV, the name of the entry.
ENTRY = re.compile(r'string (\w+) = "PREFIX:([^"]+)"\s*\} (\w+)$', re.MULTILINE)


@pytest.mark.parametrize("name", ["PVI", "SEQ1:PVI", "PCAP:PVI", "DATA:PVI"])
async def test_pvi_has_all_that_was_recorded(ioc: Ioc, shared: Path, name: str) -> None:
    recorded = (shared / "compat" / "pvi" / f"{name.replace(':', '_')}.txt").read_text()
    served = (await ioc.raw_get(name)).pvi.todict()
    wanted = {(entry, letter, pv) for letter, pv, entry in ENTRY.findall(recorded)}
    assert len(wanted) > 10
    missing = {(entry, letter, pv) for entry, letter, pv in wanted if served.get(entry, {}).get(letter) != ioc.pv(pv)}
    assert not missing


async def test_numbered_blocks_are_lists(ioc: Ioc) -> None:
    value = (await ioc.raw_get("PVI")).value.todict()
    assert value["seq"] == [None, {"d": ioc.pv("SEQ1:PVI")}, {"d": ioc.pv("SEQ2:PVI")}]
    assert len(value["ttlout"]) == 11
    assert value["pcap"] == {"d": ioc.pv("PCAP:PVI")}
    assert value["sfp2_sync_in"] == {"d": ioc.pv("SFP2_SYNC_IN:PVI")}


async def test_a_table_is_as_it_was_recorded(ioc: Ioc, shared: Path) -> None:
    recorded = (shared / "compat" / "pvi" / "SEQ1_TABLE.txt").read_text()
    columns = re.findall(r"^ {8}(\w+)\[\] (\w+) =", recorded, re.MULTILINE)
    served = await ioc.raw_get("SEQ1:TABLE")
    assert served.getID() == "epics:nt/NTTable:1.0"
    codes = {"uint16_t": "aH", "string": "as", "int32_t": "ai", "uint32_t": "aI", "uint8_t": "aB"}
    assert served.type("value").aspy()[2] == [(name, codes[kind]) for kind, name in columns]
    assert served.labels == [name.upper() for _, name in columns]


async def test_aliases_are_the_same_records(ioc: Ioc, shared: Path) -> None:
    aliases = {}
    for line in (shared / "compat" / "pandablocks-ioc-pvs.tsv").read_text().splitlines():
        listed_name, _, of = line.partition("alias of ")
        name = listed_name.partition("\t")[0]
        if of:
            aliases[name] = ioc.pv(of)
    names = await caget([ioc.pv(f"{alias}.NAME") for alias in aliases], timeout=10)
    assert dict(zip(aliases, map(str, names), strict=True)) == aliases


async def test_a_put_and_a_restored_value(ioc: Ioc) -> None:
    await caput(ioc.pv("PULSE1:PULSES"), 42, wait=True, timeout=5)
    assert await caget(ioc.pv("PULSE1:PULSES")) == 42
    await is_refused(ioc.pv("TTLOUT1:VAL"), "PULSE9.OUT")
    assert await caget(ioc.pv("TTLOUT1:VAL")) == "ZERO"


def number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


async def told(port: int) -> dict[str, float | str]:
    """Compare all values of the PandA; the format of numbers does not matter."""
    async with AsyncioClient("127.0.0.1", port) as client:
        changes = await client.send(GetChanges())
    return {key: number_or_text(value) for key, value in changes.values.items()}


@pytest.mark.parametrize("way", [over_ca, over_pva])
async def test_every_setting_is_read_and_written_back(ioc: Ioc, replay_port: int, way: WriteBack) -> None:
    settings = await settings_of(replay_port)
    assert len(settings) > 900
    before = await told(replay_port)
    await write_back(ioc, settings, way)
    assert await told(replay_port) == before


async def test_the_names_that_are_checked_are_those_of_the_list(replay_port: int, shared: Path) -> None:
    async with AsyncioClient("127.0.0.1", replay_port) as client:
        model = await introspect(client)
    assert known_names(model) == {name for name, _, _ in listed(shared / "compat" / "pandablocks-ioc-pvs.tsv")}
    assert missing_names(model, make_plan(model, "X")) == []
