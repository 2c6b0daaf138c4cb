"""The cable to the PandA is disconnected: no packet arrives, not even the end of the connection."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aioca import FORMAT_TIME, caget

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import Put

from .datapvs import DataPvs
from .process import becomes, running_ioc

NAME = f"pt{os.getpid()}"
NETWORK = f"10.213.{os.getpid() % 250}"
HERE, THERE = f"{NETWORK}.1", f"{NETWORK}.2"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=10)  # noqa: S607


@pytest.fixture
def cable() -> Iterator[str]:
    """A network of this host and another one; the value is the name of the local interface."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs to be root, and iproute2")
    try:
        ip("netns", "add", NAME)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.decode()}")
    try:
        ip("link", "add", NAME, "type", "veth", "peer", "name", "eth0", "netns", NAME)
        ip("addr", "add", f"{HERE}/24", "dev", NAME)
        ip("link", "set", NAME, "up")
        ip("-n", NAME, "addr", "add", f"{THERE}/24", "dev", "eth0")
        ip("-n", NAME, "link", "set", "eth0", "up")
        yield NAME
    finally:
        ip("netns", "del", NAME)


@asynccontextmanager
async def panda_there() -> AsyncIterator[None]:
    """A simulated PandA on the other host."""
    process = await asyncio.create_subprocess_exec(
        *("ip", "netns", "exec", NAME, sys.executable, "-m", "panda_ioc", "simulator", "--host", THERE),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout
        await asyncio.wait_for(process.stdout.readline(), 20)
        yield
    finally:
        process.kill()
        await process.wait()


async def test_the_cable_is_pulled_and_put_back(cable: str, ca_ports: Iterator[int], tmp_path: Path) -> None:
    async with panda_there():
        async with AsyncioClient(THERE) as client:
            await client.send(Put("COUNTER1.OUT.CAPTURE", "Value"))
        async with running_ioc(8888, "TEST-CABLE", ca_ports, host=THERE) as ioc:
            data = DataPvs(ioc, tmp_path)
            await data.put("HDF_DIRECTORY", str(tmp_path))
            await data.put("HDF_FILE_NAME", "x.h5")
            await data.put("CAPTURE_MODE", "FOREVER")
            await data.put("CAPTURE", 1)
            ip("link", "set", cable, "down")
            await becomes(ioc.pv("Status"), "DISCONNECTED", 10, datatype=str)
            assert (await caget(ioc.pv("PULSE1:PULSES"), format=FORMAT_TIME)).severity == 3
            await data.until("CAPTURE", 0)
            assert (await data.get("STATUS")).startswith("ERROR: ")
            with pytest.raises(Exception, match="no connection to the PandA"):
                await ioc.pva_put("PULSE1:PULSES", 6)
            ip("link", "set", cable, "up")
            await becomes(ioc.pv("Status"), "CONNECTED", 20, datatype=str)
            await ioc.pva_put("PULSE1:PULSES", 6)
            assert (await caget(ioc.pv("PULSE1:PULSES"), format=FORMAT_TIME)).severity == 0
            await data.until("CONNECTION", 1)
