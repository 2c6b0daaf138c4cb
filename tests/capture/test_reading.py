"""Physical values from files, including raw files."""

import math
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from panda_ioc.capture import CaptureError, read_columns
from panda_ioc.capture.columns import stored_columns
from panda_ioc.capture.hdf import HdfFile
from panda_ioc.capture.options import ColumnOptions, FileOptions
from panda_ioc.protocol import FieldCapture, StartData

GATE = 2**31 + 8

FIELDS = (
    FieldCapture("PCAP.GATE_DURATION", "Value", "int32", 8e-9, 0.0, "s"),
    FieldCapture("PCAP.BITS0", "Value", "uint32"),
    FieldCapture("INENC1.VAL", "Value", "int32", 2.0, 0.5, "mm"),
    FieldCapture("INENC1.VAL", "Mean", "int64", 2.0, 0.5, "mm"),
    FieldCapture("INENC1.VAL", "StdDev", "int96", 2.0, 0.5, "mm"),
)
START = StartData(FIELDS, 0, "Raw", 32)
NAMES = {"INENC1.VAL": "x", "PCAP.GATE_DURATION": "gate"}


def rows(count: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Samples of gates of 17 s with a signal that is 3 above its mean for half of the time and 3 below for the rest."""
    data = np.zeros(count, START.dtype)
    for number in range(count):
        squares = (number**2 + 9) * GATE
        words = [squares >> shift & 0xFFFFFFFF for shift in (0, 32, 64)]
        data[number] = (np.uint32(GATE).astype(np.int32), number, number - 3, number * GATE, words)
    return data


def write(path: Path, *, raw: bool = True, compression: str = "none") -> None:
    with HdfFile(path, FileOptions(compression=compression)) as file:
        file.begin(START, stored_columns(START, ColumnOptions(NAMES, raw=raw)))
        file.write(rows(10))
        file.end("Ok")


@pytest.mark.parametrize("raw", [True, False])
def test_values_in_units(tmp_path: Path, raw: bool) -> None:  # noqa: FBT001
    write(tmp_path / "x.h5", raw=raw)
    values = read_columns(tmp_path / "x.h5")
    numbers = np.arange(10)
    assert {name: str(column.dtype) for name, column in values.items()} == {
        "PCAP.BITS0.Value": "uint32",
        **dict.fromkeys(("gate", "x", "x-mean", "x-stddev"), "float64"),
    }
    np.testing.assert_array_equal(values["gate"], np.full(10, GATE * 8e-9))
    np.testing.assert_array_equal(values["PCAP.BITS0.Value"], numbers)
    np.testing.assert_array_equal(values["x"], (numbers - 3) * 2 + 0.5)
    np.testing.assert_array_equal(values["x-mean"], numbers * 2 + 0.5)
    np.testing.assert_array_equal(values["x-stddev"], np.full(10, 6.0))


def test_a_raw_file_tells_how_each_column_scales(tmp_path: Path) -> None:
    """The formulas are for users and other programs: the test evaluates them as written."""
    write(tmp_path / "x.h5")
    expected = read_columns(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        formulas = {name: item.attrs.get("formula") for name, item in file.items() if name != "acquisitions"}
        assert formulas == {
            "PCAP.BITS0.Value": None,
            "gate": "raw * scale + offset",
            "x": "raw * scale + offset",
            "x-mean": "raw * scale / gate + offset",
            "x-stddev": "sqrt(gate * raw - sum**2) / gate * scale",
        }
        assert dict(file["x-stddev"].attrs).items() >= {"gate": "gate", "sum": "x-mean", "scaled_units": "mm"}.items()
        for name, formula in formulas.items():
            attributes = file[name].attrs
            for row in range(10):
                known = {key: int(file[attributes[key]][row]) for key in ("gate", "sum") if key in attributes}
                raw = np.atleast_1d(file[name][row]).tolist()
                known["raw"] = sum(word << 32 * place for place, word in enumerate(raw))
                known |= {key: attributes[key] for key in ("scale", "offset") if key in attributes}
                value = eval(formula, {"sqrt": math.sqrt, **known}) if formula else known["raw"]  # noqa: S307
                assert value == expected[name][row]


def test_some_columns_and_rows(tmp_path: Path) -> None:
    write(tmp_path / "x.h5")
    values = read_columns(tmp_path / "x.h5", ["x-mean", "x"], slice(-4, None, 2))
    assert list(values) == ["x-mean", "x"]
    assert values["x-mean"].tolist() == [12.5, 16.5]
    with h5py.File(tmp_path / "x.h5") as file:
        assert read_columns(file, ["x"], slice(2))["x"].tolist() == [-5.5, -3.5]
        assert read_columns(file, ["x"], slice(50, 60))["x"].tolist() == []


def test_a_file_that_grows(tmp_path: Path) -> None:
    with HdfFile(tmp_path / "x.h5") as file:
        file.begin(START, stored_columns(START, ColumnOptions(NAMES, raw=True)))
        for count in (10, 20):
            file.write(rows(10))
            file.flush()
            assert len(read_columns(tmp_path / "x.h5", ["x-stddev"])["x-stddev"]) == count
        file.end("Ok")


def test_compressed_files(tmp_path: Path) -> None:
    pytest.importorskip("hdf5plugin")
    write(tmp_path / "x.h5", compression="lz4")
    assert read_columns(tmp_path / "x.h5", ["x-stddev"])["x-stddev"].tolist() == [6.0] * 10


def test_files_of_versions_that_had_no_formulas(tmp_path: Path) -> None:
    """In these files, the gate is int32."""
    write(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        for name in ("gate", "x", "x-mean", "x-stddev"):
            for attribute in ("formula", "gate", "sum"):
                file[name].attrs.pop(attribute, None)
        attributes, gate = dict(file["gate"].attrs), file["gate"][:].view("<i4")
        del file["gate"]
        file["gate"] = gate
        file["gate"].attrs.update(attributes)
    assert read_columns(tmp_path / "x.h5")["gate"].tolist() == [GATE * 8e-9] * 10
    assert read_columns(tmp_path / "x.h5")["x-mean"].tolist() == [2 * number + 0.5 for number in range(10)]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"^cannot read .*none\.h5: No such file or directory$"):
        read_columns(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(CaptureError, match=r"cannot read .*text\.h5"):
        read_columns(tmp_path / "text.h5")
    write(tmp_path / "x.h5")
    with pytest.raises(CaptureError, match=r"x\.h5 has no column y; it has PCAP\.BITS0\.Value, gate, x"):
        read_columns(tmp_path / "x.h5", ["y"])
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        del file["gate"]
    with pytest.raises(CaptureError, match=r"scale INENC1\.VAL\.Mean: .*x\.h5 has no PCAP\.GATE_DURATION\.Value"):
        read_columns(tmp_path / "x.h5")


def test_small_files_are_small(tmp_path: Path) -> None:
    """200 rows of 6 columns, which pandablocks stores in 64 kB."""
    fields = tuple(FieldCapture(f"INENC{number}.VAL", "Value", "int32", 1.0, 0.0) for number in range(1, 7))
    start = StartData(fields, 0, "Raw", 24)
    with HdfFile(tmp_path / "x.h5") as file:
        file.begin(start, stored_columns(start))
        file.write(np.zeros(200, start.dtype))
        file.end("Ok")
    assert (tmp_path / "x.h5").stat().st_size < 80_000
    with h5py.File(tmp_path / "x.h5") as read:
        assert read["INENC1.VAL.Value"].chunks == (1024,)


#: A program that reads a file with all that reads files; it prints the errors.
READER = """
import sys
from pathlib import Path
from panda_ioc.capture import CaptureError, read_columns
from panda_ioc.capture.plot import draw
for path in map(Path, sys.argv[1:]):
    for read in (read_columns, lambda path: draw(path, path.with_suffix(".png"))):
        try:
            read(path)
            print(f"could read {path}")
        except CaptureError as error:
            print(error)
"""


def test_damaged_files_are_errors(tmp_path: Path) -> None:
    """HDF5 would retry indefinitely in SWMR mode."""
    whole = tmp_path / "whole"
    with HdfFile(whole, FileOptions()) as file:
        file.begin(START, stored_columns(START, ColumnOptions(NAMES)))
        file.write(rows(10))
        file.flush()
        growing = whole.read_bytes()
        assert len(read_columns(whole)["x"]) == 10
        file.end("Ok")
    closed = whole.read_bytes()
    damages = {
        "half-a-copy": closed[: len(closed) // 2],
        "half-a-copy-of-a-growing-file": growing[: len(growing) // 2],
        "a-copy-of-a-growing-file-without-its-end": growing[:-5000],
        "closed-with-zeros": closed[:300] + bytes(40) + closed[340:],
        "growing-with-zeros": growing[:300] + bytes(40) + growing[340:],
        "no-hdf5": b"text",
    }
    paths = [tmp_path / name for name in damages]
    for path, content in zip(paths, damages.values(), strict=True):
        path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", READER, *paths], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done
    said = done.stdout.splitlines()
    for path, *lines in zip(paths, said[::2], said[1::2], strict=True):
        assert all(line.startswith(f"cannot read {path}: ") for line in lines), lines
