"""Start and shutdown, and their failures."""

import asyncio
import os
import pty
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aioca import caget, caput

from panda_ioc.simulator import DeviceSpec, Server, load
from panda_ioc.validation import validated

from ..command import outcome, panda_ioc, running
from ..conftest import Hostile, free_port
from .process import becomes, environment, is_refused, running_ioc


async def start(*arguments: str) -> tuple[int | None, str]:
    """Run the command on private ports; return its exit code and output."""
    return await outcome(*arguments, environment=environment(free_port()))


async def fails(*arguments: str) -> str:
    """Return the error message of the command, which must be short and without a traceback."""
    code, output = await start(*arguments)
    assert code == 1, output
    assert "Traceback" not in output
    assert output.startswith("Error: ")
    assert len(output.splitlines()) == 1, output
    return output


async def test_no_such_host() -> None:
    assert "no.such.host.invalid:8888: Name or service" in await fails("run", "no.such.host.invalid", "X")


@pytest.mark.parametrize(
    ("says", "then", "named"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n", "wait", "HTTP/1.1 400 Bad Request"),
        (b"\x16\x03\x01\x02\x00garbage\n\x00\xff", "wait", "garbage"),
        (b"x" * 65536, "flood", "line longer than 65536 bytes"),
        (b"OK =I am a printer\n!A 1\n.\n", "wait", "this is not a PandA"),
        pytest.param(b"", "wait", "did not answer", marks=pytest.mark.long),
    ],
)
async def test_a_server_that_is_no_panda(says: bytes, then: str, named: str) -> None:
    async with Hostile(says, after=b"\n", then=then) as server:
        assert named in await fails("run", "127.0.0.1", "X", "--control-port", str(server.port))


async def test_a_prefix_that_is_too_long(panda: Server) -> None:
    port = str(panda.control_port)
    assert "use a prefix of at most" in await fails("run", "127.0.0.1", "P" * 50, "--control-port", port)


@pytest.mark.parametrize(
    "options", [["--poll", "CONFIG"], ["--poll", "NOPE=1"], ["--poll", "BITS=0"], ["--control-port", "0"]]
)
async def test_bad_options(options: list[str]) -> None:
    code, output = await start("run", "127.0.0.1", "X", *options)
    assert code == 2
    assert "Traceback" not in output
    assert options[0] in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_cleanly(panda: Server, ca_ports: Iterator[int], number: signal.Signals) -> None:
    async with running_ioc(panda.control_port, "TEST-STOP", ca_ports) as ioc:
        assert await ioc.stop(number) == 0
        assert any("stopping" in line for line in ioc.output)
    assert not panda.connections


async def test_it_stops_cleanly_while_it_waits_for_a_silent_server(ca_ports: Iterator[int]) -> None:
    asked = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        asked.set()
        while await reader.read(4096):
            pass
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = str(server.sockets[0].getsockname()[1])
    options = ("run", "127.0.0.1", "X", "--control-port", port)
    async with server, running(*options, environment=environment(next(ca_ports))) as process:
        await asyncio.wait_for(asked.wait(), 10)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 5) == 0


@pytest.mark.parametrize(("level", "tells"), [("put", ["PUT", "WARNING"]), ("info", ["WARNING"]), ("error", [])])
async def test_how_much_it_logs(panda: Server, ca_ports: Iterator[int], level: str, tells: list[str]) -> None:
    prefix = f"TEST-LOG-{level.upper()}"
    async with running_ioc(
        panda.control_port, prefix, ca_ports, "--log-level", level, ready="All initialization complete"
    ) as ioc:
        await caput(ioc.pv("PULSE1:PULSES"), 5, wait=True, timeout=5)
        await is_refused(ioc.pv("TTLOUT1:VAL"), "nonsense")
        assert await ioc.stop() == 0
    told = [line.split()[2:] for line in ioc.output if "nonsense" in line or "PULSE1:PULSES" in line]
    assert [line[0] for line in told] == tells
    refused = f"refused put {prefix}:TTLOUT1:VAL = 'nonsense' by "
    wanted = {"PUT": f"put {prefix}:PULSE1:PULSES = 5.0", "WARNING": refused}
    assert all(" ".join(line[1:]).startswith(wanted[line[0]]) for line in told)


