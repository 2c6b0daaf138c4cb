"""Paths of files, permitted and forbidden."""

from pathlib import Path

import pytest

from panda_ioc.capture.errors import CaptureError
from panda_ioc.capture.files import FileName, make_directory, numbered


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (FileName("/data", "x.h5"), "/data/x.h5"),
        (FileName("/data/", "x.h5", "%s%s_%4.4d.h5", 7), "/data/x.h5_0007.h5"),
        (FileName("/data", "x", "%s%s.h5", 7), "/data/x.h5"),
        (FileName("/data", "x", "%s%s-100%%-%03d.h5", 12), "/data/x-100%-012.h5"),
        (FileName("/", "x", "%s%s", 1), "/x"),
    ],
)
def test_names(name: FileName, path: str) -> None:
    assert str(name.path()) == path


@pytest.mark.parametrize(
    "name",
    [
        *(FileName(directory, "x.h5") for directory in ("", "data", "./data", "/data/../etc", "/da\0ta")),
        *(FileName("/data", file) for file in ("", "a/b", "..", ".", "a\0b", "x" * 300)),
        *(
            FileName("/data", "x", template)
            for template in ("%s", "%d", "%s%s%s", "%s%s%n", "%s%s%d%d", "%d%s%s", "%s%s%")
        ),
        *(FileName("/data", "x", template) for template in ("%s../%s", "%s%s/y", "%2000s%s", "a%s%s", "%s%s%*d")),
    ],
)
def test_what_makes_no_file(name: FileName) -> None:
    with pytest.raises(CaptureError):
        name.path()


@pytest.mark.parametrize(
    ("levels", "made"), [(0, False), (-1, False), (-2, False), (-3, True), (-9, True), (1, True), (99, False)]
)
def test_as_many_directories_as_may_be_made(tmp_path: Path, levels: int, made: bool) -> None:
    directory = tmp_path / "a/b/c"
    assert make_directory(str(directory), levels) is made
    assert directory.is_dir() is made
    assert made or not (tmp_path / "a").exists()


def test_positive_levels_must_be_there(tmp_path: Path) -> None:
    directory = tmp_path / "a/b"
    there = len(tmp_path.parts) - 1
    assert not make_directory(str(directory), there + 1)
    assert make_directory(str(directory), there)


def test_what_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CaptureError, match="cannot create the directory"):
        make_directory(str(tmp_path / "file/a"), -5)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("scan_%d.h5", "scan_7.h5"),
        ("scan_%04d.h5", "scan_0007.h5"),
        ("scan_%4.4d.h5", "scan_0007.h5"),  # as in templates of areaDetector
        ("100%%_%.3d", "100%_007"),
        ("100%.h5", None),
        ("scan.h5", None),
    ],
)
def test_names_of_a_series(name: str, file: str | None) -> None:
    path_of = numbered(Path("/data%d") / name)
    assert (path_of and path_of(7)) == (file and Path("/data%d") / file)
