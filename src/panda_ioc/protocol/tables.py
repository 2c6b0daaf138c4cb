"""The 32-bit words of a table and its columns, both ways.

A row is `row_words` words; a column is some bits of one of them, as `TableFieldInfo.columns` says.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .errors import LocalProtocolError, RemoteProtocolError
from .fields import TableColumn, TableFieldInfo

Words = npt.NDArray[np.uint32]

#: Stands for a code of an enum that has no label, so that it too can be read and written back.
_NO_LABEL = "code {}"


def words_to_columns(
    words: npt.ArrayLike, info: TableFieldInfo, *, labels: bool = False
) -> dict[str, npt.NDArray[Any]]:
    """Split the words of a table into its columns.

    Args:
        words: (n * row_words,) integers, row after row, as `GetTable` gives them
        info: of the table, from `GetFieldInfo`
        labels: give enums as text instead of as their codes; a code without a label is "code 13"

    Returns:
        an array of n values for each column, by its name on the PandA, in the order of `info.columns`: the smallest
        of uint8, uint16, uint32 or int8, int16, int32 that holds its bits; text for enums with `labels`

    Raises:
        LocalProtocolError: the words are not whole rows of 32-bit words
        RemoteProtocolError: the PandA describes a column that is not in a row
    """
    rows = _rows(words, info)
    return {name: _read(column, rows[:, word_of(name, column, info)], labels=labels)
            for name, column in info.columns.items()}  # fmt: skip


def columns_to_words(columns: Mapping[str, npt.ArrayLike], info: TableFieldInfo) -> Words:
    """Put the columns of a table together into words, for `PutTable` and `Append`.

    Args:
        columns: values by the name of the column on the PandA, all of the same length; columns that are left out
            are 0. Numbers, or for enums also labels
        info: of the table, from `GetFieldInfo`

    Returns:
        (n * row_words,) words, row after row

    Raises:
        LocalProtocolError: there is no such column, lengths differ, the rows are more than the table holds, or a
            value does not fit; the message names the column and the row
        RemoteProtocolError: the PandA describes a column that is not in a row
    """
    unknown = [name for name in columns if name not in info.columns]
    if unknown:
        raise LocalProtocolError(f"there is no column {unknown[0]!r}; the columns are {', '.join(info.columns)}")
    values = {name: _as_list_or_array(name, given) for name, given in columns.items()}
    lengths = {name: len(given) for name, given in values.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise LocalProtocolError(f"the columns have different numbers of rows: {told}")
    count = next(iter(lengths.values()), 0)
    if count > info.max_rows:
        raise LocalProtocolError(f"{count} rows are more than the {info.max_rows} that the table holds")
    rows = np.zeros((count, info.row_words), np.uint32)
    for name, given in values.items():
        column = info.columns[name]
        rows[:, word_of(name, column, info)] |= pack(column, _codes(name, column, given))
    return rows.reshape(-1)


def _rows(words: npt.ArrayLike, info: TableFieldInfo) -> Words:
    """Arrange the words of a table as (n, row_words).

    Raises:
        LocalProtocolError: they are not whole rows of 32-bit words
    """
    array = np.asarray(words)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise LocalProtocolError(f"words must be one row of integers, not {array.dtype} {array.shape}")
    if array.size % info.row_words:
        raise LocalProtocolError(f"{array.size} words are not whole rows of {info.row_words} words")
    if array.size and (array.min() < -(2**31) or array.max() >= 2**32):
        raise LocalProtocolError(f"words must fit 32 bits, not {array.min()} to {array.max()}")
    return array.astype(np.uint32).reshape(-1, info.row_words)


def word_of(name: str, column: TableColumn, info: TableFieldInfo) -> int:
    """Return which word of a row has a column.

    Raises:
        RemoteProtocolError: the PandA describes a column that is not in one word of a row
    """
    if column.bit_high >= 32 * info.row_words or column.bit_low // 32 != column.bit_high // 32:
        raise RemoteProtocolError(
            f"column {name} is bits {column.bit_high}:{column.bit_low}, which are not in one of {info.row_words} words"
        )
    return column.bit_low // 32


def width_of(column: TableColumn) -> int:
    """Return how many bits a column has."""
    return column.bit_high - column.bit_low + 1


def dtype_of(column: TableColumn) -> str:
    """Return the smallest type that holds the numbers of a column, as numpy writes it: "u1", "i4"."""
    width = width_of(column)
    return f"{'i' if column.subtype == 'int' else 'u'}{1 if width <= 8 else 2 if width <= 16 else 4}"


def limits_of(column: TableColumn) -> tuple[int, int]:
    """Return the least and the greatest number that a column holds."""
    width = width_of(column)
    return (-(1 << width - 1), (1 << width - 1) - 1) if column.subtype == "int" else (0, (1 << width) - 1)


def label_of(column: TableColumn, code: int) -> str:
    """Return the text of a code of an enum; a code without a label is "code 13"."""
    return column.labels[code] if code < len(column.labels) else _NO_LABEL.format(code)


def unpack(column: TableColumn, words: Words) -> npt.NDArray[Any]:
    """Return the numbers of a column, of type `dtype_of`.

    Args:
        column: which bits
        words: (n,) words, of each row the one that has the column
    """
    width = width_of(column)
    codes = (words >> np.uint32(column.bit_low % 32)) & np.uint32((1 << width) - 1)
    if column.subtype == "int":
        unused = 32 - width
        return ((codes << np.uint32(unused)).view(np.int32) >> unused).astype(dtype_of(column))
    return codes.astype(dtype_of(column))


def pack(column: TableColumn, numbers: npt.NDArray[Any]) -> Words:
    """Return (n,) words with the numbers of a column at its bits, and 0 at all others.

    Args:
        column: which bits
        numbers: (n,) whole numbers of any numeric type, within `limits_of` the column
    """
    codes = numbers.astype(np.int64).astype(np.uint32) & np.uint32((1 << width_of(column)) - 1)
    return codes << np.uint32(column.bit_low % 32)


def _read(column: TableColumn, words: Words, *, labels: bool) -> npt.NDArray[Any]:
    codes = unpack(column, words)
    if column.subtype == "enum" and labels:
        return np.array([label_of(column, code) for code in codes.tolist()], np.str_)
    return codes


def _as_list_or_array(name: str, given: npt.ArrayLike) -> Sequence[Any] | npt.NDArray[Any]:
    array = np.asarray(given)
    if array.ndim != 1:
        raise LocalProtocolError(f"{name} must be one-dimensional, not of shape {array.shape}")
    # Text is kept as it is given: an array of it may be cut, or have made text of numbers.
    return list(cast("Sequence[Any]", given)) if array.dtype.kind in "USO" else array


def _codes(name: str, column: TableColumn, values: Sequence[Any] | npt.NDArray[Any]) -> npt.NDArray[Any]:
    if not isinstance(values, np.ndarray):
        values = np.array([_code(name, column, row, value) for row, value in enumerate(values)], object)
    elif values.size and values.dtype.kind not in "iub":
        raise LocalProtocolError(f"{name} must be integers, not {values.dtype}")
    low, high = limits_of(column)
    wrong = np.flatnonzero((values < low) | (values > high))
    if wrong.size:
        row = int(wrong[0])
        raise LocalProtocolError(f"{name} in row {row} is {values[row]}, not from {low} to {high}")
    return values


def _code(name: str, column: TableColumn, row: int, value: object) -> int:
    if isinstance(value, int | np.integer):
        return int(value)
    if column.subtype == "enum" and isinstance(value, str):
        if value in column.labels:
            return column.labels.index(value)
        number = value.removeprefix(_NO_LABEL.format(""))
        if number != value and number.isdecimal() and len(number) < 10:
            return int(number)
        raise LocalProtocolError(f"{name} in row {row} is {value[:80]!r}, none of {', '.join(column.labels)}")
    raise LocalProtocolError(f"{name} in row {row} is {repr(value)[:80]}, not a number")
