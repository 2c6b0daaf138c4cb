"""Every screen in a real viewer of `.bob` files: all PVs connect, there are no warnings, and pictures are saved.

`bobview` (`cargo install bobview --locked`) draws without a display. The test finds it on PATH, or by the variable
BOBVIEW; without it, these tests are skipped. SCREEN_PICTURES names a directory that keeps the pictures. It does
not draw tables; the test checks that their PVs connect.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib.image
import pytest

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.link.introspection import introspect
from panda_ioc.ioc.plan.plan import Plan, make_plan
from panda_ioc.simulator import Server, load

from ..conftest import SHARED, free_port
from ..ioc.bobfiles import Opened, opened
from ..ioc.process import Ioc, running_ioc
from ..replay import replaying

pytestmark = pytest.mark.viewer

BOBVIEW = Path(os.environ.get("BOBVIEW") or shutil.which("bobview") or "/no/bobview")

#: The border of a disconnected widget.
DISCONNECTED = (213, 61, 213)

#: PVs that only PV Access serves.
TABLES = (":TABLE", ":DATASETS")

#: Warnings about IOCs that other tests have stopped, and about Jython expressions, which bobview does not run.
HARMLESS = ("beacon period exceeded", 'cannot parse \'"pva://" + widget.getEffectiveMacros()')


@dataclass
class Stage:
    """Screens in a directory, and their IOC."""

    directory: Path
    ioc: Ioc
    screens: list[Opened]

    async def view(self, program: str, *arguments: str) -> tuple[str, str]:
        """Run a program of the viewer to its end; return its output."""
        ca, pva = (self.ioc.environment[name] for name in ("EPICS_CA_SERVER_PORT", "EPICS_PVA_BROADCAST_PORT"))
        variables = {
            "EPICS_CA_ADDR_LIST": f"127.0.0.1:{ca}",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_PVA_ADDR_LIST": f"127.0.0.1:{pva}",
            "EPICS_PVA_AUTO_ADDR_LIST": "NO",
            "EPICS_PVA_BROADCAST_PORT": pva,
        }
        process = await asyncio.create_subprocess_exec(
            BOBVIEW.with_name(program),
            *arguments,
            env={**os.environ, **variables},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(), 120)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, errors.decode()
        return output.decode(), errors.decode()


async def plan_of(port: int, prefix: str) -> Plan:
    async with AsyncioClient("127.0.0.1", port) as client:
        return make_plan(await introspect(client), prefix, designs=True)


@pytest.fixture(scope="module", params=["simulated", "recorded"])
async def stage(
    request: pytest.FixtureRequest, ca_ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    if not BOBVIEW.is_file():
        pytest.skip("there is no bobview here")
    if request.param == "recorded" and not SHARED.is_dir():
        pytest.skip("there are no recordings of a real server here")
    directory = tmp_path_factory.mktemp(f"screens-{request.param}")
    prefix = f"VIEWER-{request.param.upper()}"
    port, data_port = free_port(), free_port()
    panda = (
        Server(load(), control_port=port, data_port=data_port)
        if request.param == "simulated"
        else replaying(SHARED, port, data_port)
    )
    options = ("--data-port", str(data_port), "--screens-dir", str(directory), "--designs-dir", str(directory))
    async with panda, running_ioc(port, prefix, ca_ports, *options) as ioc:
        await ioc.wait_for("screens, 0 removed")
        texts = {path.name: path.read_text() for path in directory.glob("*.bob")}
        yield Stage(directory, ioc, opened(texts))


async def test_every_pv_connects(stage: Stage) -> None:
    names = sorted({f"pva://{pv}" if pv.endswith(TABLES) else pv for screen in stage.screens for pv in screen.pvs})
    output, _ = await stage.view("bobview-probe", "--seconds", "8", *names)
    last = {name.rpartition("//")[2]: state for name, _, state in (line.partition(" ") for line in output.splitlines())}
    bad = {name: state.strip() for name, state in last.items() if state.strip().startswith(("disconnected", "error"))}
    assert bad == {}
    assert set(last) == {name.removeprefix("pva://") for name in names}


async def test_every_screen_is_drawn_without_a_warning(stage: Stage) -> None:
    shown = {screen.file: screen for screen in reversed(stage.screens)}
    problems = [problem for screen in shown.values() for problem in await _problems(stage, screen)]
    assert problems == []


async def _problems(stage: Stage, screen: Opened) -> list[str]:
    """Draw a screen; return its problems."""
    pictures = Path(os.environ.get("SCREEN_PICTURES") or stage.directory)
    picture = pictures / f"{stage.ioc.prefix}-{screen.file.removesuffix('.bob')}.png"
    width, height = (int(screen.root.findtext(tag) or 0) for tag in ("width", "height"))
    macros = ",".join(f"{name}={value}" for name, value in screen.macros.items() if name != "DID")
    arguments = ("--snapshot", str(picture), "--size", f"{width + 40}x{height + 60}", "--wait", "3", "--no-archiver")
    _, errors = await stage.view("bobview", str(stage.directory / screen.file), "-m", macros, *arguments)
    said = [
        f"{screen.file}: {line}"
        for line in errors.splitlines()
        if "WARN" in line and not any(map(line.count, HARMLESS))
    ]
    pixels = (matplotlib.image.imread(picture)[..., :3] * 255).round().astype(int)
    if (pixels == DISCONNECTED).all(axis=2).sum() > 20:
        said.append(f"{screen.file}: something is disconnected, see {picture}")
    return said
