"""Convert the words of a PandA table to columns, and columns to words.

`protocol.tables` extracts and packs the bits of a column. A put is checked completely before it is converted; a
refusal names the column and the row.
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

#: Maximum width in bits of a column that is shown as enum labels; wider columns are numbers.
_MAX_CODE_BITS = 8

#: Messages show integers up to this size in full, larger ones as floats.
_MAX_SHOWN_IN_FULL = 1e16


@dataclass(frozen=True)
class Bits:
    """A column and its bits in a row.

    Attributes:
        column: the column that clients see
        source: the column as the PandA describes it
        word: index of the word in the row
    """

    column: Column
    source: TableColumn
    word: int

    @cached_property
    def texts(self) -> npt.NDArray[Any]:
        """The text for every code of an enum."""
        return np.array([label_of(self.source, code) for code in range(1 << width_of(self.source))], object)

    @cached_property
    def codes(self) -> Mapping[str, int]:
        """The code for every text, complete or cut to a CA string; the lowest code where two texts are equal."""
        codes = list(reversed(list(enumerate(self.texts))))
        return {shorten(text, STRING_BYTES): code for code, text in codes} | {text: code for code, text in codes}


@dataclass(frozen=True)
class Rows:
    """The row layout of a table.

    Attributes:
        row_words: number of 32-bit words in a row
        max_rows: maximum number of rows
        bits: all columns, in order
    """

    row_words: int
    max_rows: int
    bits: tuple[Bits, ...]

    def decode(self, words: Words) -> dict[str, Array]:
        """Return the columns of a table by name, from its words; an incomplete last row is dropped."""
        rows = words[: len(words) // self.row_words * self.row_words].reshape(-1, self.row_words)
        return {bits.column.name: _decode(bits, rows[:, bits.word]) for bits in self.bits}

    def checked(self, name: str, values: Any) -> Array:
        """Return the values put to one column, converted to the type of the column.

        Raises:
            Refusal: a value is not valid for the column
        """
        bits = next(bits for bits in self.bits if bits.column.name == name)
        return _decode(bits, _encode(bits, values))

    def encode(self, columns: Mapping[str, Any]) -> Words:
        """Return the words of a table, a uint32 array, from its columns.

        Args:
            columns: all columns by name, arrays of numbers or sequences of texts

        Raises:
            Refusal: a column is missing, the lengths differ, there are too many rows, or a value is not valid
        """
        missing = [bits.column.name for bits in self.bits if bits.column.name not in columns]
        if missing:
            raise Refusal(f"missing columns: {', '.join(missing)}")
        lengths = {bits.column.name: len(columns[bits.column.name]) for bits in self.bits}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise Refusal(f"the columns must have the same number of rows: {listed}")
        count = next(iter(lengths.values()), 0)
        if count > self.max_rows:
            raise Refusal(f"too many rows: {count}, the table holds at most {self.max_rows}")
        rows = np.zeros((count, self.row_words), np.uint32)
        for bits in self.bits:
            rows[:, bits.word] |= _encode(bits, columns[bits.column.name])
        return rows.reshape(-1)


def rows_of(info: TableFieldInfo) -> Rows:
    """Return the row layout of a table from its field information.

    Raises:
        ValueError: the description of the columns is not valid
    """
    try:
        bits = tuple(Bits(_column(name, it), it, word_of(name, it, info)) for name, it in info.columns.items())
    except RemoteProtocolError as problem:
        raise ValueError(str(problem)) from problem
    if not bits:
        raise ValueError("the table has no columns")
    if len({place.column.name for place in bits}) < len(bits):
        raise ValueError("two columns have the same name")
    return Rows(info.row_words, info.max_rows, bits)


def _column(name: str, column: TableColumn) -> Column:
    lower = name.lower()
    if not (lower.isascii() and lower.isidentifier()):
        raise ValueError(f"invalid column name {name!r}")
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
    """Return the words that have the values of one column, with all other bits 0."""
    column = bits.column
    if column.dtype == "str":
        return _encode_texts(bits, values)
    array = np.asarray(values)
    if array.dtype.kind not in "iubf" and array.size:
        raise Refusal(f"{column.label} must be an array of whole numbers, not of {array.dtype}")
    low, high = column.low or 0, column.high or 0
    _check_all(column, array, (array >= low) & (array <= high), f"in the range {low} to {high}")
    if array.dtype.kind == "f":
        _check_all(column, array, array == np.floor(array), "a whole number")
    return pack(bits.source, array)


def _check_all(column: Column, array: npt.NDArray[Any], good: npt.NDArray[np.bool_], wanted: str) -> None:
    """Refuse an array that has an element that is not good, such as NaN; the message names the first."""
    if not good.all():
        row = int(np.argmin(good))
        shown = array[row].item()
        shown = int(shown) if float(shown).is_integer() and abs(shown) < _MAX_SHOWN_IN_FULL else shown
        raise Refusal(f"{column.label} in row {row} is {shown}: it must be {wanted}")


def _encode_texts(bits: Bits, values: Any) -> Words:
    codes = list(map(bits.codes.get, values))
    if None in codes:
        row = codes.index(None)
        near = near_matches(str(values[row]), bits.column.choices)
        raise Refusal(
            f"{bits.column.label} in row {row} is {str(values[row])[:80]!r}: it must be one of the choices{near}"
        )
    return pack(bits.source, np.array(codes, np.uint32))
