"""No alarm stands in a healthy IOC: an alarm server would latch it."""

import asyncio
import math
from collections.abc import AsyncIterator

import pytest
from aioca import FORMAT_TIME, caget, camonitor, caput

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.link.introspection import introspect
from panda_ioc.ioc.plan.plan import Plan, make_plan
from panda_ioc.simulator import Server

from ..acquire import capture_counter, samples_on_arm
from .process import Ioc, becomes

#: Records with a correct alarm: nothing is connected to these inputs of the simulated PandA.
REAL = {"SFP2_SYNC_IN:HEALTH", "SFP3_SYNC_IN:HEALTH"}


@pytest.fixture(scope="module")
async def plan(server: Server, ioc: Ioc) -> AsyncIterator[Plan]:
    async with AsyncioClient("127.0.0.1", server.control_port) as client:
        yield make_plan(await introspect(client), ioc.prefix)


async def standing_over_ca(ioc: Ioc, plan: Plan) -> list[str]:
    names = [record.name for record in plan.records if record.name not in REAL]
    values = await caget([ioc.pv(name) for name in names], format=FORMAT_TIME, timeout=20)
    return [f"{value.name}: {value.severity} {value.status}" for value in values if value.severity]


async def standing_over_pva(ioc: Ioc, plan: Plan) -> list[str]:
    names = [item.name for item in plan.items if item.name not in REAL]
    values = await asyncio.wait_for(ioc.raw.get([ioc.pv(name) for name in names]), 30)
    alarms = {name: value.get("alarm") for name, value in zip(names, values, strict=True)}
    return [f"{name}: {alarm.severity} {alarm.message}" for name, alarm in alarms.items() if alarm and alarm.severity]


async def test_after_the_start(ioc: Ioc, plan: Plan) -> None:
    assert await standing_over_ca(ioc, plan) == []
    assert await standing_over_pva(ioc, plan) == []


async def test_when_a_field_is_captured_no_more(ioc: Ioc, plan: Plan, server: Server) -> None:
    mean = ioc.pv("COUNTER1:OUT:LIVE:MEAN")
    capture_counter(server)
    samples_on_arm(server, 11)
    await caput(ioc.pv("PCAP:ARM"), 1, wait=True, timeout=5)
    await becomes(mean, 5)
    for name, choice in {"COUNTER1.OUT": "No", "COUNTER2.OUT": "Value"}.items():
        write = server.panda.fields[name].attributes["CAPTURE"].write
        assert write
        write(choice)
    await caput(ioc.pv("PCAP:ARM"), 1, wait=True, timeout=5)
    empty = asyncio.Event()
    monitor = camonitor(mean, lambda value: empty.set() if math.isnan(value) else None)
    await asyncio.wait_for(empty.wait(), 5)
    monitor.close()
    assert math.isnan(await ioc.pva_get("COUNTER1:OUT:LIVE:MEAN"))
    assert await standing_over_ca(ioc, plan) == []
    assert await standing_over_pva(ioc, plan) == []
