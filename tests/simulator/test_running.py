"""A simulation compared with real time."""

import asyncio
import logging
import math
import time

import pytest

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import EndData, FrameData, Get, Put, ReadyData
from panda_ioc.simulator import Server, load

#: A clock counts, and triggers PCAP.
SETUP = {
    "CLOCK1.ENABLE": "PCAP.ACTIVE",
    "COUNTER1.TRIG": "CLOCK1.OUT",
    "COUNTER1.ENABLE": "ONE",
    "PCAP.ENABLE": "PCAP.ACTIVE",
    "PCAP.TRIG": "CLOCK1.OUT",
    "PCAP.TRIG.DELAY": "1",
    "PCAP.TS_TRIG.CAPTURE": "Value",
    "COUNTER1.OUT.CAPTURE": "Value",
}


def server(speed: float) -> Server:
    return Server(load(), control_port=0, data_port=0, speed=speed)


async def captured(client: AsyncioClient, samples: int) -> list[int]:
    """Arm, receive a number of samples, disarm; return the counts."""
    counts: list[int] = []
    async for data in client.data(scaled=False):
        if isinstance(data, ReadyData):
            await client.send(Put("*PCAP.ARM", ""))
        elif isinstance(data, FrameData):
            counts += data.data["COUNTER1.OUT.Value"].tolist()
            if len(counts) >= samples:
                await client.send(Put("*PCAP.DISARM", ""))
        elif isinstance(data, EndData):
            break
    return counts


@pytest.mark.parametrize(("speed", "lowest", "highest"), [(1.0, 0.24, 5), (0.5, 0.48, 5), (math.inf, 0, 5)])
async def test_speeds(speed: float, lowest: float, highest: float) -> None:
    async with server(speed) as panda, AsyncioClient("127.0.0.1", panda.control_port, panda.data_port) as client:
        for name, value in {"CLOCK1.PERIOD": "0.001", **SETUP}.items():
            await client.send(Put(name, value))
        began = time.monotonic()
        async with asyncio.timeout(highest):
            counts = await captured(client, 250)
        assert time.monotonic() - began >= lowest
        assert counts == list(range(1, len(counts) + 1))


async def test_time_stands_still_at_speed_0() -> None:
    async with server(0) as panda, AsyncioClient("127.0.0.1", panda.control_port, panda.data_port) as client:
        for name, value in {"CLOCK1.PERIOD": "0.001", **SETUP}.items():
            await client.send(Put(name, value))
        await client.send(Put("*PCAP.ARM", ""))
        assert await client.send(Get("*PCAP.CAPTURED")) == b"0"
        panda.simulation.advance(125_000_000)
        assert await client.send(Get("*PCAP.CAPTURED")) == b"1000"


async def test_idle_is_free() -> None:
    async with server(1.0) as panda, AsyncioClient("127.0.0.1", panda.control_port, panda.data_port) as client:
        for name, value in SETUP.items():
            await client.send(Put(name, value))
        await client.send(Put("CLOCK1.PERIOD", "0.0001"))
        await client.send(Put("CLOCK1.ENABLE", "ONE"))
        busy = panda.runner.waiting
        await client.send(Put("CLOCK1.ENABLE", "ZERO"))
        assert await client.send(Get("CLOCK1.OUT")) == b"0"
        assert (busy, panda.runner.waiting) == (True, False)
        events = panda.simulation.engine.events
        assert await client.send(Get("CLOCK1.OUT")) == b"0"
        assert panda.simulation.engine.events == events


async def test_overload_is_logged_and_the_ports_stay_responsive(caplog: pytest.LogCaptureFixture) -> None:
    async with server(1.0) as panda, AsyncioClient("127.0.0.1", panda.control_port, panda.data_port) as client:
        await client.send(Put("CLOCK1.PERIOD", "1.6e-8"))
        await client.send(Put("CLOCK1.ENABLE", "ONE"))
        with caplog.at_level(logging.WARNING):
            async with asyncio.timeout(5):
                while not panda.runner.lost:
                    assert await client.send(Get("CLOCK1.ENABLE")) == b"ONE"
        assert "cannot keep up with real time" in caplog.text
        async with asyncio.timeout(1):
            await client.send(Put("CLOCK1.ENABLE", "ZERO"))


@pytest.mark.parametrize("speed", [-1.0, math.nan])
async def test_impossible_speeds(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        server(speed)
