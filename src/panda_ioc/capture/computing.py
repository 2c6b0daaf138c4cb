"""The columns of rows, computed in a thread of their own: meanwhile those of the rows before are written.

Neither numpy nor HDF5 needs the interpreter for long, so two processors work.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle

import numpy as np

from .columns import Column, Frame
from .scaling import Values

#: Rows that are so few that they are put together with others first, which takes less than to compute them apart.
_FEW = 2048


class Computing:
    """Computes columns. Close it.

    Args:
        columns: what is computed
        most: how many rows are given at once, at most
    """

    def __init__(self, columns: Sequence[Column], most: int) -> None:
        # One is written while the other is computed.
        self._memories = cycle([_Memory(columns, most) for _ in range(2)])
        self._thread = ThreadPoolExecutor(1, "columns")

    def begin(self, parts: Sequence[Frame]) -> Future[list[Values]]:
        """Begin to compute the columns of rows.

        Args:
            parts: the rows, in order; they must not change until the result is there

        Returns:
            the values of all columns, in order, when they are there: valid until `begin` is called for the second time
        """
        return self._thread.submit(next(self._memories).compute, parts)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()


class _Memory:
    """What columns are computed in."""

    def __init__(self, columns: Sequence[Column], most: int) -> None:
        self._columns = columns
        self._values: list[Values] = [np.empty((most, *column.shape), column.dtype) for column in columns]

    def compute(self, parts: Sequence[Frame]) -> list[Values]:
        count = sum(map(len, parts))
        if count < len(parts) * _FEW:
            parts = [_joined(parts)]
        first = 0
        for rows in parts:
            for column, values in zip(self._columns, self._values, strict=True):
                column.fill(rows, values[first : first + len(rows)])
            first += len(rows)
        return [values[:count] for values in self._values]


def _joined(parts: Sequence[Frame]) -> Frame:
    """Put rows together, as bytes: numpy copies structures one by one."""
    joined: Frame = np.concatenate([np.ascontiguousarray(part).view(np.uint8) for part in parts]).view(parts[0].dtype)
    return joined
