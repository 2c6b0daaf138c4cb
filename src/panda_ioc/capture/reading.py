"""Physical values from a file, whether it has them or the raw integers of the hardware."""

import contextlib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import CaptureError
from .scaling import GATE, Values, scaling_of, unsigned_gate

if TYPE_CHECKING:
    import h5py


def read_columns(
    file: "str | Path | h5py.File", names: Sequence[str] = (), rows: slice = slice(None)
) -> dict[str, Values]:
    """Read columns of a file that panda-ioc wrote, in units.

    Raw columns are scaled by what the file says of them. The file may still be growing.

    Args:
        file: its path, or itself
        names: datasets to read, in this order; all if there is none
        rows: which rows, such as `slice(1000)`; all if not given

    Returns:
        by dataset, shape (rows,): float64 in the units of its attribute `units` or, if it is raw, `scaled_units`;
        bits and other columns without a scale as the file has them, uint32 or float64

    Raises:
        CaptureError: the file cannot be read, has no such dataset, or lacks what a raw column is scaled by
    """
    with _opened(file) as opened:
        columns = datasets(opened)
        if unknown := [name for name in names if name not in columns]:
            raise CaptureError(f"{opened.filename} has no column {', '.join(unknown)}; it has {', '.join(columns)}")
        # A file that grows can have more rows of one column than of another.
        length = min(map(len, columns.values()), default=0)
        return {
            name: physical_values(columns[name], columns, slice(*rows.indices(length))) for name in names or columns
        }


def datasets(file: "h5py.File") -> dict[str, Any]:
    """Return the datasets that are columns, by name: those that say what was captured."""
    return {name: item for name, item in file.items() if {"field", "capture"} <= set(item.attrs)}


def column_of(dataset: Any) -> str:
    """Return which column a dataset has, such as "INENC1.VAL.Mean"; "." if it does not say so."""
    return f"{dataset.attrs.get('field', '')}.{dataset.attrs.get('capture', '')}"


def physical_values(dataset: Any, columns: Mapping[str, Any], rows: slice) -> Values:
    """Return rows of a dataset in units.

    Args:
        dataset: one of the columns
        columns: all columns of the file, by name
        rows: which, with a start and a stop within all columns

    Raises:
        CaptureError: it is raw, and cannot be scaled
    """
    attributes = dataset.attrs
    if attributes.get("scaled", True):
        return _array(dataset, rows)
    name = column_of(dataset)
    scaling = scaling_of(attributes["capture"], wide=dataset.ndim > 1)
    if scaling is None:
        raise CaptureError(f"cannot scale {name}: it is a {attributes['capture']} of shape {dataset.shape}")
    by_column = {column_of(other): other for other in columns.values()}
    operands = scaling.operands(attributes["field"])
    if missing := sorted(set(operands.values()) - by_column.keys()):
        raise CaptureError(f"{name} is made of {' and '.join(missing)}, which {dataset.file.filename} does not have")
    values = {key: _array(by_column[other], rows, other) for key, other in {"raw": name, **operands}.items()}
    out = np.empty(len(values["raw"]))
    scaling.compute(values, float(attributes["scale"]), float(attributes["offset"]), out)
    return out


def _array(dataset: Any, rows: slice, name: str = "") -> Values:
    values: Values = dataset[rows]
    return unsigned_gate(name, values) if name == GATE else values


@contextlib.contextmanager
def _opened(file: "str | Path | h5py.File") -> "Iterator[h5py.File]":
    import h5py  # noqa: PLC0415 - it takes a tenth of a second, which other users of the package need not wait for

    with contextlib.suppress(ImportError):  # without it, columns that lz4 or zstd compressed cannot be read
        importlib.import_module("hdf5plugin")
    if isinstance(file, h5py.File):
        yield file
        return
    try:
        opened = h5py.File(file, "r", swmr=True)
    except OSError as error:
        raise CaptureError(f"cannot read {file}: {error}") from error
    with opened:
        yield opened
