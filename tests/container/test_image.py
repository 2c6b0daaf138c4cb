"""The image: two containers, a simulated PandA and its IOC, from start to stop. `.ci/image` builds it and runs this.

They run in the host network on loopback addresses, and the IOC runs as in a pod: a read-only root, any user, the
chart's limits of memory and CPU.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - which reads what lz4 compressed
import numpy as np
import pytest
import yaml
from p4p.client.asyncio import Context

from ..conftest import free_port
from ..ioc.process import environment
from .test_scripts import ROOT

IMAGE = os.environ.get("PANDA_IOC_IMAGE", "")

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(shutil.which("podman") is None, reason="there is no podman"),
    pytest.mark.skipif(not IMAGE, reason="PANDA_IOC_IMAGE does not name the image"),
]

#: Root may not raise limits on every machine; the network is the host's, as with `hostNetwork`.
LIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=4096:4096")
COMMON = (*LIMITS, "--network", "host", "--runtime", "runc", "--no-healthcheck")

PREFIX = "BL01T-EA-PANDA-01"


async def podman(*arguments: str | Path, code: int = 0) -> str:
    """Run podman; return its output."""
    process = await asyncio.create_subprocess_exec(
        *("podman", *map(str, arguments)), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, problem = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == code, (said + problem).decode()
    return said.decode()


@asynccontextmanager
async def container(name: str, *options: str | Path, command: tuple[str, ...] = ()) -> AsyncIterator[str]:
    name = f"panda-ioc-test-{os.getpid()}-{name}"
    await podman("run", "--detach", "--name", name, *COMMON, *options, IMAGE, *command)
    try:
        yield name
    except BaseException:
        print(await podman("logs", name))  # noqa: T201 - pytest shows it
        raise
    finally:
        await podman("rm", "--force", "--time", "1", name)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Return the mounts of the IOC, which any user can access."""
    folders = {name: tmp_path / name for name in ("data", "autosave", "opi")}
    for folder in folders.values():
        folder.mkdir()
        folder.chmod(0o777)
    return folders


async def test_from_start_to_stop(folders: dict[str, Path], tmp_path: Path, ca_ports: Iterator[int]) -> None:
    panda = f"127.78.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
    config = yaml.safe_load((ROOT / "ioc_configs/bl01t-ea-panda-01/config/panda-ioc.yaml").read_text(encoding="utf-8"))
    config["panda"]["host"] = panda
    config["http"] = {"port": free_port()}
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "panda-ioc.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    variables = environment(next(ca_ports))
    options = [
        *("--read-only", "--tmpfs", "/tmp:size=16m", "--user", "12345:0", "--memory", "256m", "--cpus", "0.5"),  # noqa: S108
        *(word for item in variables.items() for word in ("--env", "=".join(item))),
        *("--volume", f"{tmp_path / 'config'}:/epics/ioc/config:ro", "--volume", f"{folders['data']}:/data"),
        *("--volume", f"{folders['autosave']}:/autosave", "--volume", f"{folders['opi']}:/epics/opi"),
    ]
    demo = ("sh", "-c", f"exec panda-ioc simulator --host {panda} --scenario $(python -c '{_DEMO}')")
    async with container("panda", command=demo), container("ioc", *options) as ioc:
        await _succeeds(ioc, "/epics/ioc/startup.sh")
        with Context("pva", conf=variables, useenv=False) as pva:
            await _capture(pva)
        for script in ("startup.sh", "liveness.sh"):
            assert await podman("exec", ioc, f"/epics/ioc/{script}") == ""
        await podman("stop", "--time", "10", ioc)
        state = json.loads(await podman("inspect", ioc))[0]["State"]
        log = await podman("logs", ioc)
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False), log
        assert "stopping: SIGTERM" in log
        assert "Traceback" not in log
    with h5py.File(folders["data"] / "image.h5") as file:
        positions = np.asarray(file["INENC1.VAL.Value"])
        assert len(positions) > 0
    assert (folders["autosave"] / f"{PREFIX}.softsav").exists()
    assert list(folders["opi"].glob("*.bob"))


#: Where the scenario of the demo is in the image.
_DEMO = "from panda_ioc.simulator.scenario import DEMO; print(DEMO)"


async def _succeeds(name: str, script: str) -> None:
    async with asyncio.timeout(60):
        while await _code_of(name, script):
            pass


async def _code_of(name: str, script: str) -> int | None:
    process = await asyncio.create_subprocess_exec(
        *("podman", "exec", name, script), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


async def _capture(pva: Context) -> None:
    """Capture one acquisition of the demo to a compressed file."""
    changes: asyncio.Queue[object] = asyncio.Queue()
    async with asyncio.timeout(90):
        for name, value in {
            "HDF_DIRECTORY": "/data",
            "HDF_FILE_NAME": "image.h5",
            "COMPRESSION": "lz4",
            "CAPTURE": 1,
        }.items():
            await pva.put(f"{PREFIX}:DATA:{name}", value)
        monitor = pva.monitor(f"{PREFIX}:DATA:CAPTURE", changes.put)
        while await changes.get():
            pass
        monitor.close()
        assert await pva.get(f"{PREFIX}:DATA:WRITE_STATUS") == 0


async def test_what_is_in_it_is_listed() -> None:
    listed = json.loads(await podman("run", "--rm", *COMMON, "--read-only", IMAGE, "cat", "/venv/sbom.cdx.json"))
    names = {component["name"]: component for component in listed["components"]}
    assert {"panda-ioc", "softioc", "p4p", "h5py", "hdf5plugin", "prometheus-client"} <= set(names)
    assert not {"pip", "hatchling", "phoebusgen"} & set(names)
    assert {name for name, component in names.items() if not component["licenses"]} <= set()
