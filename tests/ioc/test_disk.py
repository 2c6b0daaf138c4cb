"""Captures while the disk blocks or is full, or the IOC stops: PVs stay alive and correct."""

import asyncio
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from types import MappingProxyType

import h5py
import numpy as np
import psutil
import pytest
from aioca import DBR_CHAR_STR, FORMAT_TIME, caget

from panda_ioc.ioc.services.data.capture import QUEUE_BYTES
from panda_ioc.simulator import Server

from .. import preloaded
from ..acquire import capture_counter, samples_on_arm
from ..conftest import until
from ..relay import Relay
from .datapvs import DataPvs
from .process import Ioc, is_refused, running_ioc

#: Clients cache the addresses of names, so each IOC has a new prefix.
_NUMBERS = count(1)

ROWS = 1 << 18  # 3 MiB of samples


#: Memory limit in bytes for a capture, without the disk queue.
MORE_MEMORY = 64 << 20


def block(rows: int = ROWS) -> np.ndarray:
    return np.zeros((rows, 3), np.uint32)


@pytest.fixture
async def iocs(panda: Server, ca_ports: Iterator[int]) -> AsyncIterator["Starter"]:
    async with AsyncExitStack() as stack:
        yield Starter(panda, ca_ports, stack)


class Starter:
    """Start IOCs that capture a counter of the PandA."""

    def __init__(self, panda: Server, ca_ports: Iterator[int], stack: AsyncExitStack) -> None:
        self._panda = panda
        self._ca_ports = ca_ports
        self._stack = stack

    async def capturing(
        self, directory: Path, rows: int, variables: Mapping[str, str] = MappingProxyType({}), *, control_port: int = 0
    ) -> tuple[Ioc, DataPvs]:
        """An IOC with a running capture that has some rows."""
        capture_counter(self._panda)
        samples_on_arm(self._panda, rows, reason="")
        ports = ("--data-port", str(self._panda.data_port))
        ioc = await self._stack.enter_async_context(
            running_ioc(
                *(control_port or self._panda.control_port, f"TEST-DISK-{next(_NUMBERS)}", self._ca_ports),
                *ports,
                extra=variables,
            )
        )
        data = DataPvs(ioc, directory)
        for name, value in {"HDF_DIRECTORY": str(directory), "HDF_FILE_NAME": "x.h5", "FLUSH_PERIOD": 0.1}.items():
            await data.put(name, value)
        await data.put("CAPTURE", 1)
        await data.arm()
        await data.until("NUM_CAPTURED", rows)
        return ioc, data


