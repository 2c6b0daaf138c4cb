"""The columns of an acquisition: what each is called in a file, and how its values are made of a frame.

A PandA that sends raw data leaves the scaling to us: that is less to send and less work for its small
processor. The order of operations is the server's own, so the results are the same to the last bit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..protocol import FieldCapture, StartData
from .errors import CaptureError
from .wide import variance_numerator

Frame = npt.NDArray[np.void]
Values = npt.NDArray[np.generic]

#: What a file has beside its columns.
RESERVED = frozenset({"acquisitions", "entry"})

#: Sums of a sample are divided by this: for how many ticks its gate was high.
GATE = "PCAP.GATE_DURATION.Value"


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
    """

    field: FieldCapture
    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    fill: Callable[[Frame, Values], None]
    scaled: bool


def dataset_name(field: FieldCapture, names: Mapping[str, str]) -> str:
    """What a column is called: by the name that people gave to its field, or else `BLOCK.FIELD.Capture`.

    Args:
        field: the column
        names: names that were given, by field; the values of a field that has one are told apart by
            endings, `-min` and so on, but for Value
    """
    given = names.get(field.name, "")
    if not given:
        return field.column
    return given if field.capture == "Value" else f"{given}-{field.capture.lower()}"


def stored_columns(
    start: StartData, names: Mapping[str, str] | None = None, *, raw: bool = False, gate_captured: bool = True
) -> list[Column]:
    """The columns to store of an acquisition.

    Args:
        start: its beginning
        names: see `dataset_name`
        raw: store raw data as the integers that came; otherwise in units, as float64, and bits as uint32
        gate_captured: whether people asked for GATE_DURATION; otherwise it is there to divide means by,
            and is stored only with raw data

    Raises:
        CaptureError: a standard deviation lacks what it is computed of, or two columns would be called the same
    """
    given = names or {}
    columns = []
    present = {field.column for field in start.fields}
    for field in start.fields:
        if field.column == GATE and not gate_captured and not raw and _is_helper(start):
            continue
        if not raw and field.type == "int96" and not {f"{field.name}.Mean", GATE} <= present:
            raise CaptureError(f"{field.column} is made of {field.name}.Mean and {GATE}, which were not captured")
        column_type = start.dtype[field.column]
        as_it_is = raw or start.process == "Scaled" or field.scale is None
        columns.append(
            Column(
                field,
                dataset_name(field, given),
                column_type.base if as_it_is else np.dtype("<f8"),
                column_type.shape if as_it_is else (),
                _copy(field.column) if as_it_is else _scaling(field),
                scaled=not raw and field.scale is not None,
            )
        )
    called: set[str] = set()
    for column in columns:
        check_dataset_name(column.name)
        if column.name in called:
            raise CaptureError(f"two columns are called {column.name!r}: change the name of a dataset")
        called.add(column.name)
    return columns


def check_dataset_name(name: str) -> None:
    """Check that a file can have a dataset of a name.

    Raises:
        CaptureError: it cannot
    """
    if not name or name in RESERVED or name.strip(".") == "" or "/" in name or "\0" in name:
        raise CaptureError(f"{name!r} cannot be the name of a dataset")


def _is_helper(start: StartData) -> bool:
    """Whether GATE_DURATION is where servers put it for us: first, before any other column."""
    return start.process == "Raw" and start.fields[0].column == GATE


def _copy(name: str) -> Callable[[Frame, Values], None]:
    def fill(frame: Frame, out: Values) -> None:
        out[...] = frame[name]

    return fill


def _scaling(field: FieldCapture) -> Callable[[Frame, Values], None]:
    return _SCALINGS.get(field.capture, _linear)(field, field.scale or 0.0, field.offset or 0.0)


def _linear(field: FieldCapture, scale: float, offset: float) -> Callable[[Frame, Values], None]:
    name = field.column

    def fill(frame: Frame, out: Values) -> None:
        np.multiply(frame[name], scale, out=out)
        if offset:
            np.add(out, offset, out=out)

    return fill


def _mean(field: FieldCapture, scale: float, offset: float) -> Callable[[Frame, Values], None]:
    name = field.column

    def fill(frame: Frame, out: Values) -> None:
        np.multiply(frame[name], scale, out=out)
        with np.errstate(divide="ignore", invalid="ignore"):  # a gate that was never high: not a number
            np.divide(out, frame[GATE], out=out)
        if offset:
            np.add(out, offset, out=out)

    return fill


def _deviation(field: FieldCapture, scale: float, _offset: float) -> Callable[[Frame, Values], None]:
    total = f"{field.name}.Mean"  # in raw data, the sum that a mean is made of
    squares = field.column

    def fill(frame: Frame, out: Values) -> None:
        count = frame[GATE]
        numerator = variance_numerator(count, frame[total], frame[squares])
        with np.errstate(divide="ignore", invalid="ignore"):
            out[...] = np.sqrt(numerator) / count * scale

    return fill


_SCALINGS = {"Mean": _mean, "StdDev": _deviation}
