"""Clients until no file descriptor is left."""

import asyncio
import socket
from collections.abc import Iterator

import psutil
import pytest
from aioca import caput

from panda_ioc.simulator import Server

from ..conftest import free_port, until
from .process import Ioc, running_ioc
from .test_http import get

LIMIT = 256


@pytest.mark.slow
async def test_more_clients_than_there_are_descriptors(panda: Server, ca_ports: Iterator[int]) -> None:
    http = free_port()
    async with running_ioc(
        *(panda.control_port, "TEST-DESCRIPTORS", ca_ports, "--http-port", str(http)),
        *("--data-port", str(panda.data_port)),
        before=("prlimit", f"--nofile={LIMIT}:{LIMIT}"),
    ) as ioc:
        process = psutil.Process(ioc.process.pid)
        await caput(ioc.pv("PULSE1:PULSES"), 1, wait=True, timeout=10)
        idle = [connecting(int(ioc.environment["EPICS_PVA_SERVER_PORT"])) for _ in range(LIMIT - 20)]
        try:
            await ioc.wait_for("no more clients are let in", timeout=60)
            before = process.cpu_times()
            await asyncio.sleep(1)
            now = process.cpu_times()
            # Some hundredths are right; one that cannot accept and tries again takes nearly two.
            assert now.user + now.system - before.user - before.system < 0.5
            await caput(ioc.pv("PULSE1:PULSES"), 2, wait=True, timeout=10)
            assert await get(http, "/healthz") == (200, "alive\n")
            assert len(ioc.output) < 100
        finally:
            for client in idle:
                client.close()
        await serves_again(ioc, process)
        assert await ioc.stop() == 0


def connecting(port: int) -> socket.socket:
    """A client that comes, says nothing, and stays."""
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", port))
    return client


async def serves_again(ioc: Ioc, process: psutil.Process) -> None:
    await ioc.wait_for("there are file descriptors again", timeout=30)
    await until(lambda: process.num_fds() < LIMIT - 64)
    assert await ioc.pva_get("PULSE1:PULSES") == 2


async def test_the_soft_limit_is_raised_to_the_hard_one(panda: Server, ca_ports: Iterator[int]) -> None:
    few = ("prlimit", "--nofile=200:1000")
    async with running_ioc(panda.control_port, "TEST-SOFT", ca_ports, before=few) as ioc:
        assert psutil.Process(ioc.process.pid).rlimit(psutil.RLIMIT_NOFILE) == (1000, 1000)
