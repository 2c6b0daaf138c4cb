"""Datasets that grow by rows together: many chunks of each in one call, past HDF5's chunk cache.

Chunks are small, so that a short file is; a call of h5py for each of them would cost more than the writing, and would
keep other threads from running meanwhile. Rows wait as they came, until there are enough to be written in one go.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import h5py

from ..protocol import StartData
from .columns import Column, Frame
from .computing import Computing
from .scaling import Values

#: Rows that are written in one go, as whole chunks, and bytes of their values; one chunk if that has more.
_ROWS, _BYTES = 32768, 4 << 20

#: How a file is opened so that rows go past the chunk cache, which filters need. Chunks do not begin with a page of
#: memory, though that is faster: metadata need pages of their own then, for which a disk that is full has no room, and
#: the rows since the last flush would be lost.
PAST_CACHE: Mapping[str, Any] = {"rdcc_nbytes": 0}


@dataclass(frozen=True)
class _Piece:
    """Rows that are written in one go.

    Attributes:
        begin: how many rows are before them
        end: how many there are with them
        values: of all columns, when they are computed
    """

    begin: int
    end: int
    values: Future[list[Values]]

    def spaces(self, shape: tuple[int, ...]) -> tuple[h5py.h5s.SpaceID, h5py.h5s.SpaceID]:
        """Return where values of a shape are in memory and in a dataset."""
        size = (self.end - self.begin, *shape)
        place = h5py.h5s.create_simple((self.end, *shape))
        place.select_hyperslab((self.begin, *(0 for _ in shape)), size)
        return h5py.h5s.create_simple(size), place


class GrowingTable:
    """Datasets of equal length, one for each column. Close it before the file.

    Args:
        rows_per_chunk: how they are chunked
        filters: as for `create_dataset`

    Attributes:
        columns: a column for each dataset, as they are in the acquisition under way
        rows: how many were taken
        complete_rows: how many of them all datasets have
    """

    def __init__(self, rows_per_chunk: int, filters: Mapping[str, Any]) -> None:
        self.columns: Sequence[Column] = ()
        self.rows = self.complete_rows = 0
        self._rows_per_chunk, self._filters = rows_per_chunk, filters
        self._at_once = rows_per_chunk
        self._datasets: list[tuple[h5py.h5d.DatasetID, h5py.h5t.TypeID]] = []
        self._waiting: list[Frame] = []
        self._computing = Computing()
        self._computed: _Piece | None = None

    @property
    def is_full(self) -> bool:
        """Whether enough rows wait to be written in one go: write them before more are taken."""
        return bool(self._waiting) and not self.rows % self._at_once

    def make(self, file: h5py.File, columns: Sequence[Column]) -> list[h5py.Dataset]:
        """Make the datasets, which are empty.

        Raises:
            OSError, RuntimeError: HDF5 cannot make them
        """
        datasets = [
            file.create_dataset(
                column.name,
                (0, *column.shape),
                column.dtype,
                maxshape=(None, *column.shape),
                chunks=(self._rows_per_chunk, *column.shape),
                fill_time="never",  # rows that nobody wrote are not part of it
                **self._filters,
            )
            for column in columns
        ]
        width = sum(column.dtype.itemsize * math.prod(column.shape) for column in columns)
        self._at_once *= max(1, min(_ROWS, _BYTES // max(width, 1)) // self._rows_per_chunk)
        self._datasets = [(dataset.id, h5py.h5t.py_create(dataset.dtype)) for dataset in datasets]
        return datasets

    def begin(self, start: StartData, columns: Sequence[Column]) -> None:
        """Begin an acquisition, when all rows of the one before are written.

        Args:
            start: its beginning
            columns: of the datasets, in order
        """
        self.columns = columns
        self._computing.set_columns(start.dtype, columns, self._at_once)

    def take(self, frame: Frame) -> Frame:
        """Take rows of the acquisition that began, unless enough wait; return those that are not taken.

        Args:
            frame: the rows, which must not change any more
        """
        part = frame[: self._at_once - self.rows % self._at_once]
        self._waiting.append(part)
        self.rows += len(part)
        return frame[len(part) :]

    def write(self) -> None:
        """Begin to compute the columns of the rows that wait, and write those that were computed before.

        Raises:
            OSError, RuntimeError: HDF5 cannot write
        """
        computed, self._computed = self._computed, None
        if self._waiting:
            values = self._computing.begin(self._waiting)
            self._computed = _Piece(self.rows - sum(map(len, self._waiting)), self.rows, values)
            self._waiting = []
        if computed is not None:
            self._write(computed)

    def write_all(self) -> None:
        """Write all rows that were taken; as `write`."""
        while self._waiting or self._computed is not None:
            self.write()

    def close(self) -> None:
        """End what was begun in another thread."""
        self._computing.close()

    def _write(self, piece: _Piece) -> None:
        spaces = {shape: piece.spaces(shape) for shape in {column.shape for column in self.columns}}
        for (dataset, dtype), column, values in zip(self._datasets, self.columns, piece.values.result(), strict=True):
            dataset.set_extent((piece.end, *column.shape))
            dataset.write(*spaces[column.shape], values, dtype)
        self.complete_rows = piece.end
