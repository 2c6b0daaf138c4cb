"""Conversion between the 32-bit words of a table and its columns.

A row has `row_words` words. A column is a bit field in one of them, as described by `TableFieldInfo.columns`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .errors import LocalProtocolError, RemoteProtocolError
from .fields import TableColumn, TableFieldInfo

Words = npt.NDArray[np.uint32]

#: Text for an enum code without a label, so that it can be read and written back.
_NO_LABEL = "code {}"


def words_to_columns(
    words: npt.ArrayLike, info: TableFieldInfo, *, labels: bool = False
) -> dict[str, npt.NDArray[Any]]:
    """Split the words of a table into columns.

    Args:
        words: (n * row_words,) integers, row after row, as in `TableContent.words`
        info: description of the table from `GetFieldInfo`
        labels: return enums as labels instead of codes; a code without a label becomes "code 13"

    Returns:
        an (n,) array for each column name, in the order of `info.columns`. The dtype is the smallest of uint8, uint16,
        uint32 (int8, int16, int32 for subtype int) that holds the bits of the column; str for enums with `labels`

    Raises:
        LocalProtocolError: the words are not 32-bit integers or not whole rows
        RemoteProtocolError: the description has a column outside a row

    Example:
        >>> info = TableFieldInfo("table", None, max_length=8, row_words=2, columns={
        ...     "REPEATS": TableColumn("uint", 0, 15), "POSITION": TableColumn("int", 32, 63)})
        >>> words = columns_to_words({"REPEATS": [1, 2], "POSITION": [-1, 5]}, info)
        >>> words.tolist()
        [1, 4294967295, 2, 5]
        >>> words_to_columns(words, info)
        {'REPEATS': array([1, 2], dtype=uint16), 'POSITION': array([-1,  5], dtype=int32)}
    """
    rows = _rows(words, info)
    return {name: _read(column, rows[:, word_of(name, column, info)], labels=labels)
            for name, column in info.columns.items()}  # fmt: skip


def columns_to_words(columns: Mapping[str, npt.ArrayLike], info: TableFieldInfo) -> Words:
    """Pack the columns of a table into words, for `PutTable` and `Append`. See `words_to_columns` for an example.

    Args:
        columns: (n,) integers or bools by column name, all of the same length; enums also as labels. Missing columns
            are filled with 0
        info: description of the table from `GetFieldInfo`

    Returns:
        (n * row_words,) uint32, row after row

    Raises:
        LocalProtocolError: a column is unknown, lengths differ, the table has too few rows, or a value is out of
            range; the message has the column and the row
        RemoteProtocolError: the description has a column outside a row
    """
    unknown = [name for name in columns if name not in info.columns]
    if unknown:
        raise LocalProtocolError(f"unknown column {unknown[0]!r}: the columns are {', '.join(info.columns)}")
    values = {name: _as_list_or_array(name, given) for name, given in columns.items()}
    lengths = {name: len(given) for name, given in values.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise LocalProtocolError(f"the columns have different numbers of rows: {listed}")
    count = next(iter(lengths.values()), 0)
    if count > info.max_rows:
        raise LocalProtocolError(f"{count} rows do not fit: the table holds {info.max_rows} rows")
    rows = np.zeros((count, info.row_words), np.uint32)
    for name, given in values.items():
        column = info.columns[name]
        rows[:, word_of(name, column, info)] |= pack(column, _codes(name, column, given))
    return rows.reshape(-1)


def _rows(words: npt.ArrayLike, info: TableFieldInfo) -> Words:
    """Arrange the words of a table as (n, row_words).

    Raises:
        LocalProtocolError: the words are not 32-bit integers or not whole rows
    """
    array = np.asarray(words)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise LocalProtocolError(f"words must be a one-dimensional array of integers, not {array.dtype} {array.shape}")
    if array.size % info.row_words:
        raise LocalProtocolError(f"{array.size} words are not a whole number of rows of {info.row_words} words")
    if array.size and (array.min() < -(2**31) or array.max() >= 2**32):
        raise LocalProtocolError(f"words must fit in 32 bits, not {array.min()} to {array.max()}")
    return array.astype(np.uint32).reshape(-1, info.row_words)


def word_of(name: str, column: TableColumn, info: TableFieldInfo) -> int:
    """Return the index of the word that contains a column.

    Raises:
        RemoteProtocolError: the column is not in one word of a row
    """
    if column.bit_high >= 32 * info.row_words or column.bit_low // 32 != column.bit_high // 32:
        raise RemoteProtocolError(
            f"column {name} has bits {column.bit_high}:{column.bit_low}, which are not in one word of a row of "
            f"{info.row_words} words"
        )
    return column.bit_low // 32


def width_of(column: TableColumn) -> int:
    """Return the number of bits of a column."""
    return column.bit_high - column.bit_low + 1


def dtype_of(column: TableColumn) -> str:
    """Return the smallest numpy dtype that holds the values of a column: "u1", "i4"."""
    width = width_of(column)
    return f"{'i' if column.subtype == 'int' else 'u'}{1 if width <= 8 else 2 if width <= 16 else 4}"


def limits_of(column: TableColumn) -> tuple[int, int]:
    """Return the minimum and the maximum value of a column."""
    width = width_of(column)
    return (-(1 << width - 1), (1 << width - 1) - 1) if column.subtype == "int" else (0, (1 << width) - 1)


def label_of(column: TableColumn, code: int) -> str:
    """Return the label of an enum code; "code 13" for a code without a label."""
    return column.labels[code] if code < len(column.labels) else _NO_LABEL.format(code)


def unpack(column: TableColumn, words: Words) -> npt.NDArray[Any]:
    """Return the (n,) values of a column, with dtype `dtype_of(column)`.

    Args:
        column: column to extract
        words: (n,) words that contain the column, one for each row
    """
    width = width_of(column)
    codes = (words >> np.uint32(column.bit_low % 32)) & np.uint32((1 << width) - 1)
    if column.subtype == "int":
        unused = 32 - width
        return ((codes << np.uint32(unused)).view(np.int32) >> unused).astype(dtype_of(column))
    return codes.astype(dtype_of(column))


def pack(column: TableColumn, numbers: npt.NDArray[Any]) -> Words:
    """Return (n,) words with the values of a column in its bits; other bits are 0.

    Args:
        column: column to pack
        numbers: (n,) integers of any numeric dtype, within `limits_of(column)`
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
    # Text stays a list: numpy would convert numbers in it to text.
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
        raise LocalProtocolError(f"{name} in row {row} is {values[row]}, not between {low} and {high}")
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
        raise LocalProtocolError(f"{name} in row {row} is {value[:80]!r}, not one of {', '.join(column.labels)}")
    raise LocalProtocolError(f"{name} in row {row} is {repr(value)[:80]}, not a number")
