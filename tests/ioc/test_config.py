"""Configuration of an IOC by file, options and variables."""

import asyncio
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from aioca import DBR_CHAR_STR, caget, caput

from panda_ioc.ioc.process import restoring
from panda_ioc.ioc.process.config import Config
from panda_ioc.simulator import Server
from panda_ioc.textfile import MAX_SIZE

from ..command import outcome, running
from ..conftest import free_port
from .datapvs import DataPvs
from .process import Ioc, environment, running_ioc

GROUPS = """
# No CALC(...), nor INPA(...): see "Who may put".
UAG(staff) {nobody-here, "INPA(or so)"}
ASG(DEFAULT) {
  RULE(1, READ)
  RULE(1, WRITE, TRAPWRITE) { UAG(staff) }
}
"""


def config_file(directory: Path, panda: Server, **sections: object) -> str:
    path = directory / "ioc.yaml"
    where = {"host": "127.0.0.1", "control_port": panda.control_port, "data_port": panda.data_port}
    path.write_text(yaml.safe_dump({"prefix": "FROM-FILE", "panda": where, **sections}))
    return str(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prefix: X\n", "ioc.yaml:1: panda: this key is required"),
        (
            "prefix: X\npanda:\n  host: h\n  control_prt: 1\n",
            "ioc.yaml:4: panda.control_prt: unknown key: use host, control_port, data_port",
        ),
        ("prefix: X\npanda: {host: h}\npoll:\n  NOPE: 1\n", "ioc.yaml:4: poll.NOPE: unknown group NOPE: use"),
        (
            "prefix: X\npanda: {host: h}\npoll: {BITS: 0}\n",
            "ioc.yaml:3: poll.BITS: a poll period must be 0.005 to 60 s",
        ),
        ("prefix: X\npanda: {host: h}\ndata:\n  roots: [data]\n", "data is not an absolute path"),
        ("prefix: X\npanda: myhost\n", "ioc.yaml:2: panda: must be a mapping, not text 'myhost'"),
        ("prefix: X\npanda: {host: h}\ndata: [a]\n", "ioc.yaml:3: data: must be a mapping, not a list"),
        ("prefix: X\npanda: {host: h}\npoll: 5\n", "ioc.yaml:3: poll: must be a mapping, not a whole number"),
        ("prefix: X\npanda: {host: h}\nhttp: 8080\n", "ioc.yaml:3: http: must be a mapping, not a whole number"),
        ("prefix: [\n", "ioc.yaml:2: "),
        ("- 1\n", "ioc.yaml:1: "),
    ],
)
async def test_files_that_make_no_sense(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "ioc.yaml"
    path.write_text(text)
    code, output = await outcome("run", "--config", str(path), environment=environment(free_port()))
    assert code == 1
    assert said in output
    assert "Traceback" not in output


async def test_the_schema_describes_the_example() -> None:
    code, output = await outcome("schema", environment=environment(free_port()))
    schema = json.loads(output)
    assert code == 0
    assert set(schema["required"]) == {"prefix", "panda"}
    assert set(schema["properties"]) == set(Config.__struct_fields__)


async def test_options_go_over_variables_and_both_over_the_file(
    panda: Server, ca_ports: Iterator[int], tmp_path: Path
) -> None:
    file = config_file(tmp_path, panda, log_level="error")
    # "" means no value: the process of a test starts with HOST and PREFIX.
    variables = {"PANDA_IOC_LOG_LEVEL": "put", "PANDA_IOC_HTTP_PORT": "0", "PANDA_IOC_CONFIG": file}
    async with running_ioc(panda.control_port, "OVER-FILE", ca_ports, extra=variables) as ioc:
        await ioc.pva_put("PULSE1:PULSES", 3)
        line = await ioc.wait_for("put OVER-FILE:PULSE1:PULSES = 3")
        assert line.endswith("@127.0.0.1 over PVA")
        await caput(ioc.pv("PULSE1:PULSES"), 4, wait=True, timeout=5)
        assert "@" in await ioc.wait_for("put OVER-FILE:PULSE1:PULSES = 4")


async def test_a_file_alone(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    file = config_file(tmp_path, panda, data={"roots": [str(tmp_path)]})
    pipe, variables = asyncio.subprocess.PIPE, environment(next(ca_ports))
    async with running("run", "--config", file, environment=variables, stdout=pipe) as process:
        ioc = Ioc(process, "FROM-FILE", variables)
        await ioc.wait_for("serving ")
        await ioc.pva_put("PULSE1:PULSES", 3)
        assert panda.panda.fields["PULSE1.PULSES"].read() == "3"
        await DataPvs(ioc, tmp_path).until("CONNECTION", 1)
        with pytest.raises(Exception, match="is not in an allowed directory"):
            await ioc.pva_put("DATA:HDF_DIRECTORY", "/")
        assert await ioc.stop() == 0


async def test_variables_of_what_may_be_given_often(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    screens, roots = tmp_path / "screens", [tmp_path / "a root", tmp_path / "b"]
    for directory in (screens, *roots):
        directory.mkdir()
    variables = {
        "PANDA_IOC_POLL": "CONFIG=0.5 BITS=0.7",
        "PANDA_IOC_DATA_ROOT": ":".join(map(str, roots)),
        "PANDA_IOC_CLEAR_BOBFILES": "1",
        "PANDA_IOC_SCREENS_DIR": str(screens),
    }
    async with running_ioc(panda.control_port, "TEST-VARS", ca_ports, extra=variables) as ioc:
        with pytest.raises(Exception, match="is not in an allowed directory: use .*/a root or .*/b"):
            await ioc.pva_put("DATA:HDF_DIRECTORY", str(tmp_path))
        await ioc.pva_put("DATA:HDF_DIRECTORY", str(roots[0]))
        assert await ioc.stop() == 0
    code, output = await outcome(
        *("run", "127.0.0.1", "X"), environment={**environment(free_port()), "PANDA_IOC_POLL": "NOPE=1"}
    )
    assert (code, "unknown group NOPE: use" in output) == (2, True)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PANDA_IOC_HTTP_PORT", "tcp://10.0.0.1:80"),  # as Kubernetes sets it for a service panda-ioc-http
        ("PANDA_IOC_CONTROL_PORT", "0"),
        ("PANDA_IOC_LOG_LEVEL", "loud"),
        ("PANDA_IOC_READ_ONLY", "maybe"),
        ("PANDA_IOC_POLL", "CONFIG=fast"),
    ],
)
async def test_errors_name_the_variable(variable: str, value: str) -> None:
    code, output = await outcome("run", "127.0.0.1", "X", environment={**environment(free_port()), variable: value})
    assert code == 2
    assert variable in output
    assert value in output


async def test_read_only(panda: Server, ca_ports: Iterator[int]) -> None:
    async with running_ioc(panda.control_port, "TEST-READ", ca_ports, "--read-only") as ioc:
        with pytest.raises(Exception, match="Write access denied"):
            await caput(ioc.pv("PULSE1:PULSES"), 3, wait=True, timeout=5)
        with pytest.raises(Exception, match="the access rules do not allow .* to put to PULSE1:PULSES"):
            await ioc.pva_put("PULSE1:PULSES", 3)
        assert await caget(ioc.pv("PULSE1:PULSES")) == 0


async def test_an_access_security_file(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    rules = tmp_path / "rules.acf"
    rules.write_text(GROUPS)
    async with running_ioc(panda.control_port, "TEST-ACF", ca_ports, "--access-file", str(rules)) as ioc:
        with pytest.raises(Exception, match="Write access denied"):
            await caput(ioc.pv("PULSE1:PULSES"), 3, wait=True, timeout=5)
        with pytest.raises(Exception, match="the access rules do not allow"):
            await ioc.pva_put("PULSE1:PULSES", 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot read"),
        ("ASG(DEFAULT) { RULE(", "is invalid: it ends before the last bracket is closed"),
        ("ASG(DEFAULT) { RULE(1 READ) }", "is invalid: "),
        ('ASG(DEFAULT) { RULE(1, WRITE) { CALC("A=0") } }', "has CALC in line 1"),
        ("ASG(DEFAULT) { RULE(1, READ) RULE(1, WRITE) { UAG(nobody) } }", "EPICS does not start"),
        ("", "EPICS does not start"),
        pytest.param(" " * (MAX_SIZE + 1), "File too large", id="too large"),
        ("# INPA(X) is gone\nASG(DEFAULT) {\n  INPL(X:Y)\n  RULE(1, WRITE)\n}", "has INPL in line 3"),
    ],
)
async def test_access_security_that_cannot_be_used(panda: Server, tmp_path: Path, text: str | None, said: str) -> None:
    rules = tmp_path / "rules.acf"
    if text is not None:
        rules.write_text(text)
    port = ("--control-port", str(panda.control_port))
    options = ("run", "127.0.0.1", "X", *port, "--access-file", str(rules))
    code, output = await outcome(*options, environment=environment(free_port()))
    assert code == 1
    assert "access security file" in output
    assert said in output
    assert "Traceback" not in output


async def test_files_only_below_the_roots(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "way-out").symlink_to(outside)
    (outside / "precious.h5").write_text("precious")
    (inside / "x.h5").symlink_to(outside / "precious.h5")
    ports = ("--data-port", str(panda.data_port))
    async with running_ioc(panda.control_port, "TEST-ROOT", ca_ports, *ports, "--data-root", str(inside)) as ioc:
        for directory in (outside, inside / "way-out", tmp_path):
            with pytest.raises(Exception, match="is not in an allowed directory"):
                await ioc.pva_put("DATA:HDF_DIRECTORY", str(directory))
        await ioc.pva_put("DATA:HDF_DIRECTORY", str(inside))
        await ioc.pva_put("DATA:HDF_FILE_NAME", "x.h5")
        await ioc.pva_put("DATA:OVERWRITE", 1)
        with pytest.raises(Exception, match="is not in an allowed directory"):
            await ioc.pva_put("DATA:CAPTURE", 1)
        assert (outside / "precious.h5").read_text() == "precious"
        await ioc.pva_put("DATA:HDF_FILE_NAME", "y.h5")
        await ioc.pva_put("DATA:CAPTURE", 1)
        await ioc.pva_put("DATA:CAPTURE", 0)
        assert (inside / "y.h5").exists()


async def test_settings_of_the_ioc_are_there_after_a_restart(
    panda: Server, ca_ports: Iterator[int], tmp_path: Path
) -> None:
    settings = {"DATA:HDF_DIRECTORY": str(tmp_path), "DATA:NUM_CAPTURE": 12, "INENC1:VAL:DATASET": "x"}
    kept = ("--state-dir", str(tmp_path))
    async with running_ioc(panda.control_port, "TEST:SAVE", ca_ports, *kept) as ioc:
        for name, value in settings.items():
            await ioc.pva_put(name, value)
        await ioc.pva_put("PULSE1:PULSES", 5)
        assert await ioc.stop() == 0
    panda.panda.fields["PULSE1.PULSES"].write("6")
    capture = panda.panda.fields["INENC1.VAL"].attributes["CAPTURE"].write
    assert capture
    capture("Value")
    async with running_ioc(panda.control_port, "TEST:SAVE", ca_ports, *kept) as ioc:
        for name, value in settings.items():
            assert await ioc.pva_get(name) == value, name
        assert await caget(ioc.pv("DATA:HDF_DIRECTORY"), datatype=DBR_CHAR_STR) == str(tmp_path)
        assert (await ioc.raw_get("DATA:DATASETS")).value.name == ["x"]
        assert await ioc.pva_get("PULSE1:PULSES") == 6
        assert panda.panda.fields["PULSE1.PULSES"].read() == "6"


@pytest.mark.parametrize("content", [b"", b"- 1", b"{", b"TEST: [", b"!!bool x", b"\xff\xfe\x00abc\xff"])
def test_kept_settings_that_are_no_settings_are_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path = tmp_path / "x.softsav"
    path.write_bytes(content)
    assert restoring.read(path) == {}
    assert (path.exists(), (tmp_path / "x.softsav.bad").read_bytes()) == (False, content)
    assert f"invalid autosave file {path}, renamed to x.softsav.bad" in caplog.text


@pytest.mark.parametrize(
    ("content", "bad"),
    [
        (b"TEST: [", True),
        (
            b"DATA:NUM_CAPTURE: -7\nNOPE: 1\nDATA:RAW: hello\nDATA:CAPTURE_MODE: 99\nDATA:HDF_DIRECTORY: null\n"
            b"DATA:FILE_NUMBER: 0.5\nDATA:BITS_TYPE: 1.0\nINENC1:VAL:DATASET: 5\n",
            False,
        ),
    ],
)
async def test_kept_settings_that_make_no_sense(
    panda: Server, ca_ports: Iterator[int], tmp_path: Path, content: bytes, bad: bool
) -> None:
    """The file is renamed, and later settings are saved."""
    path = tmp_path / "TEST-SAVE.softsav"
    path.write_bytes(content)
    async with running_ioc(panda.control_port, "TEST-SAVE", ca_ports, "--state-dir", str(tmp_path)) as ioc:
        for name in ("NUM_CAPTURE", "RAW", "CAPTURE_MODE", "FILE_NUMBER"):
            assert await ioc.pva_get(f"DATA:{name}") == 0, name
        assert await ioc.pva_get("DATA:BITS_TYPE") == (0 if bad else 1)
        await ioc.pva_put("DATA:NUM_CAPTURE", 42)
        assert await ioc.stop() == 0
    assert yaml.safe_load(path.read_text())["DATA:NUM_CAPTURE"] == 42
    assert (tmp_path / "TEST-SAVE.softsav.bad").exists() == bad
    assert any("WARNING" in line and "softsav" in line for line in ioc.output)
    assert not any("Traceback" in line for line in ioc.output)


async def test_the_directory_of_kept_settings_goes_away(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    """The log has a warning, and the IOC stops as usual."""
    directory = tmp_path / "state"
    directory.mkdir()
    async with running_ioc(panda.control_port, "TEST-GONE", ca_ports, "--state-dir", str(directory)) as ioc:
        await ioc.pva_put("DATA:NUM_CAPTURE", 42)
        async with asyncio.timeout(10):
            while not (directory / "TEST-GONE.panda.json").exists():  # noqa: ASYNC110 - it is written when all is served
                await asyncio.sleep(0.01)
        shutil.rmtree(directory)
        assert await ioc.stop() == 0
    assert sum("cannot save settings in" in line for line in ioc.output) == 1
    assert not any("Traceback" in line for line in ioc.output)


async def test_designs(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    async with running_ioc(panda.control_port, "TEST-DSGN", ca_ports, "--designs-dir", str(tmp_path)) as ioc:
        await ioc.pva_put("PULSE1:PULSES", 5)
        with pytest.raises(Exception, match="no design name"):
            await ioc.pva_put("DESIGN:SAVE", 1)
        for bad in ("../x", "", "a/b", ".hidden"):
            if bad:
                with pytest.raises(Exception, match="invalid design name"):
                    await ioc.pva_put("DESIGN:NAME", bad)
        await ioc.pva_put("DESIGN:NAME", "fly scan")
        await ioc.pva_put("DESIGN:SAVE", 1)
        assert await ioc.pva_get("DESIGN:STATUS") == "saved fly scan"
        assert list(await ioc.pva_get("DESIGN:LIST")) == ["fly scan"]
        await ioc.pva_put("PULSE1:PULSES", 6)
        await ioc.pva_put("DESIGN:LOAD", 1)
        assert await ioc.pva_get("PULSE1:PULSES") == 5
        assert await ioc.pva_get("DESIGN:LOADED") == "fly scan"
        # All or nothing, to the tick.
        panda.panda.fields["PULSE1.DELAY"].raw = 12500000001
        (tmp_path / "bad.design").write_text("PULSE1.PULSES=9\nPULSE1.DELAY=1\nNOPE.X=1\n")
        await ioc.pva_put("DESIGN:NAME", "bad")
        with pytest.raises(Exception, match="NOPE.X=1: No such block; the previous settings are restored"):
            await ioc.pva_put("DESIGN:LOAD", 1)
        assert "NOPE.X=1" in await ioc.pva_get("DESIGN:STATUS")
        assert panda.panda.fields["PULSE1.PULSES"].read() == "5"
        assert panda.panda.fields["PULSE1.DELAY"].raw == 12500000001
        # Other firmware reports more.
        panda.panda.fields["PULSE1.DELAY"].raw = 125
        assert list(await ioc.pva_get("DESIGN:LEFT_OUT")) == []
        await ioc.pva_put("DESIGN:SKIP_UNKNOWN", 1)
        await ioc.pva_put("DESIGN:LOAD", 1)
        assert await ioc.pva_get("PULSE1:PULSES") == 9
        assert list(await ioc.pva_get("DESIGN:LEFT_OUT")) == ["NOPE.X=1: No such block"]
        assert await ioc.pva_get("DESIGN:STATUS") == "loaded bad; 1 setting left out, see DESIGN:LEFT_OUT"
        await ioc.pva_put("INENC1:VAL:SCALE", 1 / 3)
        await ioc.pva_put("DESIGN:SAVE", 1)
        assert await ioc.pva_get("DESIGN:STATUS") == "saved bad; rounded to 10 digits: INENC1.VAL.SCALE"
        await ioc.pva_put("DESIGN:NAME", "nothing")
        with pytest.raises(Exception, match="No such file"):
            await ioc.pva_put("DESIGN:LOAD", 1)


async def test_how_the_panda_differs_from_a_design(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    async with running_ioc(panda.control_port, "TEST-DIFF", ca_ports, "--designs-dir", str(tmp_path)) as ioc:
        with pytest.raises(Exception, match="no design name"):
            await ioc.pva_put("DESIGN:COMPARE", 1)
        await ioc.pva_put("DESIGN:NAME", "scan")
        with pytest.raises(Exception, match="No such file"):
            await ioc.pva_put("DESIGN:COMPARE", 1)
        panda.panda.fields["PULSE1.DELAY"].raw = 12500000001
        await ioc.pva_put("DESIGN:SAVE", 1)
        await ioc.pva_put("DESIGN:COMPARE", 1)
        assert await ioc.pva_get("DESIGN:STATUS") == "compared with scan; nothing differs"
        assert list(await ioc.pva_get("DESIGN:DIFF")) == []
        panda.simulation.set_up(["PULSE2.WIDTH.UNITS=ms", "PULSE2.WIDTH=5", "SEQ1.TABLE<", "1 2 3 4", ""])
        panda.panda.fields["PULSE1.DELAY"].raw = 12500000002
        await ioc.pva_put("DESIGN:COMPARE", 1)
        assert await ioc.pva_get("DESIGN:STATUS") == "compared with scan; 4 settings differ"
        assert list(await ioc.pva_get("DESIGN:DIFF")) == [
            "PULSE1.DELAY: 100.000000008 s -> 100.000000016 s",
            "PULSE2.WIDTH: 0 s -> 5 ms",
            "PULSE2.WIDTH.UNITS: s -> ms",
            "SEQ1.TABLE: 0 words -> 4 words",
        ]


async def test_a_design_is_all_or_nothing_when_the_ioc_is_stopped(
    panda: Server, ca_ports: Iterator[int], tmp_path: Path
) -> None:
    (tmp_path / "bad.design").write_text("PULSE1.PULSES=7\nNOPE.X=1\n")
    pulses = panda.panda.fields["PULSE1.PULSES"]
    before = pulses.read()
    async with running_ioc(panda.control_port, "TEST-HALF", ca_ports, "--designs-dir", str(tmp_path)) as ioc:
        await ioc.pva_put("DESIGN:NAME", "bad")
        panda.faults.reply_delay = 0.1
        loading = asyncio.create_task(ioc.pva_put("DESIGN:LOAD", 1))
        async with asyncio.timeout(10):
            while pulses.read() == before:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        ioc.process.send_signal(signal.SIGTERM)
        with pytest.raises(Exception, match="the previous settings are restored"):
            await loading
        assert await ioc.stop() == 0
    assert pulses.read() == before
