"""The scripts of the container without a container: the real scripts, a real IOC, folders of the test."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from panda_ioc.simulator import Server

from ..conftest import free_port, until
from ..ioc.process import becomes, environment

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "container").glob("*.sh"))
PIPES: Any = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}


@pytest.fixture
def variables(tmp_path: Path, ca_ports: Iterator[int]) -> dict[str, str]:
    """The environment of the scripts: /epics is another folder, the commands are those of this project."""
    (tmp_path / "ioc" / "config").mkdir(parents=True)
    return {
        **os.environ,
        **environment(next(ca_ports)),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "EPICS_ROOT": str(tmp_path),
        "PANDA_IOC_ALIVE_FILE": str(tmp_path / "alive"),
    }


async def run(name: str, variables: dict[str, str], shell: str = "/bin/bash") -> tuple[int | None, str]:
    """Run a script to its end, as epics-containers does; return its exit code and output."""
    script = str(ROOT / "container" / name)
    process = await asyncio.create_subprocess_exec(shell, script, env=variables, **PIPES)
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    return process.returncode, output.decode()


@pytest.fixture
async def ioc(panda: Server, variables: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """An IOC that start.sh started from a config folder."""
    config = {
        "prefix": "TEST-CONTAINER",
        "panda": {"host": "127.0.0.1", "control_port": panda.control_port, "data_port": panda.data_port},
    }
    file = Path(variables["EPICS_ROOT"]) / "ioc" / "config" / "panda-ioc.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(str(ROOT / "container" / "start.sh"), env=variables, **PIPES)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
@pytest.mark.parametrize("shell", ["sh", "bash"])
async def test_every_script_is_one(script: Path, shell: str) -> None:
    assert os.access(script, os.X_OK)
    process = await asyncio.create_subprocess_exec(shell, "-n", str(script))
    assert await process.wait() == 0


async def test_from_start_to_stop(ioc: asyncio.subprocess.Process, variables: dict[str, str]) -> None:
    alive = Path(variables["PANDA_IOC_ALIVE_FILE"])
    await until(alive.exists, 20)
    for name in ("startup.sh", "liveness.sh"):
        assert await run(name, variables) == (0, "")
    await becomes("TEST-CONTAINER:Status", 2, 20)
    assert int(alive.read_text()) == ioc.pid  # the script has replaced itself by the IOC
    touched = alive.stat().st_mtime_ns
    await until(lambda: alive.stat().st_mtime_ns > touched)
    assert await run("stop.sh", variables) == (0, "")
    said, _ = await asyncio.wait_for(ioc.communicate(), 10)
    assert (ioc.returncode, b"stopping" in said) == (0, True)
    assert not alive.exists()
    assert await run("liveness.sh", variables, "/bin/sh") == (1, f"the IOC is not running: {alive} does not exist\n")
    assert await run("stop.sh", variables, "/bin/sh") == (0, "the IOC is not running\n")


async def test_an_ioc_that_hangs_is_not_alive(ioc: asyncio.subprocess.Process, variables: dict[str, str]) -> None:
    alive = Path(variables["PANDA_IOC_ALIVE_FILE"])
    await until(alive.exists, 20)
    ioc.send_signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(10):
            while (probed := await run("liveness.sh", {**variables, "PANDA_IOC_ALIVE_SECONDS": "1"}))[0] == 0:
                pass
        assert (probed[0], "the IOC hangs" in probed[1]) == (1, True)
        stopped = await run("stop.sh", {**variables, "PANDA_IOC_STOP_SECONDS": "1"})
        assert stopped == (1, "the IOC did not stop within 1 s\n")
    finally:
        ioc.send_signal(signal.SIGCONT)
    assert await asyncio.wait_for(ioc.wait(), 10) == 0


@pytest.mark.parametrize(
    ("present", "chosen"), [(["ioc.yaml"], "ioc.yaml"), (["ioc.yaml", "panda-ioc.yaml"], "panda-ioc.yaml")]
)
async def test_the_name_of_earlier_versions_is_read_too(
    variables: dict[str, str], tmp_path: Path, present: list[str], chosen: str
) -> None:
    command = tmp_path / "bin" / "panda-ioc"
    command.parent.mkdir()
    command.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    config = Path(variables["EPICS_ROOT"]) / "ioc" / "config"
    for name in present:
        (config / name).touch()
    path = {"PATH": f"{command.parent}:/usr/bin:/bin"}
    assert await run("start.sh", {**variables, **path}) == (0, f"run --config {config / chosen}\n")


async def test_what_is_missing_is_named(variables: dict[str, str]) -> None:
    code, said = await run("start.sh", variables)
    assert code
    assert "PANDA_IOC_HOST: set it to the host of the PandA" in said
    code, said = await run("start.sh", {**variables, "PANDA_IOC_HOST": "no.such.host.invalid"})
    assert code
    assert "set IOC_PREFIX to the prefix of all PVs" in said
    code, said = await run("start.sh", {**variables, "PANDA_IOC_HOST": "no.such.host.invalid", "IOC_PREFIX": "X"})
    assert code == 1
    assert "cannot connect to no.such.host.invalid:8888" in said


async def test_an_ioc_that_waits_for_its_panda_is_alive(variables: dict[str, str]) -> None:
    """Only with variables, as the chart sets them, while the PandA is off."""
    nobody = {"PANDA_IOC_HOST": "127.0.0.1", "PANDA_IOC_CONTROL_PORT": str(free_port()), "IOC_PREFIX": "TEST-WAITS"}
    start = str(ROOT / "container" / "start.sh")
    process = await asyncio.create_subprocess_exec(start, env={**variables, **nobody}, **PIPES)
    try:
        await until(Path(variables["PANDA_IOC_ALIVE_FILE"]).exists, 20)
        for name in ("startup.sh", "liveness.sh", "stop.sh"):
            assert await run(name, variables) == (0, "")
        said, _ = await asyncio.wait_for(process.communicate(), 10)
        assert (process.returncode, b"Traceback" in said) == (0, False)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("name", [script.name for script in SCRIPTS])
async def test_the_config_folder_may_have_its_own(variables: dict[str, str], name: str) -> None:
    own = Path(variables["EPICS_ROOT"]) / "ioc" / "config" / name
    own.write_text("[[ -n $EPICS_ROOT ]] && echo my own\nexit 3\n", encoding="utf-8")
    assert await run(name, variables) == (3, "my own\n")


async def test_what_deployments_of_pandablocks_ioc_call(panda: Server, variables: dict[str, str]) -> None:
    """A config folder of pandablocks-ioc: a start.sh with this command line, on the default ports unless set."""
    root = Path(variables["EPICS_ROOT"])
    ports = f"--control-port {panda.control_port} --data-port {panda.data_port}"
    command = f"pandablocks-ioc softioc 127.0.0.1 TEST-DEPLOYED --clear-bobfiles --screens-dir {root}/opi {ports}"
    (root / "ioc" / "config" / "start.sh").write_text(f"mkdir -p {root}/opi\n{command}\n", encoding="utf-8")
    alive = Path(variables["PANDA_IOC_ALIVE_FILE"])
    process = await asyncio.create_subprocess_exec(str(ROOT / "container" / "start.sh"), env=variables, **PIPES)
    try:
        await until(alive.exists, 20)
        await becomes("TEST-DEPLOYED:PULSE1:PULSES", 0, 20)
        assert await run("stop.sh", variables) == (0, "")
        await asyncio.wait_for(process.communicate(), 10)
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
