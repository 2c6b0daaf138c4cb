"""A file is complete, or the status reports the loss, also if others read, write, delete, move or truncate it."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from aioca import DBR_CHAR_STR, FORMAT_TIME, caget

from panda_ioc.simulator import Server

from ..acquire import samples_on_arm
from .datapvs import DataPvs
from .process import running_ioc


async def capture(data: DataPvs, server: Server, rows: int) -> None:
    """Start a capture, and wait for some rows in the file."""
    samples_on_arm(server, rows, reason="")
    await data.put("CAPTURE", 1)
    await data.arm()
    await data.until("NUM_CAPTURED", rows)


def more(server: Server, rows: int) -> None:
    server.capture.append(np.zeros((rows, 3), np.uint32))


async def check_failed(data: DataPvs, text: str) -> None:
    status = await caget(data.ioc.pv("DATA:STATUS"), datatype=DBR_CHAR_STR, format=FORMAT_TIME)
    assert status.startswith("ERROR: ")
    assert text in status
    assert status.severity == 2
    assert await data.get("WRITE_STATUS") == 1
    assert text in await data.get("WRITE_MESSAGE")


async def test_a_reader_keeps_the_file_that_is_replaced(data: DataPvs, server: Server) -> None:
    await capture(data, server, 10)
    await data.put("CAPTURE", 0)
    await data.ioc.pva_put("PCAP:ARM", 0)
    await data.put("OVERWRITE", 1)
    with h5py.File(data.path) as old:
        await capture(data, server, 20)
        assert len(data.column()) == 20
        assert len(old["COUNTER1.OUT.Value"]) == 10
    await data.put("CAPTURE", 0)
    assert list(data.path.parent.iterdir()) == [data.path]


async def test_what_cannot_be_replaced_is_left_as_it_is(data: DataPvs) -> None:
    await data.put("OVERWRITE", 1)
    data.path.mkdir()
    with pytest.raises(Exception, match="is not a regular file"):
        await data.put("CAPTURE", 1)
    assert list(data.path.parent.iterdir()) == [data.path]


async def test_a_link_is_followed(data: DataPvs, server: Server, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/y.h5").write_text("old")
    data.path.symlink_to("real/y.h5")
    await data.put("OVERWRITE", 1)
    await capture(data, server, 10)
    await data.put("CAPTURE", 0)
    assert (await data.get("STATUS")).startswith("OK: 10 samples")
    assert data.path.is_symlink()
    assert h5py.is_hdf5(tmp_path / "real/y.h5")


async def test_a_file_that_another_ioc_writes(data: DataPvs, server: Server, ca_ports: Iterator[int]) -> None:
    """A file in use is not replaced, neither before nor after its first acquisition; that of a killed writer is."""
    options = ("--data-port", str(server.data_port))
    async with running_ioc(server.control_port, "TEST-OTHER-WRITER", ca_ports, *options) as ioc:
        other = DataPvs(ioc, data.path.parent)
        for name, value in {"HDF_DIRECTORY": str(data.path.parent), "HDF_FILE_NAME": "x.h5"}.items():
            await other.put(name, value)
        samples_on_arm(server, 10, reason="")
        await data.put("OVERWRITE", 1)
        await other.put("CAPTURE", 1)
        with pytest.raises(Exception, match=r"x\.h5: another program is writing it"):
            await data.put("CAPTURE", 1)
        await other.arm()
        await other.until("NUM_CAPTURED", 10)
        with pytest.raises(Exception, match=r"x\.h5: another program is writing it"):
            await data.put("CAPTURE", 1)
        more(server, 5)
        await other.until("NUM_CAPTURED", 15)
        assert len(data.column()) == 15
        assert await other.get("STATUS") == "Capturing"
        ioc.process.kill()
        await ioc.ended()
    await data.ioc.pva_put("PCAP:ARM", 0)
    await capture(data, server, 20)
    await data.put("CAPTURE", 0)
    assert len(data.column()) == 20


def truncate(path: Path) -> None:
    os.truncate(path, 3000)


def replace(path: Path) -> None:
    path.with_name("other").write_text("another file")
    path.with_name("other").replace(path)


HARMS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "deleted": (Path.unlink, "was deleted"),
    "truncated": (truncate, "was truncated"),
    "replaced": (replace, "was replaced"),
    "without its directory": (lambda path: shutil.rmtree(path.parent), "was deleted"),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("when", ["while samples come", "before the end"])
async def test_a_file_that_is(data: DataPvs, server: Server, harm: str, when: str) -> None:
    directory = data.path.parent / "run"
    directory.mkdir()
    data.path = directory / "x.h5"
    await data.put("HDF_DIRECTORY", str(directory))
    await capture(data, server, 1000)
    do, text = HARMS[harm]
    do(data.path)
    if when == "while samples come":
        more(server, 1000)
        await data.until("CAPTURE", 0)
    else:
        await data.put("CAPTURE", 0)
    await check_failed(data, f"{data.path} {text}")


async def test_a_file_that_is_moved_is_written_on(data: DataPvs, server: Server) -> None:
    await capture(data, server, 10)
    moved = data.path.with_name("y.h5")
    data.path.rename(moved)
    more(server, 10)
    await data.until("WRITE_STATUS", 1)
    assert await data.get("STATUS") == f"Capturing, but: {data.path} was moved to {moved}"
    more(server, 10)
    await data.until("NUM_CAPTURED", 30)
    await data.put("CAPTURE", 0)
    await check_failed(data, f"{data.path} was moved to {moved}")
    with h5py.File(moved) as file:
        assert len(file["COUNTER1.OUT.Value"]) == 30


async def test_a_device_is_no_file(data: DataPvs) -> None:
    try:
        os.mknod(data.path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices can be made by root only")
    started = len(data.ioc.output)
    for overwrite in (0, 1):
        await data.put("OVERWRITE", overwrite)
        with pytest.raises(Exception, match=r"x\.h5"):
            await data.put("CAPTURE", 1)
    assert stat.S_ISCHR(data.path.stat().st_mode)
    assert not any("Traceback" in line for line in data.ioc.output[started:])


@pytest.mark.parametrize("name", ["HDF_FILE_NAME", "HDF_DIRECTORY", "FILE_TEMPLATE"])
@pytest.mark.parametrize("letter", ["\n", "\r", "\x1b", "\u2028"])
async def test_control_characters_make_no_name(data: DataPvs, name: str, letter: str) -> None:
    before = await data.get(name)
    with pytest.raises(Exception, match="control character"):
        await data.put(name, f"/tmp/a{letter}b" if name == "HDF_DIRECTORY" else f"%s%s{letter}")  # noqa: S108
    assert await data.get(name) == before


async def test_the_path_follows_while_nothing_is_captured(data: DataPvs, tmp_path: Path) -> None:
    path = "HDF_FULL_FILE_PATH"
    assert await data.get(path) == str(data.path)
    await data.put("HDF_FILE_NAME", "y")
    assert await data.get(path) == str(tmp_path / "y")
    await data.put("FILE_TEMPLATE", "%s%s_%3.3d.h5")
    await data.put("FILE_NUMBER", 7)
    assert await data.get(path) == str(tmp_path / "y_007.h5")
    await data.put("HDF_DIRECTORY", "/data")
    assert await data.get(path) == "/data/y_007.h5"
    await data.put("HDF_FILE_NAME", "")
    assert await data.get(path) == ""
    await data.put("HDF_FILE_NAME", "y")
    await data.put("HDF_DIRECTORY", str(tmp_path))
    await data.put("CAPTURE", 1)
    await data.put("FILE_NUMBER", 8)
    assert await data.get(path) == str(tmp_path / "y_007.h5")
    await data.put("CAPTURE", 0)
    assert await data.get("STATUS") == f"OK: 0 samples in {tmp_path / 'y_007.h5'}"
    assert await data.get(path) == str(tmp_path / "y_008.h5")


@pytest.mark.parametrize(
    ("name", "bad", "good"),
    [
        ("HDF_DIRECTORY", "relative/dir", ""),
        ("HDF_FILE_NAME", "a/b", "x.h5"),
        ("FILE_TEMPLATE", "%d", ""),
        ("NUM_CAPTURE", -1, 5),
        ("CAPTURE_MODE", 7, "FOREVER"),
    ],
)
async def test_nothing_is_captured_while_a_setting_stands_refused(
    data: DataPvs, name: str, bad: Any, good: Any, tmp_path: Path
) -> None:
    with pytest.raises(Exception, match=r"."):
        await data.put(name, bad)
    with pytest.raises(Exception, match=f"DATA:{name} was refused"):
        await data.put("CAPTURE", 1)
    assert not data.path.exists()
    await check_failed(data, f"DATA:{name} was refused")
    await data.put(name, good or (str(tmp_path) if name == "HDF_DIRECTORY" else good))
    await data.put("CAPTURE", 1)
    assert data.path.exists()


async def test_refused_settings_of_the_live_view_do_not_matter(data: DataPvs) -> None:
    with pytest.raises(Exception, match="is out of range"):
        await data.put("LIVE:RATE", 1e6)
    await data.put("CAPTURE", 1)
