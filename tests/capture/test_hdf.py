"""Growing files: their content, also for another process while they are written and after a crash."""

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from panda_ioc.capture.columns import stored_columns
from panda_ioc.capture.errors import CaptureError
from panda_ioc.capture.hdf import HdfFile
from panda_ioc.capture.options import ColumnOptions, FileOptions
from panda_ioc.protocol import StartData

from .. import samples
from .recorded import events

(START,) = (data for data in events(b"OK\n" + samples.acquisition()) if isinstance(data, StartData))

POSITIONS = 0.5 * (1000 - np.arange(100_000)) + 10

#: A program that writes and flushes 1000 rows at a time and prints their number; it waits for a line before each.
WRITER = """
import sys
from pathlib import Path
from panda_ioc.capture.hdf import HdfFile
from panda_ioc.capture.options import FileOptions
from tests.capture.test_hdf import START, stored_columns, samples
file = HdfFile(Path(sys.argv[1]), FileOptions(rows_per_chunk=1500))
file.begin(START, stored_columns(START))
for number, line in enumerate(sys.stdin):
    file.write(samples.rows(1000, 1000 * number))
    file.flush()
    print(file.flushed_rows, flush=True)
"""


def write(path: Path, options: FileOptions | None = None, *, raw: bool = False, acquisitions: int = 1) -> None:
    with HdfFile(path, options) as file:
        for number in range(acquisitions):
            file.begin(START, stored_columns(START, ColumnOptions(raw=raw)))
            file.write(samples.rows(70, 100 * number))
            file.write(samples.rows(30, 100 * number + 70))
            file.end("Ok" if number else "Disarmed")


def test_what_a_file_tells(tmp_path: Path) -> None:
    options = FileOptions(
        rows_per_chunk=64, attributes={"panda": "sw: 4.1"}, descriptions={"COUNTER1.OUT": "Counts édges"}
    )
    write(tmp_path / "x.h5", options, acquisitions=3)
    with h5py.File(tmp_path / "x.h5") as file:
        assert set(file) == {*(field.column for field in START.fields), "acquisitions"}
        position = file["COUNTER1.OUT.Value"]
        assert position.dtype == np.float64
        np.testing.assert_array_equal(position[:], POSITIONS[:300])
        assert file["PCAP.BITS0.Value"].dtype == np.uint32
        assert dict(position.attrs) == {
            "field": "COUNTER1.OUT",
            "capture": "Value",
            "units": "mm",
            "description": "Counts édges",
            "scale": 0.5,
            "offset": 10.0,
            "scaled": True,
        }
        assert "scale" not in file["PCAP.BITS0.Value"].attrs
        assert file.attrs["panda"] == "sw: 4.1"
        assert file.attrs["arm_time"] == "2026-11-22T07:08:02.609244246Z"
        assert (file.attrs["samples"], file.attrs["end_reason"], file.attrs["rows_per_chunk"]) == (300, b"Ok", 64)
        acquisitions = file["acquisitions"]
        assert acquisitions["first_row"][:].tolist() == [0, 100, 200]
        assert acquisitions["samples"][:].tolist() == [100, 100, 100]
        assert acquisitions["end_reason"][:].tolist() == [b"Disarmed", b"Ok", b"Ok"]
        assert acquisitions["missed"][:].tolist() == [0, 0, 0]


def test_raw_integers_with_what_scales_them(tmp_path: Path) -> None:
    write(tmp_path / "x.h5", raw=True)
    with h5py.File(tmp_path / "x.h5") as file:
        position = file["COUNTER1.OUT.Value"]
        assert position.dtype == np.int32
        assert (position.attrs["units"], position.attrs["scaled_units"], position.attrs["scaled"]) == ("", "mm", False)
        np.testing.assert_array_equal(position[:] * position.attrs["scale"] + position.attrs["offset"], POSITIONS[:100])


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("rows_per_chunk", [1000, 1024, 20_000])
def test_rows_of_frames_and_flushes_of_any_size(tmp_path: Path, rows_per_chunk: int, compression: str) -> None:
    rng = random.Random(rows_per_chunk)
    path, total = tmp_path / "x.h5", 0
    with HdfFile(path, FileOptions(rows_per_chunk, compression)) as file, contextlib.ExitStack() as readers:
        for _ in range(3):
            file.begin(START, stored_columns(START))
            for size in (1, rows_per_chunk - 1, *(rng.choice((rng.randint(1, 3000), 16384, 40_000)) for _ in range(6))):
                file.write(samples.rows(size, total))
                total += size
                if rng.random() < 0.4:
                    file.flush()
                    assert file.flushed_rows == total
                    reader = readers.enter_context(h5py.File(path, swmr=True))
                    assert reader["PCAP.BITS0.Value"][-1] == total - 1
            if rng.random() < 0.5:
                file.end("Ok")  # otherwise the next acquisition begins before the end of this one
    with h5py.File(path) as read:
        np.testing.assert_array_equal(read["PCAP.BITS0.Value"][:], np.arange(total))
        np.testing.assert_array_equal(read["COUNTER1.OUT.Value"][:], 0.5 * (1000 - np.arange(total)) + 10)
        assert read["PCAP.BITS0.Value"].chunks == (rows_per_chunk,)


