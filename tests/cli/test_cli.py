"""The command `panda-ioc`, as people and scripts use it."""

import asyncio
import json
import os
import pty
import signal
from pathlib import Path

import pytest

from panda_ioc import __version__
from panda_ioc.simulator import Server, load

from ..command import panda_ioc, running
from ..conftest import Hostile


@pytest.fixture
def port(panda: Server) -> str:
    return str(panda.control_port)


async def test_help_and_version() -> None:
    assert __version__ in await panda_ioc("--version")
    listed = await panda_ioc("--help")
    for command in ("run", "softioc", "demo", "simulator", "records", "console", "save", "load"):
        assert f"\n  {command} " in listed
        assert "Usage:" in await panda_ioc(command, "--help")


async def test_records(port: str) -> None:
    table = await panda_ioc("records", "127.0.0.1", "BL01-PANDA", "--control-port", port)
    assert "BL01-PANDA:PULSE1:DELAY " in table
    assert "BL01-PANDA:POSITIONS:3:SCALE " in table
    planned = json.loads(await panda_ioc("records", "127.0.0.1", "X", "--json", "--control-port", port))
    by_name = {record["name"]: record for record in planned["records"]}
    assert by_name["PULSE1:TRIG_EDGE"]["labels"] == ["Rising", "Falling", "Either"]
    assert by_name["CALC1:SHIFT"]["codec"] == {"type": "Whole", "low": 0, "high": 2}
    assert by_name["TTLOUT1:VAL"]["target"] == "TTLOUT1.VAL"


async def test_save_and_load(panda: Server, port: str, tmp_path: Path) -> None:
    file = tmp_path / "setup.sav"
    pulses = panda.panda.fields["PULSE1.PULSES"]
    pulses.write("12")
    assert f"to {file}" in await panda_ioc("save", "127.0.0.1", file, "--control-port", port)
    pulses.write("13")
    await panda_ioc("load", "127.0.0.1", file, "--control-port", port)
    assert pulses.raw == 12
    file.write_text("PULSE1.PULSES=14\nNOPE.X=1\nSEQ1.TABLE<\n1 2 3\n\n", encoding="utf-8")
    refused = await panda_ioc("load", "127.0.0.1", file, "--control-port", port, code=1)
    assert "NOPE.X=1: No such block" in refused
    assert "SEQ1.TABLE<: Table write is not a whole number of rows" in refused
    assert pulses.raw == 14


async def test_files_that_cannot_be_used(port: str, tmp_path: Path) -> None:
    options = ("--control-port", port)
    assert "No such file" in await panda_ioc("load", "127.0.0.1", tmp_path / "no", *options, code=1)
    assert "No such file" in await panda_ioc("save", "127.0.0.1", tmp_path / "no" / "file", *options, code=1)
    (tmp_path / "bad").write_text("what is this\n", encoding="utf-8")
    assert "'what is this' is neither" in await panda_ioc("load", "127.0.0.1", tmp_path / "bad", *options, code=1)
    (tmp_path / "latin").write_bytes(b"\xff")
    assert "not text in UTF-8" in await panda_ioc("load", "127.0.0.1", tmp_path / "latin", *options, code=1)


@pytest.mark.parametrize("command", ["records", "save", "load", "console"])
async def test_a_server_that_is_no_panda(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("PULSE1.PULSES=1\n", encoding="utf-8")
    rest: dict[str, list[str | Path]] = {
        "records": ["X"],
        "save": [tmp_path / "out"],
        "load": [tmp_path / "file"],
        "console": [],
    }
    async with Hostile(b"HTTP/1.1 400 Bad Request\r\n", after=b"\n") as server:
        options = ("--control-port", str(server.port))
        said = await panda_ioc(command, "127.0.0.1", *rest[command], *options, stdin="*IDN?\n", code=1)
    assert "HTTP/1.1 400" in said


async def test_console_from_a_pipe(panda: Server, port: str) -> None:
    said = await panda_ioc(
        *("console", "127.0.0.1", "--control-port", port),
        stdin="*CLOCK_FREQ?\nPULSE1.PULSES=3\n\nNOPE?\nPGEN1.TABLE<\n1\n2\n\nPGEN1.TABLE?\n*METADATA.DESIGN=a<b\n",
        code=1,  # one of them failed
    )
    assert said.splitlines() == [
        *("OK =125000000", "OK", "ERR Character '.' expected"),
        *("OK", "!1", "!2", ".", "OK"),
    ]
    assert panda.panda.fields["PULSE1.PULSES"].raw == 3


async def test_console_does_not_send_a_table_that_ended_early(panda: Server, port: str) -> None:
    said = await panda_ioc("console", "127.0.0.1", "--control-port", port, stdin="PGEN1.TABLE<\n1\n2", code=1)
    assert "PGEN1.TABLE" in said
    assert panda.panda.fields["PGEN1.TABLE"].read() == []


async def test_console_completes_names_and_choices(panda: Server, port: str) -> None:
    main, side = pty.openpty()
    output = ""

    async def until(text: str) -> None:
        nonlocal output
        async with asyncio.timeout(15):
            while text not in output:
                output += (await asyncio.to_thread(os.read, main, 4096)).decode(errors="replace")
        output = output.partition(text)[2]

    terminal = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
    async with running(
        *("console", "127.0.0.1", "--control-port", port), environment=terminal, stdin=side, stdout=side, stderr=side
    ) as process:
        os.close(side)
        await until("127.0.0.1>")
        # What is typed, and what then appears: choices in a menu, the rest of the chosen one, the answer.
        for typed, shown in [
            (b"TTLOUT10.V", "MAX_DELAY"),
            (b"\t", "AL"),
            (b"=ON", " ONE "),
            (b"\t", "E"),
            (b"\r", "OK\r\n"),
            (b"", "127.0.0.1>"),
        ]:
            os.write(main, typed)
            await until(shown)
        assert panda.panda.fields["TTLOUT10.VAL"].read() == "ONE"
        os.write(main, b"\x04")
        assert await asyncio.wait_for(process.wait(), 10) == 0
    os.close(main)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_simulator(number: signal.Signals) -> None:
    options = ("simulator", "--control-port", "0", "--data-port", "0")
    async with running(*options, stdout=asyncio.subprocess.PIPE) as process:
        assert process.stdout
        line = (await asyncio.wait_for(process.stdout.readline(), 10)).decode()
        port = line.split()[-4].rstrip(",")
        answer = await panda_ioc("console", "127.0.0.1", "--control-port", port, stdin="*CLOCK_FREQ?\n")
        assert answer == "OK =125000000\n"
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_simulator_that_cannot_start(panda: Server, port: str, tmp_path: Path) -> None:
    assert "address already in use" in await panda_ioc("simulator", "--control-port", port, "--data-port", "0", code=1)
    (tmp_path / "device.yaml").write_text("name: x\nblocks: {A: {count: 0, fields: {}}}\n")
    assert "device.yaml:2: blocks.A.count" in await panda_ioc("simulator", "--device", tmp_path / "device.yaml", code=1)


async def test_the_default_device_is_in_the_package() -> None:
    assert load().name == "pandabox"
