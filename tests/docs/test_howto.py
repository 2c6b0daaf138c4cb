"""The how-to pages: their commands give the output that the page shows, their Python runs, their pictures are made."""

import asyncio
import os
import re
import runpy
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aioca import purge_channel_caches

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import Disarm, GetState, Put, SetState
from panda_ioc.simulator import Server, load

from ..command import said_by
from ..conftest import free_port
from ..ioc.process import Ioc, becomes, running_ioc
from .howto import HOWTOS, Block, Ports, blocks, check_output, show
from .pages import ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
async def panda() -> AsyncIterator[Server]:
    async with Server(load(), control_port=0, data_port=0) as server:
        yield server


@pytest.fixture(scope="module")
async def ioc(panda: Server, ca_ports: Iterator[int]) -> AsyncIterator[Ioc]:
    options = ("--data-port", str(panda.data_port))
    async with running_ioc(panda.control_port, "PANDA", ca_ports, *options) as ioc:
        yield ioc
        purge_channel_caches()  # before the IOC ends: no callback must come after the event loop has closed


@pytest.fixture(scope="module")
async def settings(panda: Server) -> Sequence[str]:
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        return await client.send(GetState())


@pytest.fixture
async def fresh(panda: Server, settings: Sequence[str]) -> None:
    """Give the PandA the settings that it had at the start, whatever another page did, and a motor at 0."""
    motor = panda.simulation.outside.motor("INENC1")
    motor.link(up=True)
    motor.jump(0)
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        await client.send(Disarm())
        await client.send(SetState(settings))
        await client.send(Put("INENC1.SETP", 0))


@pytest.fixture(scope="module")
def ports(panda: Server, ioc: Ioc) -> Ports:
    names = {"5064": "EPICS_CA_SERVER_PORT", "5075": "EPICS_PVA_SERVER_PORT", "5076": "EPICS_PVA_BROADCAST_PORT"}
    usual = {port: ioc.environment[name] for port, name in names.items()}
    usual |= {port: str(free_port()) for port in ("5085", "5086")}
    return Ports(panda.control_port, panda.data_port, usual)


@asynccontextmanager
async def background(block: Block, folder: Path, port: int) -> AsyncIterator[None]:
    """Run the gateway that a block starts, until the end of the page."""
    line = next(line for line in block.text.splitlines() if line.startswith("pvagw "))
    program, *arguments = line.split()
    process = await asyncio.create_subprocess_exec(Path(sys.executable).parent / program, *arguments, cwd=folder)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                break
        yield
    finally:
        process.terminate()
        await process.wait()


def with_drive(code: str, ports: Ports) -> str:
    """Let a program drive the PandA of the test."""
    drive = f"{sys.executable} -m panda_ioc drive 127.0.0.1 --control-port {ports.control}"
    return code.replace("panda-ioc drive localhost", drive)


#: What a reader who knows EPICS searches for; each must be in a heading.
SEARCHED = (
    "archiver",
    "autosave",
    "bluesky",
    "ChannelFinder",
    "encoder",
    "error",
    "gateway",
    "homing",
    "Kubernetes",
    "NeXus",
    "position compare",
    "raw",
    "SEQ",
    "snake scan",
    "Tiled",
    "time stamp",
    "troubleshooting",
    "UNITS",
)

#: Pages that start programs which take seconds.
SLOW = {"how-to/scan-software.md", "how-to/gateways.md"}


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("page", [pytest.param(page, marks=[pytest.mark.long] * (page in SLOW)) for page in HOWTOS])
async def test_a_page(page: str, ports: Ports, ioc: Ioc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ioc.environment.items():
        if name.startswith("EPICS_PVA"):
            monkeypatch.setenv(name, value)
    async with AsyncExitStack() as stack:
        for told in blocks(DOCS / page):
            text = ports.replace(told.text.replace("/tmp", str(tmp_path)))  # noqa: S108 - what the page calls so
            block = replace(told, text=text)
            if block.file or block.language == "json":
                (tmp_path / (block.file or "pvagw.conf")).write_text(block.text, encoding="utf-8")
            elif block.language == "sh":
                await show(block, ports, tmp_path)
            elif block.language == "python":
                code = with_drive(block.text, ports)
                said = await said_by(sys.executable, "-c", code, environment=ioc.environment, folder=tmp_path)
                check_output(block.expected or "...", said or "\n")
            elif "pvagw " in block.text:
                await stack.enter_async_context(background(block, tmp_path, int(ports.usual["5085"])))


async def test_the_record_of_the_encoder_page_sets_the_position(ports: Ports, ioc: Ioc, tmp_path: Path) -> None:
    """A motor IOC with the record of the page, and a record for the readback of its motor, which is at 1234."""
    (record,) = re.findall(
        r"```text\n(# setp\.db\n.*?)```", (DOCS / "how-to" / "encoders.md").read_text("utf-8"), re.DOTALL
    )
    text = record.replace(".RRBV", ":RRBV").replace("closed_loop", 'closed_loop")\n    field(SCAN, ".5 second')
    (tmp_path / "setp.db").write_text('record(longout, "BL01T-MO-TABLE-01:X:RRBV") { field(VAL, "1234") }\n' + text)
    addresses = {"EPICS_CA_ADDR_LIST": f"127.0.0.1:{ports.usual['5064']}", "EPICS_CA_AUTO_ADDR_LIST": "NO"}
    alone = {
        **os.environ,
        **addresses,
        "EPICS_CA_SERVER_PORT": str(free_port()),
        "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
    }
    command = [sys.executable, "-m", "epicscorelibs.ioc", "-d", str(tmp_path / "setp.db")]
    motor_ioc = await asyncio.create_subprocess_exec(*command, env=alone, stdin=asyncio.subprocess.PIPE)
    try:
        await becomes("PANDA:INENC1:VAL", 1234, timeout=20)
    finally:
        motor_ioc.kill()
        await motor_ioc.wait()


@pytest.mark.parametrize("word", SEARCHED)
def test_a_heading_has_what_is_searched_for(word: str) -> None:
    headings = [
        line for page in HOWTOS for line in re.findall(r"^#+ .*$", (DOCS / page).read_text("utf-8"), re.MULTILINE)
    ]
    assert any(re.search(rf"\b{word}", line, re.IGNORECASE) for line in headings)


def pictures(page: str) -> set[str]:
    return set(re.findall(r"\]\(\.\./pictures/([\w-]+\.\w+)\)", (DOCS / page).read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", HOWTOS)
def test_its_pictures_are_there(page: str) -> None:
    assert pictures(page) <= {path.name for path in (DOCS / "pictures").iterdir()}


@pytest.mark.long
@pytest.mark.parametrize("page", [page for page in HOWTOS if pictures(page)])
def test_its_pictures_are_made(page: str, tmp_path: Path) -> None:
    make: Callable[[Path, Path], list[str]] = runpy.run_path(str(DOCS / "howto_pictures.py"))["make"]
    assert set(make(DOCS / page, tmp_path)) == pictures(page) == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("page", HOWTOS)
def test_what_is_not_run_needs_what_is_not_here(page: str) -> None:
    """Blocks of bash set variables, or need an archiver, a gateway of Channel Access, or a cluster."""
    for block in blocks(DOCS / page):
        if block.language == "bash":
            for line in block.text.splitlines():
                assert re.match(r"(export|curl|gateway|pvagw|kubectl|blueapi|tiled|pip|docker|podman) ", line), line
        else:
            assert block.language in {"sh", "python", "yaml", "json", "text"}, block
