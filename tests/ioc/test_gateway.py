"""The PVA gateway of p4p in front of an IOC: all that passes through it, as docs/how-to/gateways.md says."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from p4p.client.asyncio import Context, Disconnected, RemoteError

from panda_ioc.simulator import Server

from ..acquire import capture_counter, samples_on_arm
from ..conftest import free_port
from .process import Ioc, running_ioc
from .test_tables import ROWS, same, sequence

pytestmark = pytest.mark.long

INVALID = 3

#: Time limit in s. On a loaded machine the first use of a name through the gateway may take longer than 10 s.
LIMIT = 60


class Client:
    """A client that knows only the gateway."""

    def __init__(self, ioc: Ioc, port: int) -> None:
        conf = {
            "EPICS_PVA_NAME_SERVERS": f"127.0.0.1:{port}",
            "EPICS_PVA_ADDR_LIST": "127.0.0.2",  # where nothing listens
            "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        }
        self.context = Context("pva", conf=conf, useenv=False, nt=False)
        self.pv = ioc.pv
        self._subscriptions: list[Any] = []  # p4p ends those that nothing refers to

    async def get(self, name: str) -> Any:
        return await asyncio.wait_for(self.context.get(self.pv(name)), LIMIT)

    async def put(self, name: str, value: Any) -> None:
        await asyncio.wait_for(self.context.put(self.pv(name), {"value": value}, wait=True), LIMIT)

    async def monitor(self, name: str) -> asyncio.Queue[Any]:
        seen: asyncio.Queue[Any] = asyncio.Queue()
        self._subscriptions.append(self.context.monitor(self.pv(name), seen.put, notify_disconnect=True))
        await until(seen, lambda update: not isinstance(update, Disconnected))
        return seen


async def until(seen: asyncio.Queue[Any], wanted: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(LIMIT):
        while not wanted(update := await seen.get()):
            pass
        return update


async def until_served(port: int) -> None:
    """Wait until a port accepts connections; a client that comes before this repeats its attempt only seconds later."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.1)


@asynccontextmanager
async def gateway(ioc: Ioc, folder: Path) -> AsyncIterator[tuple[int, int]]:
    """Run a gateway; return its process and the port for clients."""
    port = free_port()
    ports = {"serverport": int(ioc.environment["EPICS_PVA_SERVER_PORT"])}
    ports["bcastport"] = int(ioc.environment["EPICS_PVA_BROADCAST_PORT"])
    inside = {"name": "iocs", "provider": "pva", "addrlist": "127.0.0.1", "autoaddrlist": False, **ports}
    outside = {"name": "outside", "clients": ["iocs"], "interface": ["127.0.0.1"], "autoaddrlist": False}
    outside |= {"serverport": port, "bcastport": free_port()}
    file = folder / "pvagw.conf"
    file.write_text(json.dumps({"version": 2, "readOnly": False, "clients": [inside], "servers": [outside]}))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "p4p.gw", str(file)), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await until_served(port)
        yield process.pid, port
    finally:
        process.kill()
        await process.wait()


async def test_a_gateway_passes_all(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    capture_counter(panda)
    samples_on_arm(panda, 10, reason="")
    options = ("--data-port", str(panda.data_port))
    async with (
        running_ioc(panda.control_port, "TEST-GATEWAY", ca_ports, *options) as ioc,
        gateway(ioc, tmp_path) as (process, port),
    ):
        clients = [Client(ioc, port) for _ in range(5)]
        try:
            await clients[0].get("PULSE1:WIDTH")
            await _puts_and_tables(clients[0], panda)
            monitors = [await client.monitor("PULSE1:PULSES") for client in clients]
            panda.panda.fields["PULSE1.PULSES"].write("9")
            for seen in monitors:
                await until(seen, lambda update: update.value == 9)
            to_ioc = int(ioc.environment["EPICS_PVA_SERVER_PORT"])
            connections = psutil.Process(process).net_connections("tcp")
            assert sum(bool(each.raddr) and each.raddr.port == to_ioc for each in connections) == 1
            await _acquisition(clients[0], panda)
            await panda.close()
            lost = await until(monitors[1], lambda update: update.alarm.severity == INVALID)
            assert "closed the connection" in lost.alarm.message
            with pytest.raises(RemoteError, match="no connection to the PandA"):
                await clients[0].put("PULSE1:PULSES", 5)
            await ioc.stop()
            for seen in monitors:
                await until(seen, lambda update: isinstance(update, Disconnected))
        finally:
            for client in clients:
                client.context.close()


async def _puts_and_tables(client: Client, panda: Server) -> None:
    await client.put("PULSE1:WIDTH", 0.25)
    assert panda.panda.fields["PULSE1.WIDTH"].read() == "0.25"
    with pytest.raises(RemoteError, match="'NONSENSE' is not one of the"):
        await client.put("PULSE1:ENABLE", "NONSENSE")
    for rows in (100, ROWS, 0):
        await client.put("SEQ1:TABLE", sequence(rows))
        assert same((await client.get("SEQ1:TABLE")).value.todict(), sequence(rows))
    assert (await client.get("PVI")).value.todict()["seq"][1:] == [{"d": client.pv(f"SEQ{n}:PVI")} for n in (1, 2)]


async def _acquisition(client: Client, panda: Server) -> None:
    samples = await client.monitor("DATA:LIVE:NUM_SAMPLES")
    await client.put("PCAP:ARM", 1)
    await until(samples, lambda update: update.value == 10)
    await client.put("PCAP:ARM", 0)
    assert panda.capture.completion == "Disarmed"
