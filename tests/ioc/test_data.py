"""Captures with a real IOC: values of the PVs, content of the files."""

import asyncio
import os
from typing import Any

import h5py
import numpy as np
import psutil
import pytest
from aioca import DBR_CHAR_STR, FORMAT_TIME, caget, camonitor, caput

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import Put
from panda_ioc.simulator import Server

from ..acquire import samples_on_arm
from ..conftest import until
from .datapvs import DataPvs
from .process import Ioc, is_refused


async def test_a_fly_scan(data: DataPvs, server: Server) -> None:
    samples_on_arm(server, 1000)
    await data.put("FLUSH_PERIOD", 0.0)
    await data.put("CAPTURE", 1)
    assert (await data.get("STATUS"), await data.get("HDF_FULL_FILE_PATH")) == ("Capturing", str(data.path))
    for arms in (1, 2, 3):
        await data.arm()
        await data.until("NUM_CAPTURED", 1000 * arms)
        assert data.column() == [*map(float, range(1000))] * arms
    assert await data.get("SWMR_ACTIVE") == 1
    await data.put("CAPTURE", 0)
    assert await data.get("STATUS") == f"OK: 3000 samples in {data.path}"
    for name, value in {"NUM_RECEIVED": 3000, "NUM_ACQUISITIONS": 3, "MISSED": 0, "DROPPED": 0}.items():
        assert await data.get(name) == value, name
    assert await data.get("END_REASON") == "Ok"
    assert await data.get("WRITE_STATUS") == 0
    with h5py.File(data.path) as file:
        assert file.attrs["panda_versions"].startswith("PandA SW: 4.1 FPGA: ")
        assert file["acquisitions/samples"][:].tolist() == [1000, 1000, 1000]


async def test_a_name_that_is_put_during_a_capture_is_for_the_next_file(data: DataPvs, server: Server) -> None:
    samples_on_arm(server, 10)
    await data.put("CAPTURE", 1)
    await data.put("HDF_FILE_NAME", "other.h5")
    for_the_next = "Capturing; the new directory, name or template applies to the next file"
    assert (await data.get("STATUS"), await data.get("HDF_FULL_FILE_PATH")) == (for_the_next, str(data.path))
    await data.put("HDF_FILE_NAME", data.path.name)
    assert await data.get("STATUS") == "Capturing"
    await data.put("CAPTURE", 0)


async def test_modes(data: DataPvs, server: Server) -> None:
    samples_on_arm(server, 1000)
    for mode, wanted in (("FIRST_N", range(100)), ("LAST_N", range(900, 1000))):
        await data.put("OVERWRITE", 1)
        await data.put("CAPTURE_MODE", mode)
        await data.put("NUM_CAPTURE", 100)
        await data.put("CAPTURE", 1)
        await data.arm()
        await data.until("CAPTURE", 0)
        assert data.column() == list(map(float, wanted))
        assert await data.get("NUM_CAPTURED") == 100
        assert (await data.get("STATUS")).startswith("OK: 100 samples")


async def test_rows_of_a_chunk(data: DataPvs, server: Server) -> None:
    assert await data.get("NUM_PER_CHUNK") == 1024  # as ophyd-async declares
    samples_on_arm(server, 3)
    await data.put("CHUNK_ROWS", 4096)
    assert await data.get("NUM_PER_CHUNK") == 4096
    await data.put("CAPTURE", 1)
    await data.put("CHUNK_ROWS", 2048)
    assert await data.get("NUM_PER_CHUNK") == 4096  # of the file that is being written
    await data.arm()
    await data.until("END_REASON", "Ok")
    await data.put("CAPTURE", 0)
    assert await data.get("NUM_PER_CHUNK") == 2048
    with h5py.File(data.path) as file:
        assert file["COUNTER1.OUT.Value"].chunks == (4096,)
    for rows in (0, 10, 1 << 20):
        with pytest.raises(Exception, match=f"{rows} is out of range 64 to 65536"):
            await data.put("CHUNK_ROWS", rows)


