"""`panda-ioc demo`: a PandA in software and its IOC, which end together however they end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psutil
import pytest
from aioca import caget, caput

from ..command import panda_ioc, running
from ..conftest import until
from ..ioc.process import environment


@pytest.fixture
async def demo(ca_ports: Iterator[int]) -> AsyncIterator[asyncio.subprocess.Process]:
    streams: Any = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
    variables = environment(next(ca_ports))
    async with running("demo", "--prefix", "TEST-DEMO", environment=variables, **streams) as process:
        yield process


async def says(demo: asyncio.subprocess.Process, text: str) -> list[str]:
    """Wait until it has said something; return the lines up to there."""
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
    await caput("TEST-DEMO:PULSE1:WIDTH", 0.1, wait=True, timeout=5)
    assert await caget("TEST-DEMO:PULSE1:WIDTH", timeout=5) == 0.1
    assert "OK =0.1" in await panda_ioc("console", "127.0.0.1", "--control-port", port, stdin="PULSE1.WIDTH?\n")
    demo.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(demo.wait(), 10) == 0
    refused = await panda_ioc("console", "127.0.0.1", "--control-port", port, code=1)  # its PandA ended with it
    assert "Connection refused" in refused


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
