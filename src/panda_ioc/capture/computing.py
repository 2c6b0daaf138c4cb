"""Computation of columns in a thread, in parallel with the writing of the previous rows.

numpy and HDF5 rarely hold the GIL, so two CPU cores are used.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle

import numpy as np

from .columns import Column, Frame
from .scaling import Values

#: Size in bytes of the blocks of rows that are processed column by column, so that a block stays in the CPU cache.
_BLOCK = 1 << 19


class Computing:
    """A thread that computes the columns of rows. It must be closed."""

    def __init__(self) -> None:
        self._columns: Sequence[Column] = ()
        self._block = np.empty(0, np.dtype([]))
        self._kinds: list[tuple[np.dtype[np.generic], tuple[int, ...]]] = []
        self._memories: Iterator[list[Values]] = cycle([[]])
        self._thread = ThreadPoolExecutor(1, "columns")

    def set_columns(self, dtype: np.dtype[np.void], columns: Sequence[Column], most: int) -> None:
        """Set the columns to compute. All earlier computations must have finished.

        Args:
            dtype: dtype of a row
            columns: columns to compute
            most: maximum number of rows per call of `begin`
        """
        self._columns = columns
        if dtype != self._block.dtype:
            self._block = np.empty(max(1, _BLOCK // dtype.itemsize), dtype)
        kinds = [(column.dtype, (most, *column.shape)) for column in columns]
        if kinds != self._kinds:
            self._kinds = kinds
            # Two buffers: one is written while the other is filled.
            self._memories = cycle([[np.empty(shape, kind) for kind, shape in kinds] for _ in range(2)])

    def begin(self, parts: Sequence[Frame]) -> Future[list[Values]]:
        """Start to compute the columns of rows.

        Args:
            parts: rows in order; they must not change until the result is available

        Returns:
            a future of the values of all columns, in order. They are valid until the second next call
        """
        return self._thread.submit(self._compute, parts, next(self._memories))

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown()

    def _compute(self, parts: Sequence[Frame], memory: Sequence[Values]) -> list[Values]:
        count = 0
        for rows in self._blocks(parts):
            for column, values in zip(self._columns, memory, strict=True):
                column.fill(rows, values[count : count + len(rows)])
            count += len(rows)
        return [values[:count] for values in memory]

    def _blocks(self, parts: Sequence[Frame]) -> Iterator[Frame]:
        """Yield the rows in blocks; each block is valid until the next one."""
        block = self._block
        count, size, memory = 0, block.itemsize, block.view(np.uint8)
        for part in parts:
            rest = part
            while len(rest):
                rows, rest = rest[: len(block) - count], rest[len(block) - count :]
                if len(rows) == len(block):
                    yield rows
                    continue
                # As bytes, because numpy copies structures one at a time.
                memory[count * size : (count + len(rows)) * size] = np.ascontiguousarray(rows).view(np.uint8)
                count += len(rows)
                if count == len(block):
                    yield block
                    count = 0
        if count:
            yield block[:count]
