"""Motions from files: positions over time, as recorded or planned by motion controllers.

A file is CSV, with or without a header line, or HDF5 (`.h5`, `.hdf5`, `.hdf`, `.nxs`). The motor moves in a straight
line between consecutive positions.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .engine import TICKS
from .motion import FRACTION, Ramp
from .numbers import Refused
from .profiles import Profile

#: Size limits of a file: half an hour at 5 kHz, and more text than any controller writes.
MAX_ROWS = 10_000_000
_MAX_BYTES = 1 << 30

#: Suffixes of HDF5 files.
_HDF5 = frozenset({".h5", ".hdf5", ".hdf", ".nxs"})

#: Seconds per unit of time.
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """The columns of a file to use.

    Attributes:
        position: name or number (from 1) of the CSV column, or path of the HDF5 dataset
        time: the same for the times; None if rows are one period apart
        time_units: unit of the times, a key of TIME_UNITS
        period: time between rows in s, if there are no times
    """

    position: str
    time: str | None
    time_units: str = "s"
    period: float | None = None


def follow(start: int, path: Path, columns: Columns, scale: float, offset: float) -> Profile:
    """Return a profile that follows a file, from its first row on.

    Args:
        start: tick of the first row
        path: path of the file
        columns: columns to use
        scale: counts per unit of the file
        offset: counts to add

    Raises:
        Refused: the file cannot be read, is invalid, or has positions that do not fit 32 bits
    """
    ticks, positions = read(path, columns)
    counts = positions * scale + offset
    lowest, highest = float(counts.min()), float(counts.max())
    if not (lowest >= -(2.0**31) and highest < 2.0**31):
        raise Refused(f"{path}: positions from {lowest:g} to {highest:g} counts exceed 32 bits: change the scale")
    return _lines(start, ticks.tolist(), counts.tolist())


def read(path: Path, columns: Columns) -> tuple[npt.NDArray[np.int64], Floats]:
    """Read a file.

    Returns:
        ticks since the first row, shape (n,), dtype int64, strictly increasing; positions in units of the file,
        shape (n,), dtype float64

    Raises:
        Refused: the file cannot be read or is invalid
    """
    try:
        status = path.stat()
        if not path.is_file() or status.st_size > _MAX_BYTES:
            raise Refused(f"{path}: not a regular file of at most {_MAX_BYTES >> 20} MiB")
        return _read(path, status.st_mtime_ns, columns)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror or 'cannot be read as HDF5'}") from error


@functools.lru_cache(maxsize=8)
def _read(path: Path, _changed: int, columns: Columns) -> tuple[npt.NDArray[np.int64], Floats]:
    load = _from_hdf5 if path.suffix.lower() in _HDF5 else _from_csv
    names = [columns.position] if columns.time is None else [columns.position, columns.time]
    positions, *times = load(path, names)
    if not 2 <= len(positions) <= MAX_ROWS:
        raise Refused(f"{path}: {len(positions)} rows, where 2 to {MAX_ROWS} are allowed")
    if times:
        seconds = (times[0] - times[0][0]) * TIME_UNITS[columns.time_units]
    else:
        seconds = np.arange(len(positions)) * (columns.period or 0.0)
    for name, values in ((columns.position, positions), (columns.time or "time", seconds)):
        if len(values) != len(positions) or not np.isfinite(values).all():
            raise Refused(f"{path}: {name} must have {len(positions)} finite numbers, one for each position")
    if seconds.max() > 1e7:
        raise Refused(f"{path}: lasts {seconds.max():g} s, more than 1e7 s: check time_units ({columns.time_units})")
    ticks = np.rint(seconds * TICKS).astype(np.int64)
    late = np.flatnonzero(np.diff(ticks) < 1)
    if len(late):
        raise Refused(f"{path}: row {late[0] + 2} must be at least 8 ns later than the row before")
    return ticks, positions


def _from_csv(path: Path, names: Sequence[str]) -> list[Floats]:
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline()
    delimiter = next((mark for mark in ",;\t" if mark in first), None)
    cells = [cell.strip().strip('"') for cell in first.lstrip("# ").strip().split(delimiter)]
    header = not all(map(_is_number, cells))
    places = [_column(path, cells if header else [], len(cells), name) for name in names]
    try:
        table = np.loadtxt(path, delimiter=delimiter, skiprows=int(header), usecols=places, ndmin=2, comments="#")
    except (ValueError, UnicodeDecodeError, IndexError) as error:
        raise Refused(f"{path}: not a table of numbers with {len(cells)} columns in each row") from error
    return [np.ascontiguousarray(table[:, place]) for place in range(len(names))]


def _column(path: Path, header: Sequence[str], count: int, name: str) -> int:
    if name in header:
        return header.index(name)
    if name.isdecimal() and 1 <= int(name) <= count:
        return int(name) - 1
    known = ", ".join(header) or f"1 to {count}"
    raise Refused(f"{path}: no column {name!r}: use one of {known}")


def _from_hdf5(path: Path, names: Sequence[str]) -> list[Floats]:
    import h5py  # noqa: PLC0415 - slow to import, and rarely needed

    try:
        with h5py.File(path, "r") as file:
            return [_dataset(path, file, name) for name in names]
    except (RuntimeError, KeyError, ValueError, TypeError) as error:
        raise Refused(f"{path}: cannot be read as HDF5") from error


def _dataset(path: Path, file: Any, name: str) -> Floats:
    dataset = file.get(name)
    shape = getattr(dataset, "shape", None)
    if shape is None or len(shape) != 1:
        raise Refused(f"{path}: {name} is not a one-dimensional dataset")
    if shape[0] > MAX_ROWS:
        raise Refused(f"{path}: {name} has {shape[0]} rows, more than the limit of {MAX_ROWS}")
    return np.asarray(dataset[()], np.float64)


def _lines(start: int, ticks: Sequence[int], counts: Sequence[float]) -> Profile:
    for (first, begin), (last, end) in itertools.pairwise(zip(ticks, counts, strict=True)):
        base, target = round(begin * 2**FRACTION), round(end * 2**FRACTION)
        rate = -((base - target) // (last - first))  # rounded up, as for every motor: see `profiles`
        yield start + first, Ramp(start + first, base, rate) if rate else math.floor(begin)
    yield start + ticks[-1], math.floor(counts[-1])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
