"""A data port that fails while the control port works."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import Put
from panda_ioc.simulator import Server

from ..acquire import capture_counter, samples_on_arm
from ..conftest import free_port, until
from ..relay import Relay
from .datapvs import DataPvs
from .process import Ioc, running_ioc


@pytest.fixture(scope="module")
async def relay(server: Server) -> AsyncIterator[Relay]:
    """A relay in front of the data port of the PandA."""
    async with Relay(server.data_port, at=free_port()) as relay:
        yield relay


@pytest.fixture(scope="module")
async def ioc(server: Server, relay: Relay, ca_ports: Iterator[int]) -> AsyncIterator[Ioc]:
    """An IOC with long poll periods, so that it notices settings only in the ways that are tested here."""
    options = ("--data-port", str(relay.port), "--poll", "ATTR=60", "--poll", "CONFIG=60")
    async with running_ioc(server.control_port, "TEST-DATA-PORT", ca_ports, *options) as ioc:
        yield ioc


@pytest.fixture
async def data(ioc: Ioc, server: Server, tmp_path: Path) -> AsyncIterator[DataPvs]:
    """The DATA PVs, with settings to capture ten samples of a counter and the time to a new directory."""
    capture_counter(server)
    samples_on_arm(server, 10)
    data = DataPvs(ioc, tmp_path)
    settings = {"HDF_DIRECTORY": str(tmp_path), "HDF_FILE_NAME": "x.h5", "FLUSH_PERIOD": 0.1, "OVERWRITE": 0}
    for name, value in settings.items():
        await data.put(name, value)
    yield data
    await data.put("CAPTURE", 0)


async def test_the_data_port_is_lost(data: DataPvs, server: Server) -> None:
    samples_on_arm(server, 1000, reason="")
    await data.put("CAPTURE", 1)
    await data.arm()
    await data.until("NUM_CAPTURED", 1000)
    server.faults.cut = 10
    server.capture.append(np.zeros((1000, 3), np.uint32))
    await data.until("CAPTURE", 0)
    server.faults.cut = None
    assert (await data.get("STATUS")).startswith("ERROR: ")
    server.capture.end("Ok")
    await data.until("CONNECTION", 1)
    samples_on_arm(server, 10)
    await data.put("OVERWRITE", 1)
    await data.put("CAPTURE", 1)
    await data.arm()
    await data.until("NUM_CAPTURED", 10)


async def test_an_acquisition_that_runs_on_after_a_loss_can_be_stopped(data: DataPvs, server: Server) -> None:
    samples_on_arm(server, 10, reason="")
    acquiring = asyncio.create_task(data.put("ACQUIRE", 1))
    await data.until("ACQUIRE", 1)
    server.faults.cut = 10
    server.capture.append(np.zeros((10, 3), np.uint32))
    with pytest.raises(Exception, match="the data connection was lost"):
        await acquiring
    server.faults.cut = None
    assert server.capture.completion == "Busy"
    await data.put("ACQUIRE", 0)
    assert server.capture.completion == "Disarmed"
    await data.until("CONNECTION", 1)
    await data.arm()
    await data.put("ACQUIRE", 0)
    assert server.capture.completion == "Busy"  # another record armed it
    await data.ioc.pva_put("PCAP:ARM", 0)


@pytest.mark.parametrize("how", ["refuses", "hangs up"])
async def test_a_data_port_that_is_closed_costs_nothing(
    data: DataPvs, ioc: Ioc, server: Server, relay: Relay, how: str
) -> None:
    await data.until("CONNECTION", 1)
    await data.put("CAPTURE", 1)
    if how == "refuses":
        await relay.close()
    else:
        relay.server_port = free_port()
        await relay.cut()
    await data.until("CAPTURE", 0)
    assert "the data port" in await data.get("STATUS")
    process = psutil.Process(ioc.process.pid)
    seconds = await ioc.monitor("IOC:UPTIME")
    times, memory, connections = process.cpu_times(), process.memory_info().rss, relay.connections
    for _ in range(3):
        await asyncio.wait_for(seconds.get(), 10)
    now = process.cpu_times()
    # It takes some hundredths; an IOC that spins takes all of it.
    assert now.user + now.system - times.user - times.system < 1
    assert process.memory_info().rss < memory + 16e6
    assert relay.connections < connections + 20
    relay.server_port = server.data_port
    if how == "refuses":
        await relay.listen()
    await data.until("CONNECTION", 1)
    await data.put("OVERWRITE", 1)
    await data.put("CAPTURE", 1)
    await data.arm()
    await data.until("NUM_CAPTURED", 10)


def _has(relay: Relay, connections: int) -> bool:
    return relay.connections >= connections


@pytest.mark.long
async def test_repeated_losses_do_not_delay_the_return(data: DataPvs, ioc: Ioc, relay: Relay) -> None:
    """The pause before the next attempt grows only while the port is not usable."""
    for _ in range(5):
        await data.until("CONNECTION", 1)
        seconds = await ioc.monitor("IOC:UPTIME")
        for _ in range(2):
            await asyncio.wait_for(seconds.get(), 10)
        again = relay.connections + 1
        await relay.cut()
        await until(partial(_has, relay, again), 3)  # it is half a second; the fifth pause was at least four


async def test_a_capture_waits_until_no_sample_can_be_lost(data: DataPvs, server: Server, relay: Relay) -> None:
    server.faults.stall.clear()  # it accepts connections and is silent
    await relay.cut()
    await data.until("CONNECTION", 0)
    with pytest.raises(Exception, match="no connection to the data port"):
        await data.put("CAPTURE", 1)
    assert await data.get("CAPTURE") == 0
    starting = asyncio.create_task(data.put("CAPTURE", 1))
    server.faults.stall.set()
    await starting
    assert (await data.get("CONNECTION"), await data.get("CAPTURE")) == (1, 1)
    await data.arm()
    await data.until("NUM_CAPTURED", 10)
    assert data.column() == [*map(float, range(10))]


async def test_what_is_captured_is_known_when_a_capture_begins(data: DataPvs, other: AsyncioClient) -> None:
    """Also if another client selected it just before."""
    for captured in ("Min Max", "Value"):
        await other.send(Put("COUNTER2.OUT.CAPTURE", captured))
        await data.put("CAPTURE", 1)
        names = (await data.ioc.raw_get("DATA:DATASETS")).value.name
        assert [name for name in names if "COUNTER2" in name] == [f"COUNTER2.OUT.{part}" for part in captured.split()]
        await data.put("CAPTURE", 0)
        data.path.unlink()
    await other.send(Put("COUNTER2.OUT.CAPTURE", "No"))
