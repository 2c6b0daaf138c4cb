"""Read physical values from files with scaled or raw columns."""

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
    """Read columns of a file written by panda-ioc in physical units.

    Raw columns are scaled with the attributes of their datasets. The file may still be written to.

    Args:
        file: path, or an open file
        names: dataset names, in the order of the result; empty for all
        rows: rows to read, such as `slice(1000)`; all by default

    Returns:
        an (n,) array for each dataset name. float64 in the units of the attribute `units` or, for raw columns,
        `scaled_units`; bits and other columns without scaling as stored, uint32 or float64

    Raises:
        CaptureError: the file cannot be read, a dataset is missing, or a column needed to scale a raw one is missing

    Example:
        >>> from panda_ioc.capture import read_columns
        >>> values = read_columns("scan_0001.h5", ["COUNTER1.OUT.Value"], slice(3))
        >>> values["COUNTER1.OUT.Value"]
        array([0., 1., 2.])
    """
    with _opened(file) as opened:
        columns = datasets(opened)
        if unknown := [name for name in names if name not in columns]:
            raise CaptureError(f"{opened.filename} has no column {', '.join(unknown)}; it has {', '.join(columns)}")
        # While a file is written, its columns may have different lengths.
        length = min(map(len, columns.values()), default=0)
        return {
            name: physical_values(columns[name], columns, slice(*rows.indices(length))) for name in names or columns
        }


def datasets(file: "h5py.File") -> dict[str, Any]:
    """Return the datasets of a file that are columns, by name: those with the attributes `field` and `capture`."""
    # Not `items()`, which has None for damaged objects.
    return {name: file[name] for name in file if {"field", "capture"} <= set(file[name].attrs)}


def column_of(dataset: Any) -> str:
    """Return the column of a dataset, such as "INENC1.VAL.Mean"; "." if its attributes are missing."""
    return f"{dataset.attrs.get('field', '')}.{dataset.attrs.get('capture', '')}"


def physical_values(dataset: Any, columns: Mapping[str, Any], rows: slice) -> Values:
    """Return rows of a dataset in physical units.

    Args:
        dataset: dataset of a column
        columns: all columns of the file, by dataset name
        rows: rows to read; start and stop are within all columns

    Raises:
        CaptureError: a raw column cannot be scaled
    """
    attributes = dataset.attrs
    if attributes.get("scaled", True):
        return _array(dataset, rows)
    name = column_of(dataset)
    scaling = scaling_of(attributes["capture"], wide=dataset.ndim > 1)
    if scaling is None:
        raise CaptureError(f"cannot scale {name}: unexpected shape {dataset.shape} of a {attributes['capture']}")
    by_column = {column_of(other): other for other in columns.values()}
    operands = scaling.operands(attributes["field"])
    if missing := sorted(set(operands.values()) - by_column.keys()):
        raise CaptureError(f"cannot scale {name}: {dataset.file.filename} has no {' and no '.join(missing)}")
    values = {key: _array(by_column[other], rows, other) for key, other in {"raw": name, **operands}.items()}
    out = np.empty(len(values["raw"]))
    scaling.compute(values, float(attributes["scale"]), float(attributes["offset"]), out)
    return out


def _array(dataset: Any, rows: slice, name: str = "") -> Values:
    values: Values = dataset[rows]
    return unsigned_gate(name, values) if name == GATE else values


@contextlib.contextmanager
def _opened(file: "str | Path | h5py.File") -> "Iterator[h5py.File]":
    import h5py  # noqa: PLC0415 - takes 0.1 s, which other users of the package do not need

    from .growingfile import DAMAGED, open_to_read  # noqa: PLC0415

    with contextlib.suppress(ImportError):  # needed for lz4 and zstd only
        importlib.import_module("hdf5plugin")
    if isinstance(file, h5py.File):
        yield file
        return
    with open_to_read(file) as opened:
        try:
            yield opened
        except DAMAGED as error:
            raise CaptureError(f"cannot read {file}: {error}") from error
