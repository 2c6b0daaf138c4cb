"""The words of a table and its columns: pure functions, both ways.

A row is some 32-bit words; a column is some bits of one of them. What clients put is checked whole before
anything is made of it, and a refusal says which row of which column is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...protocol import TableFieldInfo
from ...protocol.fields import TableColumn
from .codecs import Refusal, near_matches
from .record import STRING_BYTES, Array, Column, shorten

Words = npt.NDArray[np.uint32]

#: Text stands for a code that has no label, so that it too can be read and written back.
_UNNAMED = "code {}"

#: Codes of an enum that are given a text of their own; wider fields have no enum.
_MAX_CODE_BITS = 8

#: Whole numbers up to here are shown in full, however they came.
_MOST_DIGITS = 1e16


@dataclass(frozen=True)
class Bits:
    """Where a column is in a row.

    Attributes:
        column: what it is
        word: in which word
        shift: its lowest bit
        width: how many bits
    """

    column: Column
    word: int
    shift: int
    width: int

    @property
    def mask(self) -> int:
        """Its bits, at the low end of a word."""
        return (1 << self.width) - 1

    @cached_property
    def texts(self) -> npt.NDArray[Any]:
        """The text of every code of an enum."""
        labels = self.column.choices
        codes = range(1 << self.width)
        return np.array([labels[code] if code < len(labels) else _UNNAMED.format(code) for code in codes], object)

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
        return _decode(bits, _encode(bits, values) << np.uint32(bits.shift))

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
            rows[:, bits.word] |= _encode(bits, columns[bits.column.name]) << np.uint32(bits.shift)
        return rows.reshape(-1)


def rows_of(info: TableFieldInfo) -> Rows:
    """How the rows of a table are made, from what the PandA says of it.

    Raises:
        ValueError: the columns make no sense
    """
    bits = tuple(_bits(name, column) for name, column in info.columns.items())
    if not bits:
        raise ValueError("it has no columns")
    if any(place.word >= info.row_words for place in bits):
        raise ValueError("a column is outside of the row")
    if len({place.column.name for place in bits}) < len(bits):
        raise ValueError("two columns have the same name")
    return Rows(info.row_words, info.max_rows, bits)


def _bits(name: str, column: TableColumn) -> Bits:
    lower = name.lower()
    if not (lower.isascii() and lower.isidentifier()):
        raise ValueError(f"{name!r} cannot be the name of a column")
    width = column.bit_high - column.bit_low + 1
    size = 1 if width <= 8 else 2 if width <= 16 else 4
    if column.subtype == "enum" and column.labels and width <= _MAX_CODE_BITS:
        planned = Column(lower, name, "str", column.labels)
    elif column.subtype == "int":
        planned = Column(lower, name, f"i{size}", low=-(1 << width - 1), high=(1 << width - 1) - 1)
    else:
        planned = Column(lower, name, f"u{size}", low=0, high=(1 << width) - 1)
    return Bits(planned, column.bit_low // 32, column.bit_low % 32, width)


def _decode(bits: Bits, words: Words) -> Array:
    codes = (words >> np.uint32(bits.shift)) & np.uint32(bits.mask)
    column = bits.column
    if column.dtype == "str":
        texts: list[str] = bits.texts[codes].tolist()
        return texts
    if column.dtype.startswith("i"):
        unused = 32 - bits.width
        return ((codes << np.uint32(unused)).view(np.int32) >> unused).astype(column.dtype)
    return codes.astype(column.dtype)


def _encode(bits: Bits, values: Any) -> Words:
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
    return array.astype(np.int64).astype(np.uint32) & np.uint32(bits.mask)


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
    return np.array(codes, np.uint32)
