"""`panda-ioc get`, `put` and `monitor`, on a real IOC."""

import asyncio

import pytest

from panda_ioc.simulator import Server

from ..command import outcome, running
from ..words import PYTHON
from .process import Ioc

PIPE = asyncio.subprocess.PIPE


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
    for name, value, why in (
        ("PULSE1:WIDTH:UNITS", "hours", "'hours' is not one of the choices: min, s, ms, us"),
        ("COUNTER1:OUT:CAPTURE", "Others", "'Others' is not one of the 128 choices"),
        ("COUNTER1:OUT:CAPTURE", "Vlaue", "'Vlaue' is not one of the 128 choices; did you mean Value"),
        ("PULSE1:WIDTH", "long", "'long' is not a number"),
        ("COUNTER1:MIN", "1.5x", "'1.5x' is not a number"),
        ("SEQ1:TABLE:REPEATS", "many", "'many' is not a number"),
        ("SEQ1:TABLE", "5", "a table cannot be written from the command line"),
    ):
        pv = ioc.pv(name)
        code, text = await said(ioc, "put", pv, value)
        assert (code, text.startswith(f"Error: {pv}: {why}")) == (1, True), text
        assert not PYTHON.search(text), text
    assert await said(ioc, "get", "NO:SUCH:PV", "--timeout", "0.5") == (1, "Error: NO:SUCH:PV does not answer\n")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("put", "COUNTER1:MIN", "-5"), 0, "COUNTER1:MIN -5\n"),
        (("put", "COUNTER1:MIN", "-0x10", "--timeout", "9"), 0, "COUNTER1:MIN -16\n"),
        (("put", "--timeout=9", "COUNTER1:OUT:OFFSET", "-1.5e3"), 0, "COUNTER1:OUT:OFFSET -1500.0\n"),
        (("put", "COUNTER1:MIN", "--", "-7"), 0, "COUNTER1:MIN -7\n"),
        (("put", "COUNTER1:MIN", "-5", "--wait"), 2, "Error: No such option '--wait'.\n"),
        (("put", "COUNTER1:MIN", "-x"), 2, "Error: No such option '-x'.\n"),
    ],
)
async def test_what_begins_as_options_do(ioc: Ioc, words: tuple[str, ...], code: int, text: str) -> None:
    ended, told = await said(ioc, *(ioc.pv(word) if ":" in word else word for word in words))
    assert ended == code
    assert told.endswith(text)


async def test_alarms(ioc: Ioc, server: Server) -> None:
    server.panda.set_raw("OUTENC2.HEALTH", 1)
    async with running("monitor", ioc.pv("OUTENC2:HEALTH"), environment=ioc.environment, stdout=PIPE) as process:
        assert process.stdout
        line = b""
        async with asyncio.timeout(15):
            while b"[" not in line:
                line = await process.stdout.readline()
        assert b"  [MAJOR: Biss timeout error" in line
    code, text = await said(ioc, "get", ioc.pv("INENC3:SETP"))
    assert (code, text) == (0, f"{ioc.pv('INENC3:SETP')} 0\n")


async def test_a_field_of_a_record_is_not_there(ioc: Ioc) -> None:
    assert await said(ioc, "get", ioc.pv("PULSE1:WIDTH.RTYP")) == (0, f"{ioc.pv('PULSE1:WIDTH.RTYP')} ao\n")
    field = ioc.pv("PULSE1:WIDTH.HIGH")
    only = "over PV Access, records have only the fields NAME, RTYP, DESC, EGU and PREC; use caget for others"
    hint = f"{field} does not answer: {only}\n"
    assert await said(ioc, "get", field, "--timeout", "0.5") == (1, f"Error: {hint}")


async def test_watching_what_is_not_there(ioc: Ioc) -> None:
    pv, nothing, field = ioc.pv("PULSE3:PULSES"), ioc.pv("NOPE"), ioc.pv("PULSE3:PULSES.HIGH")
    async with running("monitor", pv, nothing, field, environment=ioc.environment, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout
        assert process.stderr
        async with asyncio.timeout(15):
            assert await process.stderr.readline() == f"{nothing} is not connected yet; still waiting\n".encode()
            assert b"HIGH is not connected yet: over PV Access, records " in await process.stderr.readline()
            assert await process.stdout.readline() == f"{pv} 0.0\n".encode()
            await ioc.pva_put("PULSE3:PULSES", 7)
            assert await process.stdout.readline() == f"{pv} 7.0\n".encode()
            process.terminate()
            assert await process.stderr.read() == b""


async def test_watch(ioc: Ioc) -> None:
    pv = ioc.pv("PULSE2:PULSES")
    async with running("monitor", pv, environment=ioc.environment, stdout=PIPE) as process:
        assert process.stdout
        async with asyncio.timeout(15):
            assert await process.stdout.readline() == f"{pv} 0.0\n".encode()
            await ioc.pva_put("PULSE2:PULSES", 7)
            assert await process.stdout.readline() == f"{pv} 7.0\n".encode()