async def test_datasets_are_those_of_the_file(data: DataPvs, server: Server, ioc: Ioc) -> None:
    seen = await ioc.monitor("DATA:DATASETS")
    async with AsyncioClient("127.0.0.1", server.control_port) as client:
        # Not by this IOC, but as by the web page.
        await client.send(Put("COUNTER2.OUT.CAPTURE", "Min Max Mean"))
        await client.send(Put("COUNTER3.OUT.CAPTURE", "StdDev"))
        await client.send(Put("PCAP.BITS0.CAPTURE", "Value"))
    async with asyncio.timeout(5):
        while not {"COUNTER2.OUT.Min", "COUNTER2.OUT.Max", "PCAP.BITS0.Value"} < set((await seen.get()).value.name):
            pass
    samples_on_arm(server, 0, reason="")
    await ioc.pva_put("COUNTER1:OUT:DATASET", "position")
    await ioc.pva_put("COUNTER2:OUT:DATASET", "two")
    await data.put("OVERWRITE", 1)
    scaled = {
        "position",
        "two-min",
        "two-max",
        "two-mean",
        "COUNTER3.OUT.StdDev",
        "PCAP.BITS0.Value",
        "PCAP.TS_TRIG.Value",
    }
    added = {"PCAP.GATE_DURATION.Value", "COUNTER3.OUT.Mean"}
    try:
        for settings, names, bits in (
            ({"RAW": "No"}, scaled, "uint32"),
            ({"RAW": "Yes"}, scaled | added, "uint32"),
            ({"RAW": "No", "BITS_TYPE": "float64"}, scaled, "float64"),
            ({"NEXUS": "Yes"}, {name.replace("-", "_") for name in scaled}, "float64"),
        ):
            for name, value in settings.items():
                await data.put(name, value)
            await data.put("CAPTURE", 1)
            await data.arm()
            table = await data.get("DATASETS")
            told = dict(zip(table.value["name"], table.value["dtype"], strict=True))
            server.capture.start()
            server.capture.end("Ok")
            await data.until("END_REASON", "Ok")
            await data.put("CAPTURE", 0)
            with h5py.File(data.path) as file:
                found = {name: str(item.dtype) for name, item in file.items() if isinstance(item, h5py.Dataset)}
            assert told == found
            assert list(await caget(ioc.pv("DATA:DATASETS:Name"))) == list(told)
            assert list(await caget(ioc.pv("DATA:DATASETS:DType"))) == list(told.values())
            assert (set(told), told["PCAP.BITS0.Value"]) == (names, bits)
    finally:
        for field in ("COUNTER1", "COUNTER2"):
            await ioc.pva_put(f"{field}:OUT:DATASET", "")
        async with AsyncioClient("127.0.0.1", server.control_port) as client:
            await client.send(Put("COUNTER2.OUT.CAPTURE", "No"))
            await client.send(Put("COUNTER3.OUT.CAPTURE", "No"))
            await client.send(Put("PCAP.BITS0.CAPTURE", "No"))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"HDF_FILE_NAME": ""}, "no file name"),
        ({"HDF_DIRECTORY": "/nowhere/at/all"}, "/nowhere/at/all does not exist"),
        ({"HDF_DIRECTORY": "/proc"}, "cannot create /proc/x.h5"),
        ({"CAPTURE_MODE": "LAST_N"}, "LAST_N needs NUM_CAPTURE"),
    ],
)
async def test_captures_that_cannot_begin(data: DataPvs, ioc: Ioc, settings: dict[str, Any], reason: str) -> None:
    for name, value in settings.items():
        await data.put(name, value)
    with pytest.raises(Exception, match=reason):
        await data.put("CAPTURE", 1)
    for _ in range(2):
        await is_refused(ioc.pv("DATA:CAPTURE"), 1)
        assert (await data.get("CAPTURE"), await caget(ioc.pv("DATA:CAPTURE"))) == (0, 0)
    status = await caget(ioc.pv("DATA:STATUS"), datatype=DBR_CHAR_STR, format=FORMAT_TIME)
    assert reason in str(status)
    assert status.severity == 2
    assert await data.get("WRITE_STATUS") == 1


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("HDF_DIRECTORY", "relative", "absolute path"),
        ("HDF_DIRECTORY", "/tmp/../etc", "absolute path"),  # noqa: S108
        ("HDF_FILE_NAME", "../x.h5", "invalid file name"),
        ("FILE_TEMPLATE", "%s%s%n", "invalid template"),
        ("NUM_CAPTURE", -1, "-1 is out of range 0"),
        ("FLUSH_PERIOD", float("nan"), "out of range"),
        ("LIVE:NUM_POINTS", 0, "0 is out of range 1"),
        ("LIVE:RATE", 100.0, "100.0 is out of range 0.1"),
    ],
)
async def test_settings_that_make_no_sense(data: DataPvs, name: str, value: Any, reason: str) -> None:
    before = await data.get(name)
    with pytest.raises(Exception, match=reason):
        await data.put(name, value)
    assert await data.get(name) == before


