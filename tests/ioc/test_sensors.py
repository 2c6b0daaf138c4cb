"""Fields that the PandA cannot read: only its first complete reply reports them, so the IOC queries each field."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from aioca import FORMAT_TIME, caget
from msgspec.structs import replace

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.link.poll import Poller
from panda_ioc.ioc.link.timetable import PERIODS, Timetable
from panda_ioc.protocol import ChangeGroup, Changes
from panda_ioc.simulator import DeviceSpec, Server, load

from .process import Ioc, becomes, running_ioc

NO_ALARM, INVALID = 0, 3


@pytest.fixture(scope="module")
def device() -> DeviceSpec:
    """A PandA with few blocks, so that each field is queried soon."""
    whole = load()
    blocks = {name: block for name, block in whole.blocks.items() if name in {"SYSTEM", "PCAP", "PULSE", "DIV"}}
    return replace(whole, blocks=blocks)


@pytest.fixture(scope="module")
async def ioc(server: Server, ca_ports: Iterator[int]) -> AsyncIterator[Ioc]:
    """An IOC with a short poll period, so that all sensors are queried soon."""
    async with running_ioc(server.control_port, "TEST-SENSORS", ca_ports, "--poll", "READ=0.01") as ioc:
        yield ioc


async def test_a_sensor_that_fails_later_and_comes_back(ioc: Ioc, server: Server) -> None:
    for name in ("SYSTEM.TEMP_PSU", "PCAP.HEALTH"):
        pv = ioc.pv(name.replace(".", ":"))
        value = await caget(pv)
        seen = await ioc.monitor(name.replace(".", ":"))
        server.panda.set_error(name, in_error=True)
        await becomes(f"{pv}.SEVR", INVALID, timeout=10)
        assert await caget(pv) == value
        server.panda.set_error(name, in_error=False)
        await becomes(f"{pv}.SEVR", NO_ALARM, timeout=10)
        back = await caget(pv, format=FORMAT_TIME)
        assert (back, back.severity) == (value, NO_ALARM)
        severities = [seen.get_nowait().alarm.severity for _ in range(seen.qsize())]
        assert severities == [INVALID, NO_ALARM]  # and not once per query


async def test_a_sensor_with_a_new_value_when_it_comes_back(ioc: Ioc, server: Server) -> None:
    pv = ioc.pv("SYSTEM:TEMP_PSU")
    server.panda.set_error("SYSTEM.TEMP_PSU", in_error=True)
    await becomes(f"{pv}.SEVR", INVALID, timeout=10)
    server.panda.set_raw("SYSTEM.TEMP_PSU", server.panda.fields["SYSTEM.TEMP_PSU"].raw + 1)
    assert await caget(f"{pv}.SEVR") == INVALID
    server.panda.set_error("SYSTEM.TEMP_PSU", in_error=False)
    await becomes(f"{pv}.SEVR", NO_ALARM, timeout=10)


async def test_each_field_has_its_turn_and_few_at_once(server: Server) -> None:
    fields = [name for name, field in server.panda.fields.items() if field.group is ChangeGroup.READ]
    asked: list[str] = []
    done = asyncio.Event()

    def told(changes: Changes) -> None:
        new = [name for name in changes.values if name in fields]
        assert len(new) <= 2 or not asked  # the first poll gets all values
        asked.extend(new)
        if set(asked[len(fields) :]) >= set(fields) - first:
            done.set()

    periods = {**PERIODS, ChangeGroup.READ: 0.04}
    first = {*Timetable(periods, fields).due(0).fields}  # their reply came with the first report, and has not changed

    async with AsyncioClient("127.0.0.1", server.control_port) as client:
        poller = Poller(client, told, periods, fields)
        running = asyncio.create_task(poller.run())
        await asyncio.wait_for(done.wait(), 20)
        running.cancel()
