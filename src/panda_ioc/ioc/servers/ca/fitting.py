"""Conversion of values and times to the types of EPICS records."""

from typing import Any

import numpy as np
import numpy.typing as npt
from softioc.fields import ca_timestamp

from ...plan.record import STRING_BYTES, Content, Record, shorten
from .database import text_length


def element(record: Record) -> np.dtype[Any]:
    """Return the dtype of the elements of an array record."""
    return np.dtype("S40" if record.dtype == "str" else record.dtype or "u1")


def fit(record: Record, value: Content) -> Content:
    """Return a value with text and arrays truncated to the size of the record."""
    if isinstance(value, str):
        return shorten(value, text_length(record) - 1 if record.kind.is_long_text else STRING_BYTES)
    if record.kind.is_array:
        return _array(record, value)
    return value


def timestamp(time_ns: int) -> Any:
    """Return a time in ns of Unix time as a time stamp of softioc."""
    seconds, nanoseconds = divmod(time_ns, 10**9)
    return ca_timestamp(secs=seconds, nsec=nanoseconds)


def _array(record: Record, value: Any) -> npt.NDArray[Any]:
    value, dtype = value[: max(record.length, 1)], element(record)
    if dtype.kind != "S" or (isinstance(value, np.ndarray) and value.dtype == dtype):
        return np.asarray(value, dtype)
    try:
        array = np.array(value, dtype)
    except UnicodeEncodeError:
        array = np.array([shorten(text, STRING_BYTES).encode(errors="replace") for text in value], dtype)
    array.view(np.uint8).reshape(-1, dtype.itemsize)[:, STRING_BYTES:] = 0  # EPICS needs a final NUL in each element
    return array
