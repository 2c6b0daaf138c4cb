"""Settings that ophyd-async stored with pandablocks-ioc 0.11.6 load here, and the other way round.

The other IOC is installed from PyPI into a separate environment, `.venv-peer`, and only run.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from bluesky.utils import MsgGenerator
from ophyd_async.core import YamlSettingsProvider
from ophyd_async.fastcs.panda import apply_panda_settings
from ophyd_async.plan_stubs import retrieve_settings, store_settings

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import GetState, Put, SetState
from panda_ioc.simulator import Server, load

from .process import Ioc, environment, running_ioc
from .test_ophyd import Scans, signal_at, wait_until

pytestmark = pytest.mark.peer

PEER = "pandablocks-ioc==0.11.6"
ENVIRONMENT = Path(__file__).resolve().parents[2] / ".venv-peer"

CHOSEN = ["PULSE1.DELAY.UNITS=us", "PULSE1.DELAY=8", "TTLOUT1.VAL=PULSE1.OUT", "COUNTER1.OUT.CAPTURE=Value"]
CHANGED = ["PULSE1.DELAY.UNITS=s", "PULSE1.DELAY=1", "TTLOUT1.VAL=ZERO", "COUNTER1.OUT.CAPTURE=No"]


@pytest.fixture(scope="module")
def command() -> Path:
    """The other IOC, installed once."""
    installed = ENVIRONMENT / PEER
    if not installed.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True, timeout=120)
        subprocess.run([ENVIRONMENT / "bin" / "pip", "install", "--quiet", PEER], check=True, timeout=300)
        installed.touch()
    return ENVIRONMENT / "bin" / "pandablocks-ioc"


@pytest.fixture
async def host() -> AsyncIterator[str]:
    """A PandA on the default ports, which the other IOC cannot change, and therefore on a separate address."""
    host = f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
    async with Server(load(), host=host):
        yield host


@asynccontextmanager
async def peer(command: Path, host: str, prefix: str, ca_ports: Iterator[int], folder: Path) -> AsyncIterator[Ioc]:
    """The other IOC; it stops when its standard input closes."""
    variables = environment(next(ca_ports))
    screens = tempfile.mkdtemp(dir=folder)  # it refuses a directory that is not empty
    process = await asyncio.create_subprocess_exec(
        *(command, "softioc", host, prefix, "--screens-dir", screens),
        env={**os.environ, **variables},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    ioc = Ioc(process, prefix, variables)
    try:
        await ioc.wait_for("InteractiveConsole", 60)
        yield ioc
    finally:
        if process.returncode is None:
            process.kill()
        await ioc.ended()


@asynccontextmanager
async def scanning(ioc: Ioc, folder: Path) -> AsyncIterator[Scans]:
    scans = Scans(ioc, folder)
    await scans.open()
    try:
        yield scans
    finally:
        await scans.close()
        await asyncio.to_thread(scans.engine._th.join, 10)
        scans.engine.loop.close()


async def listed(ioc: Ioc) -> dict[str, dict[str, str]]:
    """Return the entries of PVI by block and name: access and PV."""
    entries: dict[str, dict[str, str]] = {}
    for name, link in (await ioc.raw_get("PVI")).pvi.todict().items():
        if "d" in link:
            tree = await ioc.raw_get(link["d"].removeprefix(f"{ioc.prefix}:"))
            entries |= {f"{name}.{entry}": letter for entry, letter in tree.pvi.todict().items()}
    return entries


def load_settings(provider: YamlSettingsProvider, name: str, scans: Scans) -> MsgGenerator[None]:
    settings = yield from retrieve_settings(provider, name, scans.panda)
    yield from apply_panda_settings(settings)


async def state(client: AsyncioClient, lines: list[str], words: list[str]) -> Any:
    """Set up the PandA; return all its settings."""
    await client.send(SetState(lines))
    await client.send(Put("SEQ1.TABLE", words))
    return await client.send(GetState())


async def test_settings_load_both_ways(command: Path, host: str, ca_ports: Iterator[int], tmp_path: Path) -> None:
    provider = YamlSettingsProvider(tmp_path)
    async with AsyncioClient(host) as client:
        # Its settable records do not show changes by other clients, so all settings are made before it starts.
        stored_there = await state(client, CHOSEN, ["1", "2", "3", "4"])
        async with peer(command, host, "TEST-PEER", ca_ports, tmp_path) as ioc, scanning(ioc, tmp_path) as scans:
            await scans.plan(store_settings(provider, "there", scans.panda))
            listed_there = await listed(ioc)
        await state(client, CHANGED, ["9"] * 8)
        async with running_ioc(8888, "TEST-PEER", ca_ports, "--pvi-compatible", host=host) as ioc:
            assert await listed(ioc) == listed_there
            async with scanning(ioc, tmp_path) as scans:
                await scans.plan(load_settings(provider, "there", scans))
                assert await client.send(GetState()) == stored_there
                stored_here = await state(client, ["PULSE1.DELAY=5"], ["1", "2", "3", "4"])
                await scans.plan(wait_until(signal_at(scans.panda, "pulse.1.delay"), 5))
                await scans.plan(store_settings(provider, "here", scans.panda))
        await state(client, CHANGED, ["9"] * 8)
        async with peer(command, host, "TEST-PEER", ca_ports, tmp_path) as ioc, scanning(ioc, tmp_path) as scans:
            await scans.plan(load_settings(provider, "here", scans))
            assert await client.send(GetState()) == stored_here
