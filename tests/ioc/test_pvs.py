"""`panda-ioc get`, `put` and `monitor`, on a real IOC."""

import asyncio

from ..command import outcome, running
from .process import Ioc


async def said(ioc: Ioc, *arguments: str) -> tuple[int | None, str]:
    return await outcome(*arguments, environment=ioc.environment)


async def test_read_and_write(ioc: Ioc) -> None:
    width = ioc.pv("PULSE1:WIDTH")
    assert await said(ioc, "put", width, "0.5") == (0, f"{width} 0.5 s\n")
    assert await said(ioc, "get", width, ioc.pv("PULSE1:ENABLE")) == (
        0,
        f"{width} 0.5 s\n{ioc.pv('PULSE1:ENABLE')} ZERO\n",
    )
    units = ioc.pv("PULSE1:WIDTH:UNITS")
    assert await said(ioc, "put", units, "ms") == (0, f"{units} ms\n")
    code, text = await said(ioc, "get", ioc.pv("DATA:DATASETS"), ioc.pv("SEQ1:TABLE"))
    assert code == 0
    assert "repeats: []" in text


async def test_what_fails(ioc: Ioc) -> None:
    enable = ioc.pv("PULSE1:ENABLE")
    code, text = await said(ioc, "put", enable, "NOPE")
    assert (code, text.count("\n")) == (1, 1)
    assert text.startswith(f"Error: {enable}: ")
    assert await said(ioc, "get", "NO:SUCH:PV", "--timeout", "0.5") == (1, "Error: NO:SUCH:PV does not answer\n")


async def test_watch(ioc: Ioc) -> None:
    pv = ioc.pv("PULSE2:PULSES")
    pipe = asyncio.subprocess.PIPE
    async with running("monitor", pv, environment=ioc.environment, stdout=pipe) as process:
        assert process.stdout
        async with asyncio.timeout(15):
            assert await process.stdout.readline() == f"{pv} 0.0\n".encode()
            await ioc.pva_put("PULSE2:PULSES", 7)
            assert await process.stdout.readline() == f"{pv} 7.0\n".encode()
