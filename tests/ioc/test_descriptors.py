"""Clients that exhaust the file descriptors as fast as possible, also while other processes are busy."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from aioca import caput

from panda_ioc.ioc.process.http import MAX_CONNECTIONS
from panda_ioc.simulator import Server

from ..conftest import free_port, until
from .process import Ioc, becomes, running_ioc
from .test_http import get

LIMIT = 256

#: The reserve: for the PandA and files, for connections in the queue of EPICS, and for HTTP.
OWN = 24
RESERVE = OWN + 24 + MAX_CONNECTIONS

IDLE = 236


@asynccontextmanager
async def idle_clients(*ports: int) -> AsyncIterator[None]:
    """Idle clients that connect simultaneously, to each port from a separate thread, and stay."""
    clients: list[socket.socket] = []

    def connect(port: int) -> None:
        # PVA has a short queue, and a dropped attempt is repeated after 1 s. Once one fails, the others need not wait.
        patience = 2.0
        for _ in range(IDLE):
            client = socket.socket()
            client.settimeout(patience)
            if client.connect_ex(("127.0.0.1", port)):
                patience = 0.0
            clients.append(client)

    try:
        # In threads, as the simulated PandA must answer meanwhile.
        await asyncio.gather(*(asyncio.to_thread(connect, port) for port in ports))
        yield
    finally:
        for client in clients:
            client.close()


#: EPICS takes 15 s after a connection that it could not accept to accept the next.
SLOW = [pytest.param(flooded, marks=pytest.mark.long) for flooded in (("CA",), ("PVA", "CA", "HTTP"))]


@pytest.mark.parametrize("flooded", [("PVA",), ("HTTP",), *SLOW], ids="+".join)
async def test_more_clients_than_there_are_descriptors(
    panda: Server, ca_ports: Iterator[int], tmp_path: Path, flooded: tuple[str, ...]
) -> None:
    http = free_port()
    async with running_ioc(
        *(panda.control_port, f"TEST-FULL-{''.join(flooded)}", ca_ports, "--http-port", str(http)),
        *("--data-port", str(panda.data_port)),
        before=("prlimit", f"--nofile={LIMIT}:{LIMIT}"),
    ) as ioc:
        environment = ioc.environment
        ports = {
            "PVA": int(environment["EPICS_PVA_SERVER_PORT"]),
            "CA": int(environment["EPICS_CA_SERVER_PORT"]),
            "HTTP": http,
        }
        process = psutil.Process(ioc.process.pid)
        await caput(ioc.pv("PULSE1:PULSES"), 1, wait=True, timeout=10)
        assert await ioc.pva_get("PULSE1:PULSES") == 1
        async with idle_clients(*(ports[name] for name in flooded)):
            if flooded == ("HTTP",):  # it limits its clients itself
                await until(lambda: process.num_fds() >= MAX_CONNECTIONS)
            else:
                await ioc.wait_for("new connections are refused", timeout=60)
                _accepts_nobody([ports[name] for name in ("PVA", "CA")])
            assert process.num_fds() <= LIMIT - OWN
            await _is_well(ioc, panda, http, tmp_path)
            # A busy loop would log a hundred thousand lines per second.
            assert len(ioc.output) < 100
        if flooded != ("HTTP",):
            await ioc.wait_for("descriptors are free again", timeout=30)
        await until(lambda: process.num_fds() < LIMIT - RESERVE - 32)
        _accepts(ports.values())
        assert await ioc.stop() == 0


async def _is_well(ioc: Ioc, panda: Server, http: int, directory: Path) -> None:
    """Check that connected clients are served, and that probes, files and the PandA get descriptors."""
    assert await get(http, "/healthz") == (200, "alive\n")
    await caput(ioc.pv("PULSE1:PULSES"), 2, wait=True, timeout=10)
    await ioc.pva_put("DATA:HDF_DIRECTORY", str(directory))
    await ioc.pva_put("DATA:HDF_FILE_NAME", "x.h5")
    await ioc.pva_put("DATA:CAPTURE", 1)
    assert (directory / "x.h5").exists()
    await ioc.pva_put("DATA:CAPTURE", 0)
    panda.cut()
    await becomes(ioc.pv("IOC:RECONNECTS"), 1, 20)
    await caput(ioc.pv("PULSE1:PULSES"), 3, wait=True, timeout=10)
    assert panda.panda.fields["PULSE1.PULSES"].raw == 3


def _accepts_nobody(ports: list[int]) -> None:
    for port in ports:
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()


def _accepts(ports: Iterable[int]) -> None:
    for port in ports:
        socket.create_connection(("127.0.0.1", port), timeout=20).close()


async def test_the_soft_limit_is_raised_to_the_hard_one(panda: Server, ca_ports: Iterator[int]) -> None:
    """Except for the reserve, which is available while clients are blocked."""
    few = ("prlimit", "--nofile=200:1000")
    async with running_ioc(panda.control_port, "TEST-SOFT", ca_ports, before=few) as ioc:
        assert psutil.Process(ioc.process.pid).rlimit(psutil.RLIMIT_NOFILE) == (1000 - RESERVE, 1000)


async def test_too_few_descriptors_for_a_reserve(panda: Server, ca_ports: Iterator[int]) -> None:
    few = ("prlimit", "--nofile=150:150")
    async with running_ioc(panda.control_port, "TEST-FEW", ca_ports, before=few) as ioc:
        assert await ioc.wait_for("the limit of 150 file descriptors is too low")
        assert await ioc.pva_get("PULSE1:PULSES") == 0