def test_a_file_without_columns(tmp_path: Path) -> None:
    """Also if only named fields are stored, and none has a name."""
    with HdfFile(tmp_path / "x.h5") as file:
        for _ in range(2):
            file.begin(START, [])
            file.write(samples.rows(70))
            file.end("Ok")
    with h5py.File(tmp_path / "x.h5") as read:
        assert read["acquisitions/samples"][:].tolist() == [70, 70]


@pytest.mark.parametrize("compression", ["gzip", "lz4", "zstd"])
def test_compression(tmp_path: Path, compression: str) -> None:
    write(tmp_path / "x.h5", FileOptions(compression=compression))
    pytest.importorskip("hdf5plugin")
    with h5py.File(tmp_path / "x.h5") as file:
        np.testing.assert_array_equal(file["COUNTER1.OUT.Value"][:], POSITIONS[:100])
        assert file["COUNTER1.OUT.Value"].id.get_create_plist().get_nfilters() > 0


def test_nexus_viewers_find_what_to_plot(tmp_path: Path) -> None:
    write(tmp_path / "x.h5", FileOptions(nexus=True))
    with h5py.File(tmp_path / "x.h5") as file:
        entry = file[file.attrs["default"]]
        data = entry[entry.attrs["default"]]
        assert (entry.attrs["NX_class"], data.attrs["NX_class"]) == ("NXentry", "NXdata")
        assert data.attrs["axes"].tolist() == ["PCAP.TS_TRIG.Value"]
        np.testing.assert_array_equal(data[data.attrs["signal"]].shape, (100,))


def test_names_in_nexus_files(tmp_path: Path) -> None:
    with HdfFile(tmp_path / "x.h5", FileOptions(nexus=True)) as file:
        file.begin(START, stored_columns(START, ColumnOptions({"INENC1.VAL": "my x"}, nexus=True)))
        file.end("Ok")
    with h5py.File(tmp_path / "x.h5") as read:
        assert "my_x_mean" in read
        assert "my_x_mean" in read["entry/data"].attrs["auxiliary_signals"]
        assert read["entry/data/my_x_mean"] == read["my_x_mean"]


def test_a_file_is_not_written_over(tmp_path: Path) -> None:
    write(tmp_path / "x.h5")
    with pytest.raises(CaptureError, match=r"x\.h5: .*exists"):
        write(tmp_path / "x.h5")
    write(tmp_path / "x.h5", FileOptions(overwrite=True), acquisitions=2)
    with h5py.File(tmp_path / "x.h5") as file:
        assert len(file["COUNTER1.OUT.Value"]) == 200


@pytest.mark.parametrize("name", ["missing/x.h5", "file/x.h5"])
def test_where_no_file_can_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CaptureError, match=name):
        HdfFile(tmp_path / name)


def test_other_columns_cannot_go_on_in_the_file(tmp_path: Path) -> None:
    fewer = replace(START, fields=START.fields[1:2], sample_bytes=4)
    with HdfFile(tmp_path / "x.h5") as file:
        file.begin(START, stored_columns(START))
        file.end("Ok")
        with pytest.raises(CaptureError, match="the captured fields have changed"):
            file.begin(fewer, stored_columns(fewer))


async def test_read_while_it_is_written_and_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITER, str(path)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    orders, answers = process.stdin, process.stdout
    assert orders
    assert answers

    async def rows_written() -> int:
        orders.write(b"more\n")
        return int(await asyncio.wait_for(answers.readline(), 20))

    try:
        assert await rows_written() == 1000
        with h5py.File(path, swmr=True) as file:
            column = file["COUNTER1.OUT.Value"]
            for rows in (2000, 3000, 4000):
                assert await rows_written() == rows
                column.refresh()
                np.testing.assert_array_equal(column[:], POSITIONS[:rows])
        process.send_signal(signal.SIGKILL)
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    with h5py.File(path, swmr=True) as file:
        np.testing.assert_array_equal(file["COUNTER1.OUT.Value"][:], POSITIONS[:4000])
        np.testing.assert_array_equal(file["PCAP.BITS0.Value"][:], np.arange(4000))


#: A program that writes up to the file size limit of the process; it prints the error and the readable rows.
FULL = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, -1))
from panda_ioc.capture.hdf import HdfFile
from panda_ioc.capture.options import FileOptions
from panda_ioc.capture.errors import CaptureError
from tests.capture.test_hdf import START, stored_columns, samples
file = HdfFile(Path(sys.argv[1]), FileOptions(rows_per_chunk=1000))
file.begin(START, stored_columns(START))
try:
    for number in range(1000):
        file.write(samples.rows(1000, 1000 * number))
        file.flush()
except CaptureError as error:
    print(error)
    try:
        file.abandon("the disk is full")
    except CaptureError as error:
        print(error)
print(file.flushed_rows)
"""


def test_a_disk_that_is_full_leaves_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout.splitlines()
    assert done.returncode == 0, done
    assert said[0].startswith(f"cannot write {path}: ")
    assert "File too large" in said[0]
    rows = int(said[-1])
    assert rows > 10_000
    with h5py.File(path, swmr=True) as file:
        np.testing.assert_array_equal(file["COUNTER1.OUT.Value"][:rows], POSITIONS[:rows])
