"""The columns of rows, computed in a thread of their own: meanwhile those of the rows before are written.

Neither numpy nor HDF5 needs the interpreter for long, so two processors work.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle

import numpy as np

from .columns import Column, Frame
from .scaling import Values

#: Bytes of rows whose columns are computed one after the other: a processor has them in its cache meanwhile.
_BLOCK = 1 << 19


class Computing:
    """Computes columns: say which, then give rows; close it at the end."""

    def __init__(self) -> None:
        self._columns: Sequence[Column] = ()
        self._block = np.empty(0, np.dtype([]))
        self._kinds: list[tuple[np.dtype[np.generic], tuple[int, ...]]] = []
        self._memories: Iterator[list[Values]] = cycle([[]])
        self._thread = ThreadPoolExecutor(1, "columns")

    def set_columns(self, dtype: np.dtype[np.void], columns: Sequence[Column], most: int) -> None:
        """Say what is computed, when all that was begun before is there.

        Args:
            dtype: of a row
            columns: what is computed
            most: how many rows are given at once, at most
        """
        self._columns = columns
        if dtype != self._block.dtype:
            self._block = np.empty(max(1, _BLOCK // dtype.itemsize), dtype)
        kinds = [(column.dtype, (most, *column.shape)) for column in columns]
        if kinds != self._kinds:
            self._kinds = kinds
            # One is written while the other is computed.
            self._memories = cycle([[np.empty(shape, kind) for kind, shape in kinds] for _ in range(2)])

    def begin(self, parts: Sequence[Frame]) -> Future[list[Values]]:
        """Begin to compute the columns of rows.

        Args:
            parts: the rows, in order; they must not change until the result is there

        Returns:
            the values of all columns, in order, when they are there: valid until `begin` is called for the second time
        """
        return self._thread.submit(self._compute, parts, next(self._memories))

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _compute(self, parts: Sequence[Frame], memory: Sequence[Values]) -> list[Values]:
        count = 0
        for rows in self._blocks(parts):
            for column, values in zip(self._columns, memory, strict=True):
                column.fill(rows, values[count : count + len(rows)])
            count += len(rows)
        return [values[:count] for values in memory]

    def _blocks(self, parts: Sequence[Frame]) -> Iterator[Frame]:
        """Give the rows again, as many at once as a block has; each is valid until the next."""
        block = self._block
        count, size, memory = 0, block.itemsize, block.view(np.uint8)
        for part in parts:
            rest = part
            while len(rest):
                rows, rest = rest[: len(block) - count], rest[len(block) - count :]
                if len(rows) == len(block):
                    yield rows
                    continue
                # As bytes: numpy copies structures one by one.
                memory[count * size : (count + len(rows)) * size] = np.ascontiguousarray(rows).view(np.uint8)
                count += len(rows)
                if count == len(block):
                    yield block
                    count = 0
        if count:
            yield block[:count]
