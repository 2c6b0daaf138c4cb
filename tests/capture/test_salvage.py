"""Files on a disk that fails for good: what the error says about a file is true."""

import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from .. import preloaded
from .test_hdf import POSITIONS

#: A program that writes files, each on a disk that fails from a certain stage on. It prints the error of each file, and
#: the number of rows that readers see according to the writer.
PROGRAM = """
import os, sys
from pathlib import Path
from panda_ioc.capture.errors import CaptureError
from panda_ioc.capture.hdf import HdfFile
from panda_ioc.capture.options import FileOptions
from tests.capture.test_hdf import START, stored_columns, samples
sign = Path(os.environ["FAILING_WHILE"])
for line in sys.stdin:
    name, stage, compression = line.split()
    failing = sign.with_name(sign.name + "-sync") if stage == "sync" else sign
    def reached(name):
        if name == stage:
            failing.touch()
    file = HdfFile(Path(os.environ["FAILING_DIRECTORY"], name), FileOptions(compression=compression))
    try:
        reached("begin")
        file.begin(START, stored_columns(START))
        file.write(samples.rows(3000))
        file.flush()
        reached("write")
        file.write(samples.rows(40_000, 3000))
        file.flush()
        reached("end")
        file.end("Ok")
        reached("close")
        reached("sync")
        file.close()
    except CaptureError as error:
        print(error, file.abandon(str(error)), sep="")
    print(file.flushed_rows, flush=True)
    failing.unlink()
"""

#: A program that writes a file by `write_files`, without a PandA; it prints the errors.
PIPELINE = """
import os, sys
from pathlib import Path
from panda_ioc.capture.errors import CaptureError
from panda_ioc.capture.pipeline import Writing, _Sink
from tests.capture.recorded import events
from tests import samples
sign = Path(os.environ["FAILING_WHILE"])
for name in sys.argv[1:]:
    sink = _Sink(Path(os.environ["FAILING_DIRECTORY"], name), Writing(flush_period=0))
    *data, end = events(b"OK\\n" + samples.acquisition(samples.rows(3000)))
    try:
        for each in data:
            sink.process(each)
        if name == "end":
            sign.touch()
        sink.process(end)
        sign.touch()
        sink.close()
    except CaptureError as error:
        try:
            sink.fail(error)
            print(error)
        except CaptureError as complete:
            print(complete)
    sign.unlink()
"""

#: Stages and compressions.
CASES = [
    *((stage, compression) for stage in ("begin", "write", "end", "close") for compression in ("none", "gzip")),
    ("sync", "none"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return preloaded.build("failingdisk", tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def disk(
    library: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[tuple[str, str], tuple[str, int]]]:
    """The directory of the files, and what the program printed for each case."""
    directory = tmp_path_factory.mktemp("disk")
    variables = {"FAILING_DIRECTORY": str(directory), "FAILING_WHILE": f"{directory}-sign"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="".join(f"{stage}-{compression} {stage} {compression}\n" for stage, compression in CASES),
        env={**os.environ, **variables, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done
    said = iter(done.stdout.splitlines())
    return directory, {case: (error, int(rows)) for case, error, rows in zip(CASES, said, said, strict=True)}


def test_errors_of_a_pipeline_say_how_to_open_the_file(library: Path, tmp_path: Path) -> None:
    directory = tmp_path / "disk"
    directory.mkdir()
    variables = {"FAILING_DIRECTORY": str(directory), "FAILING_WHILE": f"{tmp_path}/sign", "LD_PRELOAD": str(library)}
    done = subprocess.run(
        [sys.executable, "-c", PIPELINE, "end", "close"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done
    assert done.stdout.splitlines() == [
        f"cannot write {path}: Input/output error; open it with h5py.File('{path}', swmr=True): 3000 rows are complete"
        for path in (directory / "end", directory / "close")
    ]


@pytest.mark.parametrize(("stage", "compression"), CASES[2:-1])
def test_the_error_says_how_to_open_the_file_and_how_many_rows_it_has(
    disk: tuple[Path, dict[tuple[str, str], tuple[str, int]]], stage: str, compression: str
) -> None:
    directory, outcomes = disk
    path, (error, flushed) = directory / f"{stage}-{compression}", outcomes[stage, compression]
    stated = re.fullmatch(
        rf"cannot write {path}: input/output error; open it with h5py\.File\('{path}', swmr=True\): (\d+) rows .*",
        error,
        re.IGNORECASE,
    )
    assert stated, error
    with h5py.File(path, swmr=True) as file:
        values = file["COUNTER1.OUT.Value"][:]
    assert len(values) == flushed == int(stated[1])
    assert len(values) >= (3000 if stage == "write" else 43_000)
    np.testing.assert_array_equal(values, POSITIONS[: len(values)])


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_file_that_cannot_be_opened_is_removed(
    disk: tuple[Path, dict[tuple[str, str], tuple[str, int]]], compression: str
) -> None:
    directory, outcomes = disk
    path, (error, flushed) = directory / f"begin-{compression}", outcomes["begin", compression]
    assert error.lower() == f"cannot write {path}: input/output error; the file had no samples and was removed"
    assert (flushed, path.exists()) == (0, False)


def test_a_disk_that_fails_after_linux_accepted_the_samples(
    disk: tuple[Path, dict[tuple[str, str], tuple[str, int]]],
) -> None:
    directory, outcomes = disk
    path, (error, _) = directory / "sync-none", outcomes["sync", "none"]
    assert error == f"cannot write {path}: Input/output error. It is unknown which samples are on the disk: check them"
    with h5py.File(path) as file:
        assert file.attrs["end_reason"].decode() == error


#: A program that writes compressed files up to several file size limits; it prints the rows of each.
LIMITED = """
import resource, sys
from pathlib import Path
from panda_ioc.capture.errors import CaptureError
from panda_ioc.capture.hdf import HdfFile
from panda_ioc.capture.options import FileOptions
from tests.capture.test_hdf import START, stored_columns, samples
for limit in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))
    file = HdfFile(Path(sys.argv[1], str(limit)), FileOptions(compression="gzip"))
    try:
        file.begin(START, stored_columns(START))
        file.write(samples.rows(50_000))
        file.flush()
    except CaptureError as error:
        file.abandon(str(error))
    print(limit, file.flushed_rows)
"""


def test_a_compressed_file_on_a_full_disk_has_no_rows_that_were_not_written(tmp_path: Path) -> None:
    limits = ("30000", "60000", "120000", "240000")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path, *limits], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done
    stated = [line.split() for line in done.stdout.splitlines()]
    assert [limit for limit, _ in stated] == list(limits)
    for limit, rows in stated:
        with h5py.File(tmp_path / limit) as file:
            columns = {name: item[:] for name, item in file.items() if isinstance(item, h5py.Dataset)}
            assert file.attrs["samples"] == int(rows) < 50_000
        assert {len(column) for column in columns.values()} == {int(rows)}
        np.testing.assert_array_equal(columns["COUNTER1.OUT.Value"], POSITIONS[: int(rows)])
        np.testing.assert_array_equal(columns["PCAP.BITS0.Value"], np.arange(int(rows)))
