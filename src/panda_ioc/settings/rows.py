"""Decoder of the rows of a table, for comparisons."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..protocol import TableColumn, TableFieldInfo

#: A cell: the label of an enum, or a number.
Cell = str | int


class Rows:
    """A decoder of the rows of one table type.

    Args:
        info: description of the table from `GetFieldInfo`; None decodes each word as a row with one column "word"

    Attributes:
        called: the name of a row in messages: "row" or "word"
    """

    def __init__(self, info: TableFieldInfo | None) -> None:
        self.called = "row" if info else "word"
        self._width = info.row_words if info else 1
        self._columns: Mapping[str, TableColumn] = info.columns if info else {"word": TableColumn("uint", 0, 31)}

    def read(self, words: npt.NDArray[np.uint32]) -> list[dict[str, Cell]]:
        """Decode words to rows.

        Args:
            words: (n,) uint32, row after row; an incomplete last row is ignored

        Returns:
            a dict for each row, from column name to cell (the label of an enum, or an int)
        """
        whole = words[: len(words) // self._width * self._width].reshape(-1, self._width)
        cells = {name: _cells(whole, column) for name, column in self._columns.items()}
        return [{name: cells[name][row] for name in cells} for row in range(len(whole))]


def _cells(rows: npt.NDArray[np.uint32], column: TableColumn) -> Sequence[Cell]:
    word, low = divmod(column.bit_low, 32)
    bits = column.bit_high - column.bit_low + 1
    if word >= rows.shape[1]:
        return [0] * len(rows)
    raw = rows[:, word].astype(np.int64) >> low & ((1 << bits) - 1)
    if column.subtype == "int":
        raw = np.where(raw >> (bits - 1), raw - (1 << bits), raw)
    numbers: list[int] = raw.tolist()
    if column.subtype == "enum":
        return [column.labels[number] if number < len(column.labels) else number for number in numbers]
    return numbers
