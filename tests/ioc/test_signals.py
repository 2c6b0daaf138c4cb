"""Stop signals during startup and shutdown of the IOC."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from panda_ioc.simulator import Server

from ..conftest import free_port, until
from .process import running_ioc

TOLD = [signal.SIGTERM, signal.SIGINT]


async def start() -> asyncio.subprocess.Process:
    """An IOC that has only just been started."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "panda_ioc", "run", "127.0.0.1", "TEST-SIGNALS"),
        *("--control-port", str(free_port())),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, bytes]:
    """Return exit code and output."""
    try:
        written, _ = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, written


def catches(process: asyncio.subprocess.Process, number: signal.Signals) -> bool:
    """Return whether a process handles a signal."""
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in status if line.startswith("SigCgt"))
    return bool(mask & 1 << (number - 1))


@pytest.mark.parametrize("number", TOLD)
async def test_a_signal_that_waits_from_the_first_moment_on(number: signal.Signals) -> None:
    """Run the IOC like the start script of the container."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TOLD)
    try:
        process = await start()  # which inherits the blocked signals
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    process.send_signal(number)
    assert await ended(process) == (0, b"")


@pytest.mark.parametrize("after", [0.0, 0.1, 0.4])
async def test_one_as_soon_as_python_runs(after: float) -> None:
    process = await start()
    await until(lambda: catches(process, signal.SIGTERM))
    await asyncio.sleep(after)  # during the slow imports
    process.send_signal(signal.SIGINT)
    code, written = await ended(process)
    assert (code, b"Aborted" in written, b"Traceback" in written) == (0, False, False)


async def test_many_until_it_has_ended(panda: Server, ca_ports: Iterator[int]) -> None:
    async with running_ioc(panda.control_port, "TEST-SIGNALS", ca_ports) as ioc:
        ending = asyncio.create_task(ioc.process.wait())
        while not ending.done():
            with suppress(ProcessLookupError):  # the process has ended, but has not been waited for
                os.kill(ioc.process.pid, signal.SIGTERM)
                os.kill(ioc.process.pid, signal.SIGINT)
            await asyncio.wait((ending,), timeout=0.01)
        assert ending.result() == 0