async def test_an_existing_file_is_kept(data: DataPvs) -> None:
    data.path.write_text("precious")
    with pytest.raises(Exception, match="exists"):
        await data.put("CAPTURE", 1)
    assert data.path.read_text() == "precious"
    await data.put("OVERWRITE", 1)
    await data.put("CAPTURE", 1)
    await data.put("CAPTURE", 0)
    assert h5py.is_hdf5(data.path)


async def test_files_with_numbers(data: DataPvs) -> None:
    await data.put("FILE_TEMPLATE", "%s%s_%3.3d.h5")
    await data.put("AUTO_INCREMENT", 1)
    await data.put("FILE_NUMBER", 7)
    for number in (7, 8):
        await data.put("CAPTURE", 1)
        await data.put("CAPTURE", 0)
        assert await data.get("HDF_FULL_FILE_PATH") == str(data.path.parent / f"x.h5_00{number}.h5")
        assert await data.get("FILE_NUMBER") == number + 1


async def test_directories_are_made_as_far_as_is_allowed(data: DataPvs, ioc: Ioc) -> None:
    directory = data.path.parent / "a/b"
    await data.put("CREATE_DIRECTORY", -1)
    await data.put("HDF_DIRECTORY", str(directory))
    assert await data.get("DIRECTORY_EXISTS") == 0
    await data.put("CREATE_DIRECTORY", -2)
    assert await data.get("DIRECTORY_EXISTS") == 1
    assert directory.is_dir()
    await caput(ioc.pv("DATA:HDFDirectory"), str(data.path.parent), datatype=DBR_CHAR_STR, wait=True, timeout=5)
    assert await data.get("HDF_DIRECTORY") == str(data.path.parent)


async def test_lazy_files(data: DataPvs, server: Server) -> None:
    samples_on_arm(server, 10)
    await data.put("LAZY_OPEN", 1)
    await data.put("CAPTURE", 1)
    assert not data.path.exists()
    await data.arm()
    await data.until("NUM_CAPTURED", 10)
    await data.put("CAPTURE", 0)
    assert len(data.column()) == 10


async def test_acquire_and_wait(data: DataPvs, server: Server) -> None:
    samples_on_arm(server, 10, reason="")
    await data.put("FLUSH_PERIOD", 1000.0)
    await data.put("CAPTURE", 1)
    waiting = asyncio.create_task(data.put("ACQUIRE", 1))
    await data.until("ACQUIRE", 1)
    assert not waiting.done()
    server.capture.end("Ok")
    await waiting
    assert await data.get("NUM_CAPTURED") == 10
    assert len(data.column()) == 10


async def test_flush_now(data: DataPvs, server: Server) -> None:
    samples_on_arm(server, 10, reason="")
    await data.put("FLUSH_PERIOD", 1000.0)
    await data.put("CAPTURE", 1)
    await data.arm()
    await data.until("NUM_RECEIVED", 10)
    await data.put("FLUSH_NOW", 1)
    assert await data.get("NUM_CAPTURED") == 10
    assert len(data.column()) == 10


async def test_only_what_has_a_name(data: DataPvs, server: Server, ioc: Ioc) -> None:
    samples_on_arm(server, 10)
    await ioc.pva_put("COUNTER1:OUT:DATASET", "x")
    await data.put("NAMED_ONLY", 1)
    try:
        await data.put("CAPTURE", 1)
        assert list((await data.get("DATASETS")).value["name"]) == ["x"]
        await data.arm()
        await data.until("NUM_CAPTURED", 10)
        await data.put("CAPTURE", 0)
        with h5py.File(data.path) as file:
            assert set(file) == {"x", "acquisitions"}
    finally:
        await data.put("NAMED_ONLY", 0)
        await ioc.pva_put("COUNTER1:OUT:DATASET", "")


async def test_starts_and_stops_one_after_the_other(data: DataPvs, server: Server) -> None:
    await data.put("OVERWRITE", 1)
    samples_on_arm(server, 10, reason="")
    await data.put("CAPTURE", 1)
    await data.arm()
    await data.until("NUM_RECEIVED", 10)
    await asyncio.gather(data.put("CAPTURE", 0), data.put("CAPTURE", 1))
    assert await data.get("CAPTURE") == 1
    await asyncio.gather(data.put("CAPTURE", 1), data.put("CAPTURE", 0))
    assert await data.get("CAPTURE") == 0
    assert (await data.get("STATUS")).startswith("OK: ")


