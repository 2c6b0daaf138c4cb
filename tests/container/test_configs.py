"""The examples of `ioc_configs/` are valid; the test needs no container engine."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aioca
import pytest
import yaml
from p4p.client.asyncio import Context

from panda_ioc import yamlfile
from panda_ioc.cli import main
from panda_ioc.ioc.process.config import Config
from panda_ioc.simulator import Server

from ..command import panda_ioc, running, said_until
from ..conftest import free_port, until
from ..ioc.process import becomes, environment
from .test_scripts import PIPES, ROOT, run

CONFIGS = ROOT / "ioc_configs"
IOCS = sorted(path.parent for path in CONFIGS.glob("*/values.yaml"))
CONFIGURED = sorted(path.parents[1] for path in CONFIGS.glob("*/config/panda-ioc.yaml"))
COMPOSES = sorted(CONFIGS.glob("*/compose.yml"))

#: Keys that the templates of the chart ioc-instance read.
CHART_KEYS = {
    *("affinity", "args", "autosaveClaim", "command", "dataVolume", "domain", "env", "extraContainers", "hostNetwork"),
    *("image", "imagePullPolicy", "initContainers", "iocConfig", "iocFolder", "labels", "lifecycle", "livenessProbe"),
    *("livenessExecutable", "location", "nfsv2TftpClaim", "nodeName", "opisClaim", "podAnnotations", "podLabels"),
    *("podSecurityContext", "prefix", "preStopExecutable", "rebootEveryCommit", "resources", "runtimeClaim"),
    *("runtimeClassName", "securityContext", "serviceAccountName", "tolerations", "volumeMounts", "volumes"),
}

#: Keys of the Compose Specification that the examples use.
SERVICE_KEYS = {
    *("build", "command", "cpus", "depends_on", "environment", "healthcheck", "image", "mem_limit", "profiles"),
    *("read_only", "restart", "stdin_open", "stop_grace_period", "tmpfs", "tty", "volumes"),
}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def composed(path: Path) -> dict[str, dict[str, Any]]:
    """Return the services with their folders, and the volumes, of a compose file and its includes."""
    content = read(path)
    assert set(content) <= {"include", "services", "volumes"}
    whole: dict[str, dict[str, Any]] = {"services": {}, "volumes": dict(content.get("volumes", {}))}
    for name, service in content.get("services", {}).items():
        whole["services"][name] = {**service, "folder": path.parent}
    for included in content.get("include", []):
        for kind, items in composed(path.parent / included).items():
            assert not items.keys() & whole[kind].keys()
            whole[kind] |= items
    return whole


def test_there_is_an_example_of_each_kind() -> None:
    assert len(IOCS) == 2
    assert {path.parent.name for path in COMPOSES} == {*(ioc.name for ioc in IOCS), "simulated", "two-pandas"}
    assert len(composed(CONFIGS / "two-pandas" / "compose.yml")["services"]) == 4
    assert len(composed(CONFIGS / "simulated" / "compose.yml")["services"]) == 2


@pytest.mark.parametrize("folder", CONFIGURED, ids=lambda folder: folder.name)
async def test_the_configuration_is_one(folder: Path) -> None:
    path = folder / "config" / "panda-ioc.yaml"
    config = yamlfile.load(path, Config)
    schema = json.loads(await panda_ioc("schema"))
    assert set(read(path)) <= set(schema["properties"])
    assert config.data.roots == (Path("/data"),)


@pytest.mark.parametrize("ioc", IOCS, ids=lambda ioc: ioc.name)
def test_the_values_fit_the_chart_and_the_configuration(ioc: Path) -> None:
    config = yamlfile.load(ioc / "config" / "panda-ioc.yaml", Config)
    content = read(ioc / "values.yaml")
    assert set(content) == {"ioc-instance"}
    values = content["ioc-instance"]
    assert set(values) <= CHART_KEYS
    for executable in (values["livenessExecutable"], values["preStopExecutable"]):
        folder, name = os.path.split(executable)
        assert folder == "/epics/ioc"
        assert (ROOT / "container" / name).exists()
    assert values["dataVolume"]["hostPath"] == str(config.data.roots[0])
    assert values["resources"]["limits"] == {"cpu": "500m", "memory": "256Mi"}
    assert values["podAnnotations"]["prometheus.io/port"] == str(config.http.port)
    assert {volume["name"] for volume in values["volumes"]} == {mount["name"] for mount in values["volumeMounts"]}
    assert config.prefix == ioc.name.upper()


@pytest.mark.parametrize("ioc", IOCS, ids=lambda ioc: ioc.name)
def test_the_folder_fits_a_repository_of_epics_containers(ioc: Path) -> None:
    """Its services share a chart, which would treat a config/ioc.yaml as one of ibek."""
    for name in ("Chart.yaml", "templates"):
        assert (ioc / name).readlink() == Path("../../.helm-shared", name)
    assert not (ioc / "config" / "ioc.yaml").exists()
    context = read(ioc / "values.yaml")["ioc-instance"]["securityContext"]
    assert not {"runAsUser", "runAsGroup"} & set(context)


def test_two_pandas_have_nothing_in_common() -> None:
    one, other = (yamlfile.load(ioc / "config" / "panda-ioc.yaml", Config) for ioc in IOCS)
    assert one.prefix != other.prefix
    assert one.panda.host != other.panda.host
    assert one.http.port != other.http.port


@pytest.mark.parametrize("path", COMPOSES, ids=lambda path: path.parent.name)
def test_compose_files_are_whole(path: Path) -> None:
    whole = composed(path)
    for name, service in whole["services"].items():
        assert set(service) - {"folder"} <= SERVICE_KEYS, name
        assert service["image"] == "panda-ioc:0.1.0"
        assert set(service.get("depends_on", [])) <= set(whole["services"])
        if "build" in service:
            assert (service["folder"] / service["build"] / "Dockerfile").resolve() == ROOT / "Dockerfile"
        for source, target in (volume.split(":")[:2] for volume in service.get("volumes", [])):
            if source.startswith("."):
                config = yamlfile.load(service["folder"] / source / "panda-ioc.yaml", Config)
                assert target == "/epics/ioc/config"
                assert config.panda.host in whole["services"]
            else:
                assert source in whole["volumes"]
        command, *arguments = service.get("command", ["panda-ioc", "--help"])
        assert command == "panda-ioc"
        if "command" in service:  # click processes its options
            main.commands[arguments[0]].make_context(arguments[0], arguments[1:])


def test_the_release_is_what_the_repository_has() -> None:
    """The test does not run the workflow: its names must exist, and it must publish only its own builds."""
    workflow = read(ROOT / ".github" / "workflows" / "release.yml")
    jobs = workflow["jobs"]
    assert jobs["publish"]["needs"] == ["wheel", "image"]
    script = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    for name in ("src/panda_ioc/__init__.py", "CHANGELOG.md", "requirements-image.lock"):
        assert name in script
        assert (ROOT / name).exists()
    assert re.search(r'^__version__ = "(.*)"$', (ROOT / "src/panda_ioc/__init__.py").read_text("utf-8"), re.MULTILINE)
    assert all("timeout-minutes" in job for job in jobs.values())


def test_the_image_has_what_the_examples_ask_for() -> None:
    """Metrics and compression need optional packages."""
    copied = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lock = (ROOT / "requirements-image.lock").read_text(encoding="utf-8")
    assert "--requirement requirements-image.lock" in copied
    for package in ("prometheus-client==", "hdf5plugin=="):
        assert f"\n{package}" in lock
    tried = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    assert set(re.findall(r"^\S+==\S+", lock, re.MULTILINE)) <= set(re.findall(r"^\S+==\S+", tried, re.MULTILINE))


@pytest.mark.parametrize(
    "folder", [path.parents[1] for path in CONFIGS.glob("*/config/panda-ioc.yaml")], ids=lambda f: f.name
)
async def test_it_starts_as_in_the_container(
    folder: Path, panda: Server, tmp_path: Path, ca_ports: Iterator[int]
) -> None:
    """Run start.sh, liveness.sh and stop.sh with each configuration; the test sets only host, ports and folders."""
    config = read(folder / "config" / "panda-ioc.yaml")
    config["panda"] = {"host": "127.0.0.1", "control_port": panda.control_port, "data_port": panda.data_port}
    config["http"]["port"] = free_port()
    config["data"]["roots"] = [str(tmp_path)]
    for section in ("state", "screens"):
        if section in config:
            config[section]["directory"] = str(tmp_path / section)
            (tmp_path / section).mkdir()
    file = tmp_path / "ioc" / "config" / "panda-ioc.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    alive = tmp_path / "alive"
    variables = {
        **os.environ,
        **environment(next(ca_ports)),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "EPICS_ROOT": str(tmp_path),
        "PANDA_IOC_ALIVE_FILE": str(alive),
    }
    process = await asyncio.create_subprocess_exec(str(ROOT / "container" / "start.sh"), env=variables, **PIPES)
    try:
        await until(lambda: alive.exists() and len(alive.read_text().splitlines()) == 2, 30)
        assert alive.read_text() == f"{process.pid}\n{config['http']['host']} {config['http']['port']}\n"
        await becomes(f"{config['prefix']}:Status", 2, 30)
        for shell in ("/bin/sh", "/bin/bash"):
            assert await run("liveness.sh", variables, shell) == (0, "")
        assert (await run("stop.sh", variables))[0] == 0
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        aioca.purge_channel_caches()
    if "screens" in config:
        assert list((tmp_path / "screens").glob("*.bob"))


@pytest.mark.parametrize(
    ("answer", "says"),
    [(b"HTTP/1.0 200 OK\r\n\r\nalive\n", ""), (b"HTTP/1.0 503 No\r\n\r\nthe event loop is stuck\n", "loop is stuck")],
)
async def test_liveness_believes_healthz(tmp_path: Path, answer: bytes, says: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"GET /healthz HTTP/1.0\r\n"
        writer.write(answer)
        writer.close()

    alive = tmp_path / "alive"
    variables = {**os.environ, "EPICS_ROOT": str(tmp_path), "PANDA_IOC_ALIVE_FILE": str(alive)}
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        alive.write_text(f"1\n127.0.0.1 {server.sockets[0].getsockname()[1]}\n")
        code, said = await run("liveness.sh", variables)
        assert (code, says in said) == (1 if says else 0, True)
    code, said = await run("liveness.sh", variables)
    assert code == 1
    assert "is not healthy" in said


@asynccontextmanager
async def started(folder: Path, panda: Server, tmp_path: Path, variables: dict[str, str]) -> AsyncIterator[str]:
    """Run an example unchanged, except for the PandA and the folders; return its prefix."""
    config = read(folder / "config" / "panda-ioc.yaml")
    config["panda"] = {"host": "127.0.0.1", "control_port": panda.control_port, "data_port": panda.data_port}
    config["http"] = {"host": "127.0.0.1", "port": panda.data_port}  # which another process uses
    for section in ("data", "state", "screens"):
        config.pop(section, None)
    file = tmp_path / f"{folder.name}.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    async with running("run", "--config", file, environment=variables, **PIPES) as process:
        assert "cannot serve HTTP on 127.0.0.1" in await said_until(process, "serving ", 30)
        yield config["prefix"]
        process.terminate()
        await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0


async def test_two_iocs_share_a_host(panda: Server, tmp_path: Path, ca_ports: Iterator[int]) -> None:
    """Both have the same ports for clients, as with hostNetwork: the second one uses free ports."""
    variables = environment(next(ca_ports))
    one, other = (started(ioc, panda, tmp_path, variables) for ioc in IOCS)
    async with one as first, other as second:
        with Context("pva", conf=variables, useenv=False) as pva:
            names = [f"{prefix}:PULSE1:WIDTH" for prefix in (first, second)]
            assert await asyncio.wait_for(pva.get(names), 10) == [0.0, 0.0]
            await asyncio.wait_for(pva.put(names[0], 0.25), 10)
            changes: asyncio.Queue[Any] = asyncio.Queue()  # puts of the other IOC to the same PandA
            monitor = pva.monitor(names[1], changes.put)
            async with asyncio.timeout(10):
                while await changes.get() != 0.25:
                    pass
            monitor.close()
