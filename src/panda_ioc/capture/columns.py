"""The columns of an acquisition: what each is called in a file, and how its values are made of a frame.

A PandA that sends raw data leaves the scaling to us: that is less to send and less work for its small
processor. See `scaling` for how exact that is.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ..protocol import FieldCapture, StartData
from .errors import CaptureError
from .options import BITS_TYPES, ColumnOptions
from .scaling import GATE, Scaling, Values, scaling_of, unsigned_gate

__all__ = ["Column", "stored_columns"]

Frame = npt.NDArray[np.void]

#: What a file has beside its columns.
RESERVED = frozenset({"acquisitions", "entry"})

#: What NeXus takes as a name: these characters, no dot at either end, and no more of them.
_NOT_NEXUS = re.compile(r"[^A-Za-z0-9_.]|^\.|\.$")
_LONGEST_NEXUS = 63


@dataclass(frozen=True)
class Column:
    """A column as it is stored.

    Attributes:
        field: what was captured
        name: what it is called
        dtype: of a value
        shape: of a value; () but for a raw int96, which is three words
        fill: writes the values of a frame into an array of as many values
        scaled: whether the values are in units
        scaling: how the stored values become values in units; None if they are, or if they have none
    """

    field: FieldCapture
    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    fill: Callable[[Frame, Values], None]
    scaled: bool
    scaling: Scaling | None = None


def dataset_name(field: FieldCapture, names: Mapping[str, str], *, nexus: bool = False) -> str:
    """Return what a column is called: by the name that people gave to its field, or else `BLOCK.FIELD.Capture`.

    Args:
        field: the column
        names: names that were given, by field; the values of a field that has one are told apart by
            endings, `-min` and so on, but for Value
        nexus: put an underscore in place of each character that a NeXus name cannot have
    """
    given = names.get(field.name, "")
    name = field.column if not given else given if field.capture == "Value" else f"{given}-{field.capture.lower()}"
    return _NOT_NEXUS.sub("_", name) if nexus else name


def stored_columns(start: StartData, options: ColumnOptions | None = None) -> list[Column]:
    """Return the columns to store of an acquisition.

    Args:
        start: its beginning
        options: which columns, and how

    Raises:
        CaptureError: a column lacks what it is computed of, or two columns would be called the same
    """
    options = options or ColumnOptions()
    chosen = [field for field in start.fields if _is_stored(field, start, options)]
    if options.raw and start.process == "Raw":
        needed = {name for field in chosen for name in _operands(field)}  # or the file could not be scaled
        chosen = [field for field in start.fields if field in chosen or field.column in needed]
    columns = [_column(field, start, options) for field in chosen]
    _check_names([column.name for column in columns], nexus=options.nexus)
    return columns


def check_dataset_name(name: str) -> None:
    """Check that a file can have a dataset of a name.

    Raises:
        CaptureError: it cannot
    """
    if not name or name in RESERVED or name.strip(".") == "" or "/" in name or "\0" in name:
        raise CaptureError(f"{name!r} cannot be the name of a dataset")


def _check_names(names: Sequence[str], *, nexus: bool) -> None:
    called: set[str] = set()
    for name in names:
        check_dataset_name(name)
        if nexus and len(name) > _LONGEST_NEXUS:
            raise CaptureError(f"{name!r} is too long for NeXus, which takes {_LONGEST_NEXUS} characters")
        if name in called:
            raise CaptureError(f"two columns are called {name!r}: change the name of a dataset")
        called.add(name)


def _is_stored(field: FieldCapture, start: StartData, options: ColumnOptions) -> bool:
    if options.only_named and not options.names.get(field.name):
        return False
    wanted = options.asked is None or field.column in options.asked
    return wanted or options.raw or field.column not in _added(start)


def _added(start: StartData) -> Collection[str]:
    """Return the columns that a server may have added to raw data on its own, by the places where it puts them.

    These are GATE_DURATION in front of all, and the Mean of a field just before its StdDev.
    """
    if start.process != "Raw":
        return ()
    added = {
        field.column
        for field, after in zip(start.fields, start.fields[1:], strict=False)
        if (field.name, field.capture, after.capture) == (after.name, "Mean", "StdDev")
    }
    return added | {start.fields[0].column} & {GATE}


def _column(field: FieldCapture, start: StartData, options: ColumnOptions) -> Column:
    name = dataset_name(field, options.names, nexus=options.nexus)
    dtype, shape = start.dtype[field.column].base, start.dtype[field.column].shape
    copy = partial(_copy, field.column)
    if start.process == "Scaled" or field.scale is None:
        is_bits = field.scale is None and dtype == np.uint32
        return Column(
            field,
            name,
            _bits_type(options.bits) if is_bits and not options.raw else dtype,
            shape,
            copy,
            scaled=field.scale is not None,
        )
    scaling = _scaling(field)
    if options.raw:
        is_gate = field.column == GATE and field.type == "int32"
        return Column(field, name, np.dtype("<u4") if is_gate else dtype, shape, copy, scaled=False, scaling=scaling)
    if scaling is None:
        raise CaptureError(f"cannot scale {field.column}: the PandA sends {field.capture} as {field.type}")
    if missing := _operands(field) - {other.column for other in start.fields}:
        raise CaptureError(f"{field.column} is made of {' and '.join(sorted(missing))}, which the PandA did not send")
    return Column(field, name, np.dtype("<f8"), (), _scaled(field, scaling), scaled=True)


def _scaling(field: FieldCapture) -> Scaling | None:
    return None if field.scale is None else scaling_of(field.capture, wide=field.type == "int96")


def _operands(field: FieldCapture) -> set[str]:
    scaling = _scaling(field)
    return set(scaling.operands(field.name).values()) if scaling is not None else set()


def _bits_type(name: str) -> np.dtype[np.generic]:
    if name not in BITS_TYPES:
        raise CaptureError(f"bits cannot be {name!r}, only {' or '.join(BITS_TYPES)}")
    return np.dtype(name)


def _copy(name: str, frame: Frame, out: Values) -> None:
    out[...] = unsigned_gate(name, frame[name])


def _scaled(field: FieldCapture, scaling: Scaling) -> Callable[[Frame, Values], None]:
    name, others = field.column, scaling.operands(field.name).items()
    scale, offset = field.scale or 0.0, field.offset or 0.0

    def fill(frame: Frame, out: Values) -> None:
        values = {"raw": unsigned_gate(name, frame[name])}
        for key, other in others:
            values[key] = unsigned_gate(other, frame[other])
        scaling.compute(values, scale, offset, out)

    return fill