@pytest.fixture(scope="session")
def blocking_library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that makes the disk of a process block; see its source."""
    return str(preloaded.build("blockeddisk", tmp_path_factory.mktemp("library")))


@pytest.fixture
def blocked(tmp_path: Path, blocking_library: str) -> "Blocked":
    return Blocked(tmp_path, blocking_library)


class Blocked:
    """A directory that blocks for the IOC while a certain file exists.

    Attributes:
        directory: the directory
        sign: the file that blocks it
        variables: environment variables for the IOC
    """

    def __init__(self, folder: Path, library: str) -> None:
        self.directory, self.sign = folder / "blocked", folder / "sign"
        self.directory.mkdir()
        self.variables = {
            "LD_PRELOAD": library,
            "BLOCKED_DIRECTORY": str(self.directory),
            "BLOCKED_WHILE": str(self.sign),
        }


def most_memory(ioc: Ioc) -> int:
    """Return the peak memory of an IOC process in bytes."""
    (line,) = re.findall(r"^VmHWM:\s*(\d+) kB", Path(f"/proc/{ioc.process.pid}/status").read_text(), re.MULTILINE)
    return int(line) * 1024


async def test_a_capture_that_is_larger_than_memory_should_be(iocs: Starter, panda: Server, tmp_path: Path) -> None:
    ioc, data = await iocs.capturing(tmp_path, 10)
    before = most_memory(ioc)
    for captured in range(16, 97, 16):
        for _ in range(16):
            panda.capture.append(block())
        await data.until("NUM_CAPTURED", captured * ROWS + 10)
    # The whole capture is 288 MiB, of which 96 may wait for the disk.
    assert most_memory(ioc) - before < QUEUE_BYTES + MORE_MEMORY
    data.path.unlink()


async def test_a_disk_that_blocks(iocs: Starter, panda: Server, blocked: Blocked) -> None:
    """Samples wait in the IOC, then in the PandA; the file gets all of them when the disk works again."""
    ioc, data = await iocs.capturing(blocked.directory, 10, blocked.variables)
    before = most_memory(ioc)
    blocked.sign.touch()
    for _ in range(4):
        panda.capture.append(block())
    await data.until("NUM_RECEIVED", 4 * ROWS + 10)
    assert await data.get("NUM_CAPTURED") == 10
    assert await data.get("STATUS") == "Capturing"
    statuses = await ioc.monitor("DATA:STATUS")
    for _ in range(70):
        panda.capture.append(block())
    status = (await asyncio.wait_for(statuses.get(), 10)).todict()
    assert status["value"].startswith("Waiting for the disk: ")
    assert status["alarm"]["severity"] == 1
    await data.until("LIVE:MESSAGE", status["value"])
    assert await data.get("CAPTURE") == 1
    # The queue is full, and the PVs stay alive.
    assert await caget(ioc.pv("PULSE1:PULSES")) == 0
    await ioc.pva_put("PULSE1:PULSES", 2)
    # The receive buffer is larger than its content, and some data are between buffer and queue.
    assert most_memory(ioc) - before < QUEUE_BYTES + MORE_MEMORY
    blocked.sign.unlink()
    await data.until("NUM_CAPTURED", 74 * ROWS + 10)
    assert (await data.get("STATUS"), await data.get("LIVE:MESSAGE")) == ("Capturing", "")
    assert (await data.get("DROPPED"), await data.get("WRITE_STATUS")) == (0, 0)
    await data.put("CAPTURE", 0)
    assert len(data.column()) == 74 * ROWS + 10
    assert most_memory(ioc) - before < QUEUE_BYTES + MORE_MEMORY


async def test_a_disk_that_blocks_for_too_long(iocs: Starter, panda: Server, blocked: Blocked) -> None:
    """The buffer of the PandA overflows: the file has all earlier samples, and the status has the reason of the end."""
    panda.capture.buffer_bytes = 16 << 20
    _, data = await iocs.capturing(blocked.directory, 10, blocked.variables)
    blocked.sign.touch()
    numbers = np.arange(100 * ROWS, dtype=np.uint32).reshape(100, ROWS)
    for blocks, each in enumerate(numbers, 1):
        panda.capture.append(np.stack([each, each * 0, each * 0], axis=1))
        if blocks in {4, 8, 12}:
            await data.until("NUM_RECEIVED", blocks * ROWS + 10)
    blocked.sign.unlink()
    await data.until("END_REASON", "Data overrun")
    await data.put("CAPTURE", 0)
    assert await data.get("STATUS") == "ERROR: the acquisition ended with: Data overrun"
    captured = int(await data.get("NUM_CAPTURED"))
    assert 12 * ROWS < captured < 100 * ROWS
    assert await data.get("DROPPED") == 100 * ROWS + 10 - captured
    with h5py.File(data.path) as file:
        column = file["COUNTER1.OUT.Value"][:]
        assert file["acquisitions/end_reason"][:].tolist() == [b"Data overrun"]
    np.testing.assert_array_equal(column, np.concatenate([np.arange(10), np.arange(captured - 10)]))


async def test_the_panda_goes_away_while_the_disk_blocks(iocs: Starter, panda: Server, blocked: Blocked) -> None:
    """The file gets all received samples, including those behind the full queue."""
    async with Relay(panda.control_port) as relay:
        _, data = await iocs.capturing(blocked.directory, 10, blocked.variables, control_port=relay.port)
        blocked.sign.touch()
        for _ in range(60):
            panda.capture.append(block())
        waiting = await data.ioc.monitor("DATA:STATUS")
        assert (await asyncio.wait_for(waiting.get(), 10)).value.startswith("Waiting for the disk")
        await relay.close()
        await data.until("CONNECTION", 0)
        blocked.sign.unlink()
        await data.until("CAPTURE", 0)
    assert "the PandA was lost" in await data.get("STATUS")
    captured = int(await data.get("NUM_CAPTURED"))
    assert captured * 12 > QUEUE_BYTES + (12 << 20)
    assert len(data.column()) == captured


async def test_stopped_while_it_waits_for_the_disk(iocs: Starter, panda: Server, blocked: Blocked) -> None:
    """The live view continues while a capture ends."""
    _, data = await iocs.capturing(blocked.directory, 10, blocked.variables)
    blocked.sign.touch()
    for _ in range(60):
        panda.capture.append(block())
    stopping = asyncio.create_task(data.put("CAPTURE", 0))
    await data.until("LIVE:NUM_SAMPLES", 60 * ROWS + 10)
    blocked.sign.unlink()
    await stopping
    captured = int(await data.get("NUM_CAPTURED"))
    assert len(data.column()) == captured
    assert await data.get("STATUS") == f"OK: {captured} samples in {data.path}"


async def test_flushes_on_a_disk_that_blocks(iocs: Starter, panda: Server, blocked: Blocked) -> None:
    """Blocked calls delay nothing else, regardless of their number."""
    _, data = await iocs.capturing(blocked.directory, 10, blocked.variables)
    blocked.sign.touch()
    panda.capture.append(block(10))
    flushes = [asyncio.create_task(data.put("FLUSH_NOW", 1)) for _ in range(40)]
    await data.until("LIVE:NUM_SAMPLES", 20)
    async with asyncio.timeout(4):
        for samples in range(30, 60, 10):
            panda.capture.append(block(10))
            await data.until("LIVE:NUM_SAMPLES", samples)
    assert not any(flush.done() for flush in flushes)
    blocked.sign.unlink()
    await asyncio.gather(*flushes)
    assert await data.get("NUM_CAPTURED") >= 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    directory = tmp_path / "small"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(directory)]
    try:
        subprocess.run(mount, check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file systems can be mounted here: {error}")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True, timeout=10)  # noqa: S607


async def test_a_file_that_may_not_grow(iocs: Starter, panda: Server, tmp_path: Path) -> None:
    ioc, data = await iocs.capturing(tmp_path, 1000)
    psutil.Process(ioc.process.pid).rlimit(resource.RLIMIT_FSIZE, (2_000_000, -1))
    panda.capture.append(block())
    await check_full(ioc, data)


async def test_a_disk_that_is_full(iocs: Starter, panda: Server, small_disk: Path) -> None:
    ioc, data = await iocs.capturing(small_disk, 1000)
    panda.capture.append(block())
    await check_full(ioc, data)
    # There is no space for another file; with free space, captures work again.
    await data.put("HDF_FILE_NAME", "y.h5")
    with pytest.raises(Exception, match="No space left"):
        await data.put("CAPTURE", 1)
    data.path.unlink()
    await data.put("CAPTURE", 1)
    await data.put("CAPTURE", 0)
    assert (await data.get("STATUS")).startswith("OK")


async def check_full(ioc: Ioc, data: DataPvs) -> None:
    """The status reports the samples without space; all others are in the file."""
    await data.until("CAPTURE", 0)
    status = await caget(ioc.pv("DATA:STATUS"), datatype=DBR_CHAR_STR, format=FORMAT_TIME)
    assert status.startswith(f"ERROR: cannot write {data.path}: ")
    assert status.severity == 2
    assert await data.get("WRITE_STATUS") == 1
    rows = await data.get("NUM_CAPTURED")
    assert rows >= 1000
    with h5py.File(data.path) as file:  # like any other put, although the disk is still full
        columns = {name: item[:] for name, item in file.items() if isinstance(item, h5py.Dataset)}
        assert file.attrs["end_reason"].decode() in status
        assert file.attrs["samples"] == rows
    assert {len(column) for column in columns.values()} == {rows}
    assert list(columns["COUNTER1.OUT.Value"][:1000]) == [*range(1000)]
    assert await ioc.pva_get("IOC:UPTIME") >= 0


async def test_the_directory_goes_away(iocs: Starter, tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    _, data = await iocs.capturing(directory, 10)
    await data.put("CAPTURE", 0)
    shutil.rmtree(directory)
    with pytest.raises(Exception, match="does not exist"):
        await data.put("CAPTURE", 1)
    assert await data.get("CAPTURE") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stopped_in_a_capture(iocs: Starter, panda: Server, tmp_path: Path, number: int) -> None:
    ioc, data = await iocs.capturing(tmp_path, 1000)
    await data.put("FLUSH_PERIOD", 1000.0)
    panda.capture.append(block(500))
    await data.until("NUM_RECEIVED", 1500)
    assert await ioc.stop(number) == 0
    assert len(data.column()) == 1500
    with h5py.File(data.path) as file:
        assert file.attrs["end_reason"] == b"Capture stopped"


async def test_killed_in_a_capture(iocs: Starter, tmp_path: Path) -> None:
    ioc, data = await iocs.capturing(tmp_path, 1000)
    ioc.process.kill()
    await asyncio.wait_for(ioc.ended(), 10)
    assert data.column() == [*map(float, range(1000))]


@pytest.mark.long
async def test_stopped_while_the_disk_blocks(iocs: Starter, panda: Server, blocked: Blocked) -> None:
    ioc, data = await iocs.capturing(blocked.directory, 10, blocked.variables)
    blocked.sign.touch()
    panda.capture.append(block())
    await data.until("NUM_RECEIVED", ROWS + 10)
    stopping = asyncio.create_task(ioc.stop())
    await until(lambda: not panda.data_connections, 5)  # a flood would take the time of the writer
    assert not stopping.done()
    assert await stopping == 1
    assert any(f"stopping, {ROWS} samples are not in" in line for line in ioc.output)
    blocked.sign.unlink()
    assert len(data.column()) == 10


@pytest.mark.long
async def test_a_disk_with_designs_that_blocks(panda: Server, ca_ports: Iterator[int], blocked: Blocked) -> None:
    """Neither puts nor shutdown wait for it."""
    (blocked.directory / "scan.design").write_text("")
    blocked.sign.touch()
    options = ("--designs-dir", str(blocked.directory))
    async with running_ioc(panda.control_port, "TEST-BLOCKED", ca_ports, *options, extra=blocked.variables) as ioc:
        await ioc.pva_put("PULSE1:PULSES", 2)
        assert list(await ioc.pva_get("DESIGN:LIST")) == []
        naming = asyncio.create_task(ioc.pva_put("DESIGN:NAME", "scan"))
        await ioc.pva_put("PULSE1:PULSES", 3)
        assert not naming.done()
        blocked.sign.unlink()
        await naming
        assert list(await ioc.pva_get("DESIGN:LIST")) == ["scan"]
        blocked.sign.touch()
        for what, said in (("SAVE", "did not answer within 10 s"), ("LOAD", "has not answered yet")):
            await is_refused(ioc.pv(f"DESIGN:{what}"), 1, 20)
            status = await caget(ioc.pv("DESIGN:STATUS"), datatype=DBR_CHAR_STR, format=FORMAT_TIME)
            assert said in status
            assert status.severity == 2
        await ioc.pva_put("PULSE1:PULSES", 4)
        assert await ioc.stop() == 0
    assert (blocked.directory / "scan.design").read_text() == ""


@pytest.mark.long
async def test_a_directory_that_does_not_answer(panda: Server, ca_ports: Iterator[int], blocked: Blocked) -> None:
    """Another one does."""
    good = blocked.directory.with_name("good")
    options = ("--data-port", str(panda.data_port))
    async with running_ioc(panda.control_port, "TEST-DIR-BLOCKED", ca_ports, *options, extra=blocked.variables) as ioc:
        await ioc.pva_put("DATA:CREATE_DIRECTORY", -1)
        blocked.sign.touch()
        with pytest.raises(Exception, match="the disk did not answer within 10 s"):
            await asyncio.wait_for(ioc.pva.put(ioc.pv("DATA:HDF_DIRECTORY"), str(blocked.directory / "x")), 20)
        await ioc.pva_put("DATA:HDF_DIRECTORY", str(good))
        assert await ioc.pva_get("DATA:DIRECTORY_EXISTS") == 1
        assert good.is_dir()


@pytest.mark.long
async def test_what_is_kept_is_out_of_reach(panda: Server, ca_ports: Iterator[int], blocked: Blocked) -> None:
    """The IOC starts without saved state, and does not change the files."""
    name = "TEST-KEPT-BLOCKED"
    options = ("--state-dir", str(blocked.directory))
    kept = blocked.directory / f"{name}.softsav"
    kept.write_text("DATA:NUM_CAPTURE: 7\n")
    blocked.sign.touch()
    async with running_ioc(panda.control_port, name, ca_ports, *options, extra=blocked.variables) as ioc:
        await ioc.wait_for("cannot access the state directory")
        assert await ioc.pva_get("DATA:NUM_CAPTURE") == 0
        await ioc.pva_put("DATA:NUM_CAPTURE", 8)
        assert await ioc.stop() == 0
    assert kept.read_text() == "DATA:NUM_CAPTURE: 7\n"


@pytest.mark.long
async def test_what_is_kept_gets_out_of_reach(panda: Server, ca_ports: Iterator[int], blocked: Blocked) -> None:
    """The IOC continues, and shuts down."""
    options = ("--state-dir", str(blocked.directory))
    async with running_ioc(panda.control_port, "TEST-KEPT", ca_ports, *options, extra=blocked.variables) as ioc:
        blocked.sign.touch()
        await ioc.pva_put("DATA:NUM_CAPTURE", 8)
        await ioc.pva_put("PULSE1:PULSES", 4)
        assert await ioc.stop() == 0
        assert any("the disk did not answer" in line for line in ioc.output)
