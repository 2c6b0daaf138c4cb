"""Files that other programs own, protect or change while they are written."""

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from panda_ioc.capture.columns import stored_columns
from panda_ioc.capture.errors import CaptureError
from panda_ioc.capture.hdf import HdfFile
from panda_ioc.capture.openers import has_writer
from panda_ioc.capture.options import FileOptions
from panda_ioc.capture.superblock import SUPERBLOCK_BYTES, marked_closed, parse_superblock

from .. import samples
from .test_hdf import POSITIONS, START


def begun(path: Path) -> HdfFile:
    """A file with 1000 rows."""
    file = HdfFile(path, FileOptions(overwrite=True))
    file.begin(START, stored_columns(START))
    file.write(samples.rows(1000))
    file.flush()
    return file


def with_hdf(path: Path) -> None:
    """Copy another, larger HDF5 file over a file, as `cp` does."""
    with h5py.File(path.with_name("other"), "w", libver="latest") as other:
        other["x"] = np.arange(100_000)
    path.write_bytes(path.with_name("other").read_bytes())


def with_nothing_known(path: Path) -> None:
    path.write_bytes(b"1" * 1_000_000)


@pytest.mark.parametrize("overwrite", [with_hdf, with_nothing_known])
@pytest.mark.parametrize("then", [HdfFile.close, HdfFile.flush, lambda file: file.write(samples.rows(100_000, 1000))])
def test_a_file_that_is_overwritten_in_place(
    tmp_path: Path, overwrite: Callable[[Path], None], then: Callable[[HdfFile], None]
) -> None:
    path = tmp_path / "x.h5"
    file = begun(path)
    overwrite(path)
    content = path.read_bytes()
    with pytest.raises(CaptureError, match=rf"^{path} was overwritten by another program .*: its data are lost$"):
        then(file)
    assert file.abandon("lost") == ""
    assert file.flushed_rows == 0
    assert path.read_bytes() == content


def test_a_live_file_may_be_marked_as_closed(tmp_path: Path) -> None:
    """As h5clear does, which the error message of HDF5 recommends."""
    path = tmp_path / "x.h5"
    file = begun(path)
    head = path.read_bytes()[:SUPERBLOCK_BYTES]
    block = parse_superblock(head)
    assert block
    assert block.being_written
    with path.open("r+b") as clear:
        clear.write(marked_closed(head, block.end) or b"")
    file.write(samples.rows(1000, 1000))
    file.end("Ok")
    file.close()
    with h5py.File(path) as read:
        np.testing.assert_array_equal(read["COUNTER1.OUT.Value"][:], POSITIONS[:2000])


def test_a_file_that_is_deleted_on_nfs(tmp_path: Path) -> None:
    """NFS renames a deleted file that is open, and removes it when it is closed."""
    path = tmp_path / "x.h5"
    file = begun(path)
    path.rename(tmp_path / ".nfs0000000001a2b3c400000001")
    with pytest.raises(CaptureError, match=rf"^{path} was deleted by another program"):
        file.flush()
    assert file.abandon() == ""


def test_a_file_of_which_another_hard_link_stays(tmp_path: Path) -> None:
    path, link = tmp_path / "x.h5", tmp_path / "y.h5"
    file = begun(path)
    os.link(path, link)
    path.unlink()
    file.end("Ok")
    file.close()
    assert file.problem == f"{path} was deleted or moved: only another hard link has its data"
    with h5py.File(link) as read:
        np.testing.assert_array_equal(read["COUNTER1.OUT.Value"][:], POSITIONS[:1000])


#: A program that has a file open for SWMR writing, as areaDetector does; HDF5 then holds no lock.
SWMR_WRITER = """
import sys, h5py
with h5py.File(sys.argv[1], "w", libver="latest") as file:
    file.create_dataset("x", (0,), "f8", maxshape=(None,), chunks=(10,))
    file.swmr_mode = True
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_a_file_of_another_swmr_writer(tmp_path: Path) -> None:
    """It is replaced only after its writer has ended, also if that was killed and a reader still has the file."""
    path = tmp_path / "x.h5"
    command = [sys.executable, "-c", SWMR_WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout
            assert writer.stdout.readline() == b"writing\n"
            if has_writer(path) is None:
                pytest.skip("this file system does not tell")
            with pytest.raises(CaptureError, match=f"^cannot replace {path}: another program is writing it"):
                HdfFile(path, FileOptions(overwrite=True))
        finally:
            writer.kill()
    with h5py.File(path, swmr=True) as reader:
        begun(path).close()
        assert list(reader) == ["x"]
    with h5py.File(path) as read:
        assert len(read["COUNTER1.OUT.Value"]) == 1000


def test_a_read_only_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_text("precious")
    path.chmod(0o444)
    with pytest.raises(CaptureError, match=rf"^cannot replace {path}: (it is read-only|Permission denied)$"):
        HdfFile(path, FileOptions(overwrite=True))
    assert [path.read_text(), *tmp_path.iterdir()] == ["precious", path]


def test_a_file_keeps_the_permissions_of_the_one_that_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_text("old")
    path.chmod(0o660)
    begun(path).close()
    assert path.stat().st_mode & 0o777 == 0o660


def test_a_file_system_that_fails_to_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(descriptor: int, kind: int) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(fcntl, "flock", stale)
    with pytest.raises(CaptureError, match=r"cannot lock .*: Stale file handle"):
        HdfFile(tmp_path / "new.h5")
    assert not list(tmp_path.iterdir())
