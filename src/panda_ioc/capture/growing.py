"""Datasets that grow by rows: many chunks in one call, past HDF5's chunk cache.

Chunks are small, so that a short file is; a call of h5py for each of them would cost more than the writing, and would
keep other threads from running meanwhile. Rows wait as the bytes that came, so that a column is computed and written
while the processor has it in its cache.
"""

import math
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from .columns import Column, Frame
from .scaling import Values

#: Rows that are written in one go, as whole chunks; one chunk if that has more.
_ROWS = 16384

#: How a file is opened so that rows go past the chunk cache, which filters need.
PAST_CACHE: Mapping[str, Any] = {"rdcc_nbytes": 0}


class Waiting:
    """Rows that are not written yet.

    Args:
        dtype: of a row
        rows_per_chunk: of the datasets

    Attributes:
        at_once: how many rows are written in one go, at most
        count: how many wait
    """

    def __init__(self, dtype: np.dtype[np.void], rows_per_chunk: int) -> None:
        self.at_once = rows_per_chunk * max(1, _ROWS // rows_per_chunk)
        self._rows = np.empty(self.at_once, dtype)
        self._bytes = self._rows.view(np.uint8)
        self.count = 0

    def take(self, frame: Frame, first: int) -> tuple[Frame | None, Frame]:
        """Take rows, as many as are written in one go.

        Args:
            frame: the rows
            first: the row of the dataset that the first of them becomes

        Returns:
            rows to write, None while there are too few, which are valid until the next call; rows that were not taken
        """
        room = self.at_once - first % self.at_once
        part, rest = frame[:room], frame[room:]
        if not self.count and len(part) == room:
            return part, rest
        size, begin = self._rows.itemsize, self.count * self._rows.itemsize
        # As bytes: numpy copies structures one by one.
        self._bytes[begin : begin + len(part) * size] = np.ascontiguousarray(part).view(np.uint8)
        self.count += len(part)
        return (self.all() if len(part) == room else None), rest

    def all(self) -> Frame:
        """Return the rows that wait, and forget them; they are valid until the next call."""
        count, self.count = self.count, 0
        return self._rows[:count]


class Piece:
    """Rows that are written in one go.

    Args:
        frame: the rows
        end: of the datasets, when they have them
    """

    def __init__(self, frame: Frame, end: int) -> None:
        self.frame, self.end = frame, end
        self._spaces: dict[tuple[int, ...], tuple[h5py.h5s.SpaceID, h5py.h5s.SpaceID]] = {}

    def spaces(self, shape: tuple[int, ...]) -> tuple[h5py.h5s.SpaceID, h5py.h5s.SpaceID]:
        """Return where the values are in memory and in a dataset: made once for all columns with values of a shape."""
        if shape not in self._spaces:
            memory = h5py.h5s.create_simple((len(self.frame), *shape))
            place = h5py.h5s.create_simple((self.end, *shape))
            place.select_hyperslab((self.end - len(self.frame), *(0 for _ in shape)), (len(self.frame), *shape))
            self._spaces[shape] = memory, place
        return self._spaces[shape]


class GrowingDataset:
    """A dataset that grows by a column.

    Args:
        file: where it is made
        column: names it and gives the values; replace it for another acquisition
        rows_per_chunk: how it is chunked
        filters: as for `create_dataset`

    Raises:
        OSError, RuntimeError: HDF5 cannot make it
    """

    def __init__(self, file: h5py.File, column: Column, rows_per_chunk: int, filters: Mapping[str, Any]) -> None:
        self.dataset: h5py.Dataset = file.create_dataset(
            column.name,
            (0, *column.shape),
            column.dtype,
            maxshape=(None, *column.shape),
            chunks=(rows_per_chunk, *column.shape),
            fill_time="never",  # rows that nobody wrote are not part of it
            **filters,
        )
        self.column = column
        self._type = h5py.h5t.py_create(column.dtype)

    def append(self, piece: Piece, scratch: npt.NDArray[np.uint8]) -> None:
        """Write the values of rows.

        Args:
            piece: the rows
            scratch: memory for the values
        """
        column, dataset = self.column, self.dataset.id
        shape = (len(piece.frame), *column.shape)
        values: Values = scratch[: math.prod(shape) * column.dtype.itemsize].view(column.dtype).reshape(shape)
        column.fill(piece.frame, values)
        dataset.set_extent((piece.end, *column.shape))
        dataset.write(*piece.spaces(column.shape), values, self._type)
