"""`panda-ioc run --console`: the commands of the EPICS shell, on standard input."""

import asyncio
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from panda_ioc.simulator import Server

from ..command import running
from .process import becomes, environment

PIPE = asyncio.subprocess.PIPE


@pytest.mark.parametrize("last", ["", "exit()\n"])
async def test_commands_of_epics(panda: Server, ca_ports: Iterator[int], last: str) -> None:
    """At the end of the input, the IOC continues to serve."""
    command = ("run", "127.0.0.1", "TEST-PROMPT", "--console", "--control-port", str(panda.control_port))
    streams: Any = {"stdin": PIPE, "stdout": PIPE, "stderr": asyncio.subprocess.STDOUT}
    async with running(*command, environment=environment(next(ca_ports)), **streams) as ioc:
        assert ioc.stdin
        assert ioc.stdout
        ioc.stdin.write(b"dbgf('TEST-PROMPT:PULSE1:WIDTH')\n" + last.encode())
        if not last:
            ioc.stdin.close()
        said = b""
        async with asyncio.timeout(20):
            while b"the console has ended" not in said:
                said += (line := await ioc.stdout.readline())
                assert line, said
        await becomes("TEST-PROMPT:Status", 2, 10)
        ioc.send_signal(signal.SIGTERM)
        more, _ = await asyncio.wait_for(ioc.communicate(), 20)
        assert b"DBF_DOUBLE:         0" in said + more  # EPICS writes asynchronously
        assert ioc.returncode == 0


async def test_it_ends_with_the_prompt_open(panda: Server, ca_ports: Iterator[int]) -> None:
    command = ("run", "127.0.0.1", "TEST-OPEN", "--console", "--control-port", str(panda.control_port))
    streams: Any = {"stdin": PIPE, "stdout": PIPE, "stderr": asyncio.subprocess.STDOUT}
    async with running(*command, environment=environment(next(ca_ports)), **streams) as ioc:
        await becomes("TEST-OPEN:Status", 2, 20)
        ioc.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(ioc.wait(), 20) == 0
