"""The command `panda-ioc`, as users and scripts run it."""

import asyncio
import json
import re
import signal
from pathlib import Path

import pytest

from panda_ioc import __version__
from panda_ioc.simulator import Server, load

from ..command import panda_ioc, running
from ..conftest import Hostile


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
    assert (by_name["TTLOUT1:VAL"]["archive"], by_name["TTLIN1:VAL"]["archive"]) == ("monitor@1", "")
    assert "BL01-PANDA:SEQ1:TABLE " in table
    (sequence,) = [table for table in planned["tables"] if table["name"] == "SEQ1:TABLE"]
    assert (sequence["access"], sequence["max_rows"], len(sequence["columns"])) == ("rw", 262144, 17)


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


@pytest.mark.parametrize("command", ["save", "load", "console"])
async def test_a_server_that_never_answers(command: str, tmp_path: Path) -> None:
    """The error comes after the timeout of a short command, not after that of all settings."""
    (tmp_path / "file").write_text("PULSE1.PULSES=1\n", encoding="utf-8")
    file = [] if command == "console" else [tmp_path / "file"]
    async with Hostile(b"") as server:
        said = await panda_ioc(command, "127.0.0.1", *file, "--control-port", str(server.port), code=1)
    assert said == f"Error: 127.0.0.1:{server.port} did not answer Identify() within 5 s\n"


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


async def test_no_name_of_pandablocks_ioc_is_missing(port: str) -> None:
    said = await panda_ioc("check", "127.0.0.1", "X", "--control-port", port)
    assert re.fullmatch(r"(\d+) of the \1 names of pandablocks-ioc 0.11.6 are served here\n", said)
