"""The commands of the simulator."""

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import Get, Put
from panda_ioc.simulator import Server

from ..command import panda_ioc


@contextlib.asynccontextmanager
async def simulator(*arguments: str | Path) -> AsyncIterator[AsyncioClient]:
    """A client of a simulator that runs in a separate process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "panda_ioc", "simulator", "--control-port", "0", "--data-port", "0"),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        control, data = re.findall(r"port (\d+)", line)
        async with AsyncioClient("127.0.0.1", int(control), int(data)) as client:
            yield client
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_copy_is_served_with_a_scenario(panda: Server, tmp_path: Path) -> None:
    panda.panda.fields["COUNTER1.START"].write("42")
    copy, scenario = tmp_path / "copy.yaml", tmp_path / "scenario.yaml"
    ports = ("--control-port", str(panda.control_port), "--data-port", str(panda.data_port))
    said = await panda_ioc("simulator", "--from", "127.0.0.1", *ports, copy)
    assert f"panda-ioc simulator --device {copy}" in said
    scenario.write_text("settings: [BITS.A=1]\nsteps: [{at: 1, level: {input: TTLIN2, high: true}}]\n")
    async with simulator("--device", copy, "--scenario", scenario, "--speed", "inf") as client:
        assert await client.send(Get("COUNTER1.START")) == b"42"
        assert await client.send(Get("BITS.A")) == b"1"
        async with asyncio.timeout(5):
            while await client.send(Get("TTLIN2.VAL")) != b"1":
                pass


async def test_driving(panda: Server) -> None:
    port = ("--control-port", str(panda.control_port))
    assert await panda_ioc("drive", "127.0.0.1", *port, "jump", "motor=INENC1", "to=-7") == ""
    assert panda.panda.fields["INENC1.VAL"].codec
    async with AsyncioClient("127.0.0.1", panda.control_port, panda.data_port) as client:
        assert await client.send(Get("INENC1.VAL")) == b"-7"
        said = await panda_ioc("drive", "127.0.0.1", *port, "commands", 'lines=["BITS.A=1", "BITS.B=1"]')
        assert said == ""
        assert await client.send(Get("BITS.B")) == b"1"
        await panda_ioc("drive", "127.0.0.1", *port, "--at", "0.01", "level", "input=TTLIN1", "high=true")
        async with asyncio.timeout(5):
            while await client.send(Get("TTLIN1.VAL")) != b"1":
                pass
        await client.send(Put("PCAP.TS_TRIG.CAPTURE", "Value"))
        await panda_ioc("drive", "127.0.0.1", *port, "arm")
        await panda_ioc("drive", "127.0.0.1", *port, "fail", "reason=Framing error")
        assert await client.send(Get("*PCAP.COMPLETION")) == b"Framing error"


async def test_the_examples_of_the_help_are_taken(panda: Server) -> None:
    lines = (await panda_ioc("drive", "--help")).splitlines()
    examples = [line.split()[3:] for line in lines if line.strip().startswith("panda-ioc drive localhost")]
    assert [action for action, *_ in examples] == ["move", "pulses", "restart"]
    for example in examples:
        said = await panda_ioc("drive", "127.0.0.1", "--control-port", str(panda.control_port), *example)
        assert said == ""


async def test_text_that_looks_like_a_number_is_text(panda: Server) -> None:
    asked: list[tuple[str, str]] = []
    panda.faults.restart = lambda spec, _: asked.append((spec.software, spec.fpga))
    port = ("--control-port", str(panda.control_port))
    for versions in (("software=4.10", "fpga=7"), ('software="4.2"', "fpga=null"), ("software=true", "fpga=1e3")):
        assert await panda_ioc("drive", "127.0.0.1", *port, "restart", *versions) == ""
    assert asked == [("4.10", "7"), ("4.2", panda.panda.spec.fpga), ("true", "1e3")]
    assert await panda_ioc("drive", "127.0.0.1", *port, "health", "field=SYSTEM.PLL_LOCKED", "shows=1") == ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("jump", "motor=INENC1"), 1, "jump.to: this key is required"),
        (("fly",), 1, "fly: unknown key: use at, move"),
        (("jump", "motor"), 2, "'motor' is not of the form NAME=VALUE"),
        (("level", "input=INENC1", "high=true"), 1, "INENC1 is not an input"),
        (("level", "input=TTLIN1", "input=TTLIN2", "high=true"), 2, "input is given twice"),
    ],
)
async def test_driving_what_makes_no_sense(panda: Server, arguments: tuple[str, ...], code: int, says: str) -> None:
    said = await panda_ioc("drive", "127.0.0.1", "--control-port", str(panda.control_port), *arguments, code=code)
    assert says in said


async def test_what_makes_no_sense(tmp_path: Path) -> None:
    assert "must be given together" in await panda_ioc("simulator", "--from", "127.0.0.1", code=2)
    assert "must be a number or inf" in await panda_ioc("simulator", "--speed", "nan", code=2)
    bad = tmp_path / "bad.yaml"
    bad.write_text("steps:\n  - {at: 1, fly: {}}\n")
    assert f"{bad}:2: steps.0.fly: unknown key" in await panda_ioc("simulator", "--scenario", bad, code=1)
    bad.write_text("settings: [NOPE.X=1]\n")
    ports = ("--control-port", "0", "--data-port", "0")
    assert "refused a setting of the scenario" in await panda_ioc("simulator", *ports, "--scenario", bad, code=1)
    bad.write_text("name: x\nblocks: {A: {count: 1, fields: {V: {type: param uint, value: many}}}}\n")
    assert "A.V: invalid initial value 'many': Number missing" in await panda_ioc("simulator", "--device", bad, code=1)
