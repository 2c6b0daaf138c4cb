"""The records of devIocStats: process statistics and restart."""

import socket
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import h5py
import pytest
from aioca import CANothing, caget, caput

from panda_ioc.simulator import Server

from ..acquire import capture_counter, samples_on_arm
from .datapvs import DataPvs
from .process import Ioc, becomes, running_ioc

#: Clients cache the addresses of names, so each IOC has a new prefix.
_NUMBERS = count(1)


@pytest.fixture
async def ioc(panda: Server, ca_ports: Iterator[int]) -> AsyncIterator[Ioc]:
    ports = ("--data-port", str(panda.data_port), "--log-level", "put")
    async with running_ioc(panda.control_port, f"TEST{{STATS:{next(_NUMBERS)}}}", ca_ports, *ports) as ioc:
        yield ioc


async def test_what_it_tells(ioc: Ioc) -> None:
    assert await caget(ioc.pv("PROCESS_ID")) == ioc.process.pid
    assert await caget(ioc.pv("HOSTNAME")) == socket.gethostname()[:39]
    assert str(await caget(ioc.pv("EPICS_VERS"))).startswith("EPICS 7")
    assert await caget(ioc.pv("RECORD_CNT")) > 500
    assert await caget(ioc.pv("FD_MAX")) > 0
    await becomes(ioc.pv("HEARTBEAT"), await caget(ioc.pv("HEARTBEAT")) + 1)


async def test_a_restart_closes_the_file(ioc: Ioc, panda: Server, tmp_path: Path) -> None:
    capture_counter(panda)
    samples_on_arm(panda, 100, reason="")
    data = DataPvs(ioc, tmp_path)
    for name, value in {"HDF_DIRECTORY": str(tmp_path), "HDF_FILE_NAME": "x.h5", "FLUSH_PERIOD": 1000.0}.items():
        await data.put(name, value)
    await data.put("CAPTURE", 1)
    await data.arm()
    await data.until("NUM_RECEIVED", 100)
    await caput(ioc.pv("SYSRESET.PROC"), 1)
    assert await ioc.ended() == 75
    assert any("stopping: restart requested by " in line and "@" in line for line in ioc.output)
    with h5py.File(data.path) as file:
        assert file.attrs["end_reason"] == b"Capture stopped"
    assert len(data.column()) == 100


async def test_a_restart_over_pva(ioc: Ioc) -> None:
    await ioc.pva_put("IOC:RESTART", 0)
    assert await ioc.pva_get("PULSE1:PULSES") == 0
    await ioc.pva_put("IOC:RESTART", 1)
    assert await ioc.ended() == 75
    assert any(f"put {ioc.pv('IOC:RESTART')} = 1 by " in line for line in ioc.output)


async def test_access_security_is_not_read_again(ioc: Ioc) -> None:
    """PV Access would still apply the old rules."""
    with pytest.raises(CANothing):
        await caput(ioc.pv("READACF.PROC"), 1, wait=True, timeout=5)
    await caput(ioc.pv("PULSE1:PULSES"), 3, wait=True, timeout=5)


async def test_puts_that_only_epics_knows_of_are_logged(ioc: Ioc) -> None:
    for name in ("ACCESS", "PULSE1:PULSES.HIGH", "PULSE1:ENABLE.DESC"):
        await caput(ioc.pv(name), 1, wait=True, timeout=5)
        line = await ioc.wait_for(f"put {ioc.pv(name)} by ")
        assert line.endswith("if EPICS accepted it")
        assert "@" in line
    with pytest.raises(CANothing):
        await caput(ioc.pv("PCAP:ACTIVE.DESC"), "x", wait=True, timeout=5)
    await caput(ioc.pv("PULSE1:PULSES"), 3, wait=True, timeout=5)
    await ioc.wait_for(f"put {ioc.pv('PULSE1:PULSES')} = 3")
    assert not any("PULSE1:PULSES by" in line for line in ioc.output)


async def test_nobody_restarts_what_is_read_only(panda: Server, ca_ports: Iterator[int]) -> None:
    async with running_ioc(panda.control_port, "TEST-STATS-RO", ca_ports, "--read-only") as ioc:
        with pytest.raises(Exception, match="Write access denied"):
            await caput(ioc.pv("SYSRESET.PROC"), 1, wait=True, timeout=5)
        assert await caget(ioc.pv("PULSE1:PULSES")) == 0