async def test_acquire_tells_of_a_bad_end(data: DataPvs, server: Server) -> None:
    samples_on_arm(server, 10, reason="Data overrun")
    await data.put("CAPTURE", 1)
    with pytest.raises(Exception, match="the acquisition ended with: Data overrun"):
        await data.put("ACQUIRE", 1)
    assert await data.get("ACQUIRE") == 0
    # The acquisition continues, and the status shows this.
    assert await data.get("STATUS") == "Capturing, but: the acquisition ended with: Data overrun"


async def test_acquire_can_be_stopped(data: DataPvs, server: Server) -> None:
    samples_on_arm(server, 10, reason="")
    waiting = [asyncio.create_task(data.put("ACQUIRE", 1)) for _ in range(2)]
    await data.until("ACQUIRE", 1)
    await data.put("ACQUIRE", 0)
    await asyncio.gather(*waiting)
    assert server.capture.completion == "Disarmed"


async def test_units_that_change_end_the_file(data: DataPvs, server: Server) -> None:
    samples_on_arm(server, 10)
    write = server.panda.fields["COUNTER1.OUT"].attributes["UNITS"].write
    assert write
    write("mm")
    await data.put("CAPTURE", 1)
    await data.arm()
    await data.until("NUM_CAPTURED", 10)
    write("deg")
    await data.arm()
    await data.until("CAPTURE", 0)
    assert "the captured fields have changed" in await data.get("STATUS")
    assert len(data.column()) == 10


async def test_another_field_under_the_same_name_ends_the_file(data: DataPvs, server: Server, ioc: Ioc) -> None:
    samples_on_arm(server, 10)
    await ioc.pva_put("COUNTER1:OUT:DATASET", "position")
    try:
        await data.put("CAPTURE", 1)
        await data.arm()
        await data.until("NUM_CAPTURED", 10)
        await ioc.pva_put("COUNTER1:OUT:CAPTURE", "No")
        await ioc.pva_put("COUNTER2:OUT:CAPTURE", "Value")
        await ioc.pva_put("COUNTER1:OUT:DATASET", "")
        await ioc.pva_put("COUNTER2:OUT:DATASET", "position")
        await data.arm()
        await data.until("CAPTURE", 0)
        assert "the captured fields have changed" in await data.get("STATUS")
        assert len(data.column("position")) == 10
    finally:
        await ioc.pva_put("COUNTER2:OUT:CAPTURE", "No")
        for name in ("COUNTER1", "COUNTER2"):
            await ioc.pva_put(f"{name}:OUT:DATASET", "")


async def test_a_flush_period_of_zero(data: DataPvs, server: Server, ioc: Ioc) -> None:
    """Each frame is readable when it arrives, and the IOC is idle between frames."""
    samples_on_arm(server, 10, reason="")
    await data.put("FLUSH_PERIOD", 0.0)
    await data.put("CAPTURE", 1)
    await data.arm()
    await data.until("NUM_CAPTURED", 10)
    with h5py.File(data.path, swmr=True) as file:
        column = file["COUNTER1.OUT.Value"]
        async with asyncio.timeout(10):  # with a period of half a second it would take longer
            for rows in range(20, 320, 10):
                server.capture.append(np.zeros((10, 3), np.uint32))
                await until(lambda rows=rows: column.refresh() or len(column) == rows)  # type: ignore[misc]
    process = psutil.Process(ioc.process.pid)
    seconds = await ioc.monitor("IOC:UPTIME")
    before = process.cpu_times()
    for _ in range(3):
        await asyncio.wait_for(seconds.get(), 10)
    after = process.cpu_times()
    # It takes some hundredths; an IOC that spins takes all of it.
    assert after.user + after.system - before.user - before.system < 1


async def test_bad_ends_are_told(data: DataPvs, server: Server, ioc: Ioc) -> None:
    samples_on_arm(server, 10, reason="Data overrun")
    await data.put("CAPTURE_MODE", "FIRST_N")
    await data.put("CAPTURE", 1)
    await data.arm()
    await data.until("CAPTURE", 0)
    assert await data.get("STATUS") == "ERROR: the acquisition ended with: Data overrun"
    assert await data.get("END_REASON") == "Data overrun"
    assert (await caget(ioc.pv("DATA:STATUS"), format=FORMAT_TIME, datatype=DBR_CHAR_STR)).severity == 2
    assert len(data.column()) == 10


