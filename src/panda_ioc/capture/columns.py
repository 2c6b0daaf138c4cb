"""The columns of an acquisition: dataset names, dtypes, and conversion of frames to values.

With raw data, the PandA leaves the scaling to this package, which saves network bandwidth and the PandA's CPU. See
`scaling` for the accuracy.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..protocol import FieldCapture, StartData
from .errors import CaptureError
from .options import BITS_TYPES, ColumnOptions
from .scaling import GATE, Scaling, Values, scaling_of, unsigned_gate

__all__ = ["Column", "stored_columns"]

Frame = npt.NDArray[np.void]

#: Names of groups in a file that columns cannot have.
RESERVED = frozenset({"acquisitions", "entry"})

#: Characters that a NeXus name cannot have, including a dot at either end, and the maximum length of a name.
_NOT_NEXUS = re.compile(r"[^A-Za-z0-9_.]|^\.|\.$")
_LONGEST_NEXUS = 63


@dataclass(frozen=True)
class Column:
    """A column to store.

    Attributes:
        field: captured column
        name: dataset name
        dtype: dtype of a value
        shape: shape of a value: (3,) for a raw int96, () otherwise
        fill: function that writes the values of a frame into an array of the same length
        scaled: whether the values are in physical units
        scaling: conversion of the stored values to physical units; None if they are scaled or have no scaling
    """

    field: FieldCapture
    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    fill: Callable[[Frame, Values], None]
    scaled: bool
    scaling: Scaling | None = None

    @property
    def meaning(self) -> tuple[Any, ...]:
        """The properties that must be the same in all acquisitions of a file."""
        source = self.field
        scaling = () if self.scaled else (source.scale, source.offset)
        return (self.name, source.column, self.dtype, source.units, *scaling)


def dataset_name(field: FieldCapture, names: Mapping[str, str], *, nexus: bool = False) -> str:
    """Return the dataset name of a column: the configured name of its field, or `BLOCK.FIELD.Capture`.

    Args:
        field: captured column
        names: configured names by field name. A suffix such as `-min` is appended for quantities other than Value
        nexus: replace characters that a NeXus name cannot have by underscores
    """
    given = names.get(field.name, "")
    name = field.column if not given else given if field.capture == "Value" else f"{given}-{field.capture.lower()}"
    return _NOT_NEXUS.sub("_", name) if nexus else name


def stored_columns(start: StartData, options: ColumnOptions | None = None) -> list[Column]:
    """Return the columns of an acquisition to store.

    Args:
        start: start event of the acquisition
        options: selection and format of the columns; all columns in physical units by default

    Raises:
        CaptureError: a column cannot be scaled, or two columns have the same name
    """
    sent, added = {field.column for field in start.fields}, _added(start)
    options = _with_known_selection(options or ColumnOptions(), sent, added)
    chosen = {field.column for field in start.fields if _is_stored(field, added, options)}
    if options.raw and start.process == "Raw":
        # The operands are needed to scale the file later.
        chosen |= {name for field in start.fields if field.column in chosen for name in _operands(field)}
    columns = [_column(field, start, sent, options) for field in start.fields if field.column in chosen]
    _check_names([column.name for column in columns], nexus=options.nexus)
    return columns


def check_dataset_name(name: str) -> None:
    """Check a dataset name.

    Raises:
        CaptureError: a file cannot have a dataset with this name
    """
    if not name or name in RESERVED or name.strip(".") == "" or "/" in name or "\0" in name:
        raise CaptureError(f"invalid dataset name {name!r}: it is reserved, empty or contains '/'")


def _check_names(names: Sequence[str], *, nexus: bool) -> None:
    called: set[str] = set()
    for name in names:
        check_dataset_name(name)
        if nexus and len(name) > _LONGEST_NEXUS:
            raise CaptureError(f"{name!r} is too long for NeXus: use up to {_LONGEST_NEXUS} characters")
        if name in called:
            raise CaptureError(f"two columns are called {name!r}: change the name of a dataset")
        called.add(name)


def _with_known_selection(options: ColumnOptions, sent: AbstractSet[str], added: Collection[str]) -> ColumnOptions:
    """Return the options without `asked` if it is outdated: rather an added column in the file than one missing."""
    if options.asked is None:
        return options
    is_current = sent - set(added) <= options.asked <= sent
    return options if is_current else replace(options, asked=None)


def _is_stored(field: FieldCapture, added: Collection[str], options: ColumnOptions) -> bool:
    if options.only_named and not options.names.get(field.name):
        return False
    wanted = options.asked is None or field.column in options.asked
    return wanted or options.raw or field.column not in added


def _added(start: StartData) -> Collection[str]:
    """Return the columns that the server may have added to raw data, identified by their positions.

    These are GATE_DURATION as the first column, and the Mean of a field directly before its StdDev.
    """
    if start.process != "Raw":
        return ()
    added = {
        field.column
        for field, after in zip(start.fields, start.fields[1:], strict=False)
        if (field.name, field.capture, after.capture) == (after.name, "Mean", "StdDev")
    }
    return added | {start.fields[0].column} & {GATE}


def _column(field: FieldCapture, start: StartData, sent: Collection[str], options: ColumnOptions) -> Column:
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
        raise CaptureError(f"cannot scale {field.column}: unexpected type {field.type} of a {field.capture}")
    if missing := _operands(field).difference(sent):
        raise CaptureError(f"cannot scale {field.column}: the PandA did not send {' and '.join(sorted(missing))}")
    return Column(field, name, np.dtype("<f8"), (), _scaled(field, scaling), scaled=True)


def _scaling(field: FieldCapture) -> Scaling | None:
    return None if field.scale is None else scaling_of(field.capture, wide=field.type == "int96")


def _operands(field: FieldCapture) -> set[str]:
    scaling = _scaling(field)
    return set(scaling.operands(field.name).values()) if scaling is not None else set()


def _bits_type(name: str) -> np.dtype[np.generic]:
    if name not in BITS_TYPES:
        raise CaptureError(f"invalid type of bits {name!r}: use {' or '.join(BITS_TYPES)}")
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
