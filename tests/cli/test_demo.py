"""`panda-ioc demo`: a simulated PandA and its IOC, which always end together."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from aioca import caget, caput

from ..command import panda_ioc, running, said_by
from ..conftest import until
from ..ioc.process import environment


@pytest.fixture
async def demo(ca_ports: Iterator[int]) -> AsyncIterator[asyncio.subprocess.Process]:
    streams: Any = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
    # Only ports: the demo itself selects loopback.
    variables = {name: value for name, value in environment(next(ca_ports)).items() if name.endswith("PORT")}
    async with running("demo", "--prefix", "TEST-DEMO", environment=variables, **streams) as process:
        yield process


async def says(demo: asyncio.subprocess.Process, text: str) -> list[str]:
    """Wait for a line of output; return the lines up to it."""
    assert demo.stdout
    said: list[str] = []
    async with asyncio.timeout(20):
        while not said or text not in said[-1]:
            said.append((await demo.stdout.readline()).decode())
            assert said[-1], said
    return said


async def test_demo(demo: asyncio.subprocess.Process) -> None:
    said = await says(demo, "serving")
    port = next(line for line in said if "console" in line).split()[-1]
    assert listening(demo.pid) == {"127.0.0.1"}
    await caput("TEST-DEMO:PULSE1:WIDTH", 0.1, wait=True, timeout=5)
    assert await caget("TEST-DEMO:PULSE1:WIDTH", timeout=5) == 0.1
    assert "OK =0.1" in await panda_ioc("console", "127.0.0.1", "--control-port", port, stdin="PULSE1.WIDTH?\n")
    demo.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(demo.wait(), 10) == 0
    refused = await panda_ioc("console", "127.0.0.1", "--control-port", port, code=1)  # its PandA ended with it
    assert "Connection refused" in refused


def listening(pid: int) -> set[str]:
    """Return the addresses on which a process and its children accept connections."""
    itself = psutil.Process(pid)
    family = [itself, *itself.children(recursive=True)]
    found = [one for process in family for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN]
    return {one.laddr.ip for one in found}


async def shows(command: str, text: str, variables: dict[str, str]) -> None:
    """Run a command that does not end until its output has a text."""
    process = await asyncio.create_subprocess_shell(
        f"exec {command}", env={**os.environ, **variables}, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        async with asyncio.timeout(40):
            while text not in (line := (await process.stdout.readline()).decode()):
                assert line
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.long
async def test_each_hint_works(demo: asyncio.subprocess.Process, ca_ports: Iterator[int], tmp_path: Path) -> None:
    hints = [line.strip() for line in await says(demo, "Stop with") if line.startswith("  ")]
    await says(demo, "serving")
    assert len(hints) == 11
    environ = psutil.Process(demo.pid).environ()
    tools = Path(__file__).resolve().parents[1] / "ioc" / "epicstools"
    variables = {name: value for name, value in environ.items() if name.startswith("EPICS") and "PORT" in name}
    variables["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(tools)])
    for hint in hints:
        command = hint.replace("/tmp", str(tmp_path))  # noqa: S108
        if " monitor " in hint:
            await shows(command, "OK: " if hint.endswith("DATA:STATUS") else "INENC1:VAL ", variables)
        else:
            await said_by("sh", "-c", command, environment=variables, folder=tmp_path)
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["as soon as it has a child", "Stop with Ctrl-C", "serving"])
async def test_nothing_is_left_of_it(demo: asyncio.subprocess.Process, number: signal.Signals, moment: str) -> None:
    itself = psutil.Process(demo.pid)
    await until(lambda: bool(itself.children()))
    started = itself.children(recursive=True)
    if not moment.startswith("as soon"):
        await says(demo, moment)
    demo.send_signal(number)
    assert await asyncio.wait_for(demo.wait(), 10) in {0, -number}
    _, left = await asyncio.to_thread(psutil.wait_procs, started, 10)
    assert left == []
