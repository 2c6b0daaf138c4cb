"""Resizable datasets to which rows are appended, many chunks per call, bypassing HDF5's chunk cache.

Chunks are small, so that short files are small. One h5py call per chunk would cost more than the write itself and hold
the GIL. Rows are therefore buffered as received until there are enough for one large write.
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

#: Maximum number of rows per write, in whole chunks, and maximum size of their values in bytes; at least one chunk.
_ROWS, _BYTES = 65536, 4 << 20

#: Arguments of `h5py.File` that disable the chunk cache; not used with filters, which need it. Chunks are not aligned
#: with pages, although that is faster: metadata would then need separate pages, which a full disk cannot provide, and
#: the rows since the last flush would be lost.
PAST_CACHE: Mapping[str, Any] = {"rdcc_nbytes": 0}


@dataclass(frozen=True)
class _Piece:
    """Rows of one write.

    Attributes:
        begin: index of the first row
        end: index after the last row
        values: values of all columns, once computed
    """

    begin: int
    end: int
    values: Future[list[Values]]

    def spaces(self, shape: tuple[int, ...]) -> tuple[h5py.h5s.SpaceID, h5py.h5s.SpaceID]:
        """Return the HDF5 data spaces of values of a shape in memory and in the dataset."""
        size = (self.end - self.begin, *shape)
        place = h5py.h5s.create_simple((self.end, *shape))
        place.select_hyperslab((self.begin, *(0 for _ in shape)), size)
        return h5py.h5s.create_simple(size), place


class GrowingTable:
    """A table of datasets of equal length, one for each column. Close it before the file.

    Args:
        rows_per_chunk: number of rows per chunk
        filters: filter arguments of `create_dataset`

    Attributes:
        columns: columns of the current acquisition, one for each dataset
        rows: number of rows accepted
        complete_rows: number of rows that all datasets have
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
        """Whether enough rows are buffered for one write: call `write` before `take`."""
        return bool(self._waiting) and not self.rows % self._at_once

    def make(self, file: h5py.File, columns: Sequence[Column]) -> list[h5py.Dataset]:
        """Create the datasets, which are empty.

        Raises:
            OSError, RuntimeError: HDF5 cannot create them
        """
        datasets = [
            file.create_dataset(
                column.name,
                (0, *column.shape),
                column.dtype,
                maxshape=(None, *column.shape),
                chunks=(self._rows_per_chunk, *column.shape),
                fill_time="never",  # there are no unwritten rows
                **self._filters,
            )
            for column in columns
        ]
        width = sum(column.dtype.itemsize * math.prod(column.shape) for column in columns)
        self._at_once *= max(1, min(_ROWS, _BYTES // max(width, 1)) // self._rows_per_chunk)
        self._datasets = [(dataset.id, h5py.h5t.py_create(dataset.dtype)) for dataset in datasets]
        return datasets

    def begin(self, start: StartData, columns: Sequence[Column]) -> None:
        """Start an acquisition after all rows of the previous one were written.

        Args:
            start: start event of the acquisition
            columns: columns in the order of the datasets
        """
        self.columns = columns
        self._computing.set_columns(start.dtype, columns, self._at_once)

    def take(self, frame: Frame) -> Frame:
        """Buffer rows of the current acquisition up to one write; return the rest.

        Args:
            frame: rows, which must not change afterwards
        """
        part = frame[: self._at_once - self.rows % self._at_once]
        self._waiting.append(part)
        self.rows += len(part)
        return frame[len(part) :]

    def write(self) -> None:
        """Start to compute the columns of the buffered rows, and write those computed before.

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
        """Write all accepted rows; raises the errors of `write`."""
        while self._waiting or self._computed is not None:
            self.write()

    def close(self) -> None:
        """Stop the computing thread."""
        self._computing.close()

    def _write(self, piece: _Piece) -> None:
        spaces = {shape: piece.spaces(shape) for shape in {column.shape for column in self.columns}}
        for (dataset, dtype), column, values in zip(self._datasets, self.columns, piece.values.result(), strict=True):
            dataset.set_extent((piece.end, *column.shape))
            dataset.write(*spaces[column.shape], values, dtype)
            if self._filters:
                dataset.flush()  # out of the chunk cache: only then the disk has accepted the rows
        self.complete_rows = piece.end