async def test_an_alive_file_that_cannot_be_written(
    panda: Server, ca_ports: Iterator[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The IOC serves, and logs why probes will fail."""
    monkeypatch.setenv("PANDA_IOC_ALIVE_FILE", "/no/such/folder/alive")
    async with running_ioc(panda.control_port, "TEST-ALIVE", ca_ports) as ioc:
        line = await ioc.wait_for("cannot write the alive file")
        assert line.endswith("/no/such/folder/alive: No such file or directory")
        await becomes(ioc.pv("Status"), 2)
        assert await ioc.stop() == 0


async def test_nobody_reads_its_log_any_more(panda: Server, ca_ports: Iterator[int]) -> None:
    pipe = asyncio.subprocess.PIPE
    options = ("run", "127.0.0.1", "TEST-UNREAD", "--control-port", str(panda.control_port))
    variables = environment(next(ca_ports))
    async with running(*options, environment=variables, stdout=pipe, stderr=pipe) as process:
        assert process.stdout
        assert process.stderr
        async with asyncio.timeout(20):
            while b"serving" not in await process.stdout.readline():
                pass
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
        await becomes("TEST-UNREAD:Status", 2)
        await is_refused("TEST-UNREAD:TTLOUT1:VAL", "nonsense")
        process.terminate()
        assert b"Traceback" not in await asyncio.wait_for(process.stderr.read(), 20)
        assert await process.wait() == 0


async def test_the_help_tells_the_exit_codes() -> None:
    """The exit codes; 0 and 1 are tested here, 75 in the tests of losses."""
    code, said = await start("run", "--help")
    assert code == 0
    said = " ".join(said.split())
    assert all(code in said for code in ("0 after SIGINT", "1 if it cannot start", "75 if it must be restarted"))


async def test_it_runs_at_a_terminal(panda: Server, ca_ports: Iterator[int]) -> None:
    main, side = pty.openpty()
    async with running(
        *("softioc", "127.0.0.1", "TEST-TTY", "--control-port", str(panda.control_port), "--clear-bobfiles"),
        environment=environment(next(ca_ports)),
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
    ) as process:
        os.close(side)
        output = ""
        async with asyncio.timeout(15):
            while "serving" not in output:
                output += (await asyncio.to_thread(os.read, main, 4096)).decode()
        await becomes("TEST-TTY:Status", 2)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    os.close(main)


async def test_another_device(tmp_path: Path, ca_ports: Iterator[int]) -> None:
    """Block names that end in digits, units beyond ASCII, fields in error from the start."""
    labels = ", ".join(f"number {number}" for number in range(40))
    (tmp_path / "device.yaml").write_text(
        f"""
name: odd
blocks:
  ADC10:
    count: 2
    fields:
      GAIN: {{type: param scalar, units: "µV/°", scale: 0.5, value: "1.5"}}
      MODE: {{type: param enum, labels: [{labels}]}}
      TEMP: {{type: read int, value: "7"}}
""",
        encoding="utf-8",
    )
    async with Server(load(tmp_path / "device.yaml"), control_port=0, data_port=0) as panda:
        panda.panda.set_error("ADC102.TEMP", in_error=True)
        async with running_ioc(panda.control_port, "TEST-ODD", ca_ports) as ioc:
            assert await caget(ioc.pv("ADC102:GAIN")) == 1.5
            assert await caget(ioc.pv("ADC102:GAIN.EGU")) == "µV/°"
            assert await caget(ioc.pv("ADC101:MODE")) == "number 0"
            assert await caget([ioc.pv("ADC101:TEMP.SEVR"), ioc.pv("ADC102:TEMP.SEVR")]) == [0, 3]
            assert await caget(ioc.pv("ADC101:TEMP")) == 7


async def test_what_cannot_be_served_is_named_and_all_else_served(tmp_path: Path, ca_ports: Iterator[int]) -> None:
    long = "A_FIELD_WITH_A_NAME_THAT_NEVER_ENDS_" * 2
    fields = {"GOOD": {"type": "param int", "value": "3"}, long: {"type": "param int"}}
    blocks = {"ODD": {"count": 2, "fields": fields}, "ODD1": {"count": 1, "fields": {"GOOD": {"type": "param int"}}}}
    spec = validated({"name": "odd", "blocks": blocks}, DeviceSpec)
    async with Server(spec, control_port=0, data_port=0) as panda:
        async with running_ioc(panda.control_port, "TEST-SOME", ca_ports) as ioc:
            assert await caget(ioc.pv("ODD2:GOOD"), timeout=5) == 3
            warnings = [line.split("WARNING ")[1] for line in ioc.output if "is not served" in line]
        said = await panda_ioc("records", "127.0.0.1", "X", "--control-port", str(panda.control_port))
    assert sum("the name has more than 42 characters" in warning for warning in warnings) == 2
    assert any("ODD1:GOOD is not served for" in warning for warning in warnings)
    assert [warning for warning in warnings if warning not in said] == [], said[-600:]


async def test_it_stops_cleanly_before_it_has_begun(tmp_path: Path) -> None:
    config = tmp_path / "ioc.yaml"
    os.mkfifo(config)
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "panda_ioc", "run", "--config", config)
    with await asyncio.wait_for(asyncio.to_thread(config.open, "w"), 20):  # the reader is there now
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0


#: The disk is full just before EPICS starts: its access rules cannot be written. The IOC waits for `initialised`.
WITHOUT_DISK = """
import asyncio, tempfile
from panda_ioc.ioc.servers.ca.server import CaServer

async def start():
    server = CaServer("")
    tempfile.tempdir = "/nowhere"
    starting = asyncio.ensure_future(server.start())
    async with asyncio.timeout(10):
        await server.initialised.wait()
    await starting

asyncio.run(start())
"""


async def test_epics_cannot_start_without_its_files() -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", WITHOUT_DISK, stdout=pipe, stderr=pipe)
    _, said = await process.communicate()
    assert b"TimeoutError" not in said
    assert b"FileNotFoundError: [Errno 2] No such file or directory: '/nowhere" in said.splitlines()[-1]