async def test_a_capture_that_begins_in_an_acquisition(data: DataPvs, server: Server) -> None:
    samples_on_arm(server, 103, reason="")  # as no other test here makes: what these made may be shown still
    await data.arm()
    await data.until("LIVE:NUM_SAMPLES", 103)
    await data.put("CAPTURE", 1)
    server.capture.append(np.zeros((50, 3), np.uint32))
    server.capture.end("Ok")
    await data.until("NUM_CAPTURED", 50)
    await data.until("MISSED", 103)
    missed = await caget(data.ioc.pv("DATA:MISSED"), format=FORMAT_TIME)
    assert (int(missed), missed.severity) == (103, 1)
    await data.put("CAPTURE", 0)
    assert await data.get("STATUS") == f"OK: 50 samples in {data.path}; 103 samples before them were missed"


async def test_the_live_view(data: DataPvs, server: Server, ioc: Ioc) -> None:
    write = server.panda.fields["COUNTER1.OUT"].attributes["UNITS"].write
    assert write
    write("mm")
    await data.put("LIVE:NUM_POINTS", 20)
    samples_on_arm(server, 107)  # as no other test here makes: what these made may be shown still
    async with asyncio.timeout(10):
        await data.arm()
        await data.until("LIVE:NUM_SAMPLES", 107)
    assert await data.get("LIVE:CURRENT_POINT") == 20
    samples = await ioc.pva.get(ioc.pv("COUNTER1:OUT:LIVE"))
    assert list(samples) == list(map(float, range(87, 107)))
    assert samples.raw.display.units == "mm"
    assert list(await caget(ioc.pv("COUNTER1:OUT:LIVE"))) == list(samples)
    assert list(await data.get("LIVE:TIME")) == [pytest.approx(number * 1e-6) for number in range(87, 107)]
    table = await data.get("LIVE")
    assert table.labels == ["time (s)", "COUNTER1.OUT.Value (mm)", "PCAP.TS_TRIG.Value (s)"]
    assert list(table.value["counter1_out_value"]) == list(samples)
    statistics = {part: await ioc.pva_get(f"COUNTER1:OUT:LIVE:{part}") for part in ("MEAN", "MIN", "MAX", "LAST")}
    assert statistics == {"MEAN": 96.5, "MIN": 87, "MAX": 106, "LAST": 106}
    await data.put("LIVE:NUM_POINTS", 1000)


async def test_an_acquisition_without_samples_leaves_what_is_shown(data: DataPvs, server: Server, ioc: Ioc) -> None:
    """A statistic without samples is NaN; it must not appear on screens when an acquisition begins."""
    samples_on_arm(server, 50)
    await data.arm()
    await data.until("LIVE:NUM_SAMPLES", 50)
    seen = await ioc.monitor("COUNTER1:OUT:LIVE:MEAN")
    curve = await ioc.monitor("COUNTER1:OUT:LIVE")
    samples_on_arm(server, 0, reason="")
    await data.arm()
    await data.until("LIVE:NUM_SAMPLES", 0)
    assert [update.value for update in drained(seen) if not np.isfinite(update.value)] == []
    assert [len(update.value) for update in drained(curve) if not len(update.value)] == []
    assert (await ioc.pva_get("COUNTER1:OUT:LIVE:MEAN")) == 24.5


def drained(seen: asyncio.Queue[Any]) -> list[Any]:
    """The updates of a monitor so far."""
    return [seen.get_nowait() for _ in range(seen.qsize())]


async def test_ca_monitors_see_the_counters(data: DataPvs, server: Server, ioc: Ioc) -> None:
    samples_on_arm(server, 10)
    seen: asyncio.Queue[int] = asyncio.Queue()
    monitor = camonitor(ioc.pv("DATA:NumCaptured"), seen.put_nowait)
    try:
        await data.put("CAPTURE", 1)
        await data.arm()
        async with asyncio.timeout(10):
            while await seen.get() != 10:
                pass
    finally:
        monitor.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_no_permission(data: DataPvs) -> None:
    data.path.parent.chmod(0o500)
    with pytest.raises(Exception, match="Permission denied"):
        await data.put("CAPTURE", 1)
    data.path.parent.chmod(0o700)
