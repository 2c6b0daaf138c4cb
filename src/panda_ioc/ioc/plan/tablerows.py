"""The words of a table and the columns that clients see: pure functions, both ways.

Where the bits of a column are, `protocol.tables` knows. What clients put is checked whole before anything is made of
it, and a refusal says which row of which column is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...protocol import RemoteProtocolError, TableFieldInfo
from ...protocol.fields import TableColumn
from ...protocol.tables import Words, dtype_of, label_of, limits_of, pack, unpack, width_of, word_of
from .codecs import Refusal, near_matches
from .record import STRING_BYTES, Array, Column, shorten

#: Codes of an enum that are given a text of their own; wider fields have no enum.
_MAX_CODE_BITS = 8

#: Whole numbers up to here are shown in full, however they came.
_MOST_DIGITS = 1e16


@dataclass(frozen=True)
class Bits:
    """A column and where it is in a row.

    Attributes:
        column: what clients see of it
        source: what the PandA says of it
        word: which word of a row has it
    """

    column: Column
    source: TableColumn
    word: int

    @cached_property
    def texts(self) -> npt.NDArray[Any]:
        """The text of every code of an enum."""
        return np.array([label_of(self.source, code) for code in range(1 << width_of(self.source))], object)

    @cached_property
    def codes(self) -> Mapping[str, int]:
        """The code of every text, whole or as Channel Access cuts it; of two that are the same, the first."""
        codes = list(reversed(list(enumerate(self.texts))))
        return {shorten(text, STRING_BYTES): code for code, text in codes} | {text: code for code, text in codes}


@dataclass(frozen=True)
class Rows:
    """How the rows of a table are made of its columns.

    Attributes:
        row_words: words in a row
        max_rows: the most rows
        bits: all columns, in order
    """

    row_words: int
    max_rows: int
    bits: tuple[Bits, ...]

    def decode(self, words: Words) -> dict[str, Array]:
        """The columns of a table's words; a part of a row at the end is left out."""
        rows = words[: len(words) // self.row_words * self.row_words].reshape(-1, self.row_words)
        return {bits.column.name: _decode(bits, rows[:, bits.word]) for bits in self.bits}

    def checked(self, name: str, values: Any) -> Array:
        """Return what is put to one column as the column has it.

        Raises:
            Refusal: a value cannot be there
        """
        bits = next(bits for bits in self.bits if bits.column.name == name)
        return _decode(bits, _encode(bits, values))

    def encode(self, columns: Mapping[str, Any]) -> Words:
        """The words of a table's columns.

        Args:
            columns: all of them, arrays of numbers or sequences of texts

        Raises:
            Refusal: one is missing, they have not the same length, or too many rows, or a value that cannot be there
        """
        missing = [bits.column.name for bits in self.bits if bits.column.name not in columns]
        if missing:
            raise Refusal(f"there is no column {', '.join(missing)} in what was put")
        lengths = {bits.column.name: len(columns[bits.column.name]) for bits in self.bits}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise Refusal(f"the columns have not the same number of rows: {told}")
        count = next(iter(lengths.values()), 0)
        if count > self.max_rows:
            raise Refusal(f"{count} rows are more than the {self.max_rows} that the table holds")
        rows = np.zeros((count, self.row_words), np.uint32)
        for bits in self.bits:
            rows[:, bits.word] |= _encode(bits, columns[bits.column.name])
        return rows.reshape(-1)


def rows_of(info: TableFieldInfo) -> Rows:
    """How the rows of a table are made, from what the PandA says of it.

    Raises:
        ValueError: the columns make no sense
    """
    try:
        bits = tuple(Bits(_column(name, it), it, word_of(name, it, info)) for name, it in info.columns.items())
    except RemoteProtocolError as problem:
        raise ValueError(str(problem)) from problem
    if not bits:
        raise ValueError("it has no columns")
    if len({place.column.name for place in bits}) < len(bits):
        raise ValueError("two columns have the same name")
    return Rows(info.row_words, info.max_rows, bits)


def _column(name: str, column: TableColumn) -> Column:
    lower = name.lower()
    if not (lower.isascii() and lower.isidentifier()):
        raise ValueError(f"{name!r} cannot be the name of a column")
    if column.subtype == "enum" and column.labels and width_of(column) <= _MAX_CODE_BITS:
        return Column(lower, name, "str", column.labels)
    low, high = limits_of(column)
    return Column(lower, name, dtype_of(column), low=low, high=high)


def _decode(bits: Bits, words: Words) -> Array:
    codes = unpack(bits.source, words)
    if bits.column.dtype == "str":
        texts: list[str] = bits.texts[codes].tolist()
        return texts
    return codes


def _encode(bits: Bits, values: Any) -> Words:
    """The words of a column's values, with all other bits 0."""
    column = bits.column
    if column.dtype == "str":
        return _encode_texts(bits, values)
    array = np.asarray(values)
    if array.dtype.kind not in "iubf" and array.size:
        raise Refusal(f"{column.label} must be whole numbers, not {array.dtype}")
    low, high = column.low or 0, column.high or 0
    _check_all(column, array, (array >= low) & (array <= high), f"from {low} to {high}")
    if array.dtype.kind == "f":
        _check_all(column, array, array == np.floor(array), "a whole number")
    return pack(bits.source, array)


def _check_all(column: Column, array: npt.NDArray[Any], good: npt.NDArray[np.bool_], wanted: str) -> None:
    """Refuse an array with the first element that is not good; a NaN never is."""
    if not good.all():
        row = int(np.argmin(good))
        shown = array[row].item()
        shown = int(shown) if float(shown).is_integer() and abs(shown) < _MOST_DIGITS else shown
        raise Refusal(f"{column.label} in row {row} is {shown}, which is not {wanted}")


def _encode_texts(bits: Bits, values: Any) -> Words:
    codes = list(map(bits.codes.get, values))
    if None in codes:
        row = codes.index(None)
        near = near_matches(str(values[row]), bits.column.choices)
        raise Refusal(
            f"{bits.column.label} in row {row} is {str(values[row])[:80]!r}, which is none of the choices{near}"
        )
    return pack(bits.source, np.array(codes, np.uint32))
