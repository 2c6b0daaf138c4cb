"""An HDF5 file that grows while it is read.

A dataset for each column, which grows as `growing` has it. Rows wait in memory until there are many, or until
`flush`, which writes them as far as they are; so a flush costs a chunk of each column, however few rows are new.

The file is in SWMR mode from its first row: readers open it with `swmr=True`, and what was flushed stays
readable whatever happens to the writer. SWMR allows no new object once it began, so all that is told later,
such as why an acquisition or the capture ended, has its place from the start, of fixed size, and is written over.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from ..protocol import StartData
from .attributes import dataset_attributes
from .columns import Column, Frame
from .compression import filters
from .errors import CaptureError
from .growing import PAST_CACHE, GrowingTable
from .making import make_file, reason_of
from .nexus import mark_as_nexus
from .options import FileOptions
from .place import Place
from .salvage import close_broken, close_unwritten
from .writeback import Writeback

#: Bytes of HDF5's metadata that stay in memory. Chunks are added at the end, so older metadata are not needed.
_METADATA_BYTES = 4 << 20

#: Bytes that the file has for why it ended; an error may name a path.
_REASON_BYTES = 512

#: Few, so that a file of one acquisition is small.
_ACQUISITIONS_PER_CHUNK = 16

#: What is told of each acquisition in a file: a dataset each, with a row for each acquisition.
_ACQUISITION: Mapping[str, np.dtype[Any]] = {
    "first_row": np.dtype("<i8"),
    "samples": np.dtype("<i8"),
    "missed": np.dtype("<i8"),
    "arm_time": np.dtype("S40"),
    "start_time": np.dtype("S40"),
    "hw_time_offset_ns": np.dtype("<i8"),
    "end_reason": np.dtype("S80"),
}


class HdfFile:
    """A file being written. It is not safe to share between threads, and every call may wait for the disk.

    Args:
        path: where; it must not exist, unless the options say that it may be replaced
        options: how
        empty: whether the file is there before its first acquisition. If not, a file that it replaces stays until
            then, and a file without an acquisition is removed

    Attributes:
        path: where
        flushed_rows: how many rows others can read in the file
        problem: what is wrong with the file, though it is written on; "" if all is well

    Raises:
        CaptureError: it cannot be made
    """

    def __init__(self, path: Path, options: FileOptions | None = None, *, empty: bool = True) -> None:
        self.path = path
        self.problem = ""
        self._options = options or FileOptions()
        self._filters = filters(self._options.compression)
        self._empty = empty
        self._place = Place(path, replace=self._options.overwrite)
        try:
            self._file = make_file(self._place.made_at, {} if self._filters else PAST_CACHE)
        except OSError as error:
            raise CaptureError(f"cannot make {path}: {reason_of(error)}") from error
        self._descriptor = self._file.id.get_vfd_handle()
        self._is_open = True
        try:
            self._place.lock(self._descriptor, readers=False)
            if empty:
                self._place.occupy()
        except CaptureError:
            self._place.discard(self._descriptor)
            self._file.close()
            raise
        self._limit_metadata()
        self._table = GrowingTable(self._options.rows_per_chunk, self._filters)
        self._writeback = Writeback(self._descriptor)
        self._acquisitions: dict[str, h5py.Dataset] = {}
        self.flushed_rows = 0
        self._first_row = 0
        self._in_acquisition = False

    @property
    def rows(self) -> int:
        """How many rows were taken."""
        return self._table.rows

    def begin(self, start: StartData, columns: Sequence[Column]) -> None:
        """Begin an acquisition. The first one decides the columns; later ones must have the same.

        Raises:
            CaptureError: the columns are others than before, or the disk failed
        """
        self._write_all()
        if not self._acquisitions:
            self._make(start, columns)
        elif [_meaning(column) for column in columns] != [_meaning(column) for column in self._table.columns]:
            raise CaptureError(f"what is captured has changed: it cannot go on in {self.path}")
        self._table.begin(start, columns)
        self._first_row = self.rows
        with self._disk():
            self._tell_end("")
            for dataset in self._acquisitions.values():
                dataset.resize(len(dataset) + 1, axis=0)
        self._in_acquisition = True
        self._note(
            first_row=self.rows,
            missed=start.missed,
            arm_time=start.arm_time,
            start_time=start.start_time,
            hw_time_offset_ns=start.hw_time_offset_ns or 0,
        )
        self.flush()

    def write(self, frame: Frame) -> None:
        """Take samples; they are written when there are enough of them.

        Args:
            frame: the samples, which must not change until they are flushed

        Raises:
            CaptureError: the disk failed; what was flushed before is readable
        """
        while self._acquisitions and len(frame):
            frame = self._table.take(frame)
            if self._table.is_full:
                with self._disk():
                    self._table.write()
                    self._writeback.grown(self._place.check_size(self._descriptor))

    def flush(self) -> None:
        """Make all rows readable for others.

        Raises:
            CaptureError: the disk failed, or what was written is lost, as somebody deleted or truncated the file
        """
        self._write_all()
        with self._disk():
            self._file.flush()
            self._check_place()
        self.flushed_rows = self.rows

    def end(self, reason: str) -> None:
        """End an acquisition: say how many samples it has here, and why it ended.

        Raises:
            CaptureError: the disk failed
        """
        self._note(samples=self.rows - self._first_row, end_reason=reason)
        self._in_acquisition = False
        with self._disk():
            self._file.attrs.modify("samples", self.rows)
            self._tell_end(reason)
        self.flush()

    def close(self, failure: str = "") -> None:
        """Write what is left and close the file.

        Args:
            failure: what went wrong with the capture; the file tells it in place of why its last acquisition ended

        Raises:
            CaptureError: the disk failed
        """
        if self._acquisitions:
            self.flush()
        elif not self._empty:
            self._place.discard(self._descriptor)
        else:
            with self._disk():
                self._check_place()
        with self._disk():
            if failure or self.problem:
                self._tell_end(failure or self.problem)
            self._end_threads()
            self._file.close()

    def abandon(self, failure: str = "") -> str:
        """Close the file after the disk failed: rows that are not written are lost, all others stay.

        Args:
            failure: as for `close`; a disk that failed need not take it

        Returns:
            how the file can be opened; "" if it can be as any other
        """
        if not self._is_open:
            return ""
        if not (self._acquisitions or self._empty):
            self._place.discard(self._descriptor)
        elif not self._place.lost:
            self._tell_failure(failure)
        self._end_threads()
        if self._place.lost:
            self.flushed_rows = 0
            close_unwritten(self._file)
            return ""
        self.flushed_rows = self._table.complete_rows
        names = [column.name for column in self._table.columns]
        return close_broken(self._file, self._place.made_at, names, self.flushed_rows)

    def _make(self, start: StartData, columns: Sequence[Column]) -> None:
        rows = self._options.rows_per_chunk
        names = {column.field.column: column.name for column in columns}
        with self._disk():
            for dataset, column in zip(self._table.make(self._file, columns), columns, strict=True):
                dataset.attrs.update(dataset_attributes(column, names, self._options.descriptions))
            acquisitions = self._file.create_group("acquisitions")
            for name, dtype in _ACQUISITION.items():
                self._acquisitions[name] = acquisitions.create_dataset(
                    name, (0,), dtype, maxshape=(None,), chunks=(_ACQUISITIONS_PER_CHUNK,)
                )
            self._file.attrs.update(
                {
                    **self._options.attributes,
                    "arm_time": start.arm_time,
                    "start_time": start.start_time,
                    "missed": start.missed,
                    "rows_per_chunk": rows,
                    "samples": 0,
                    "end_reason": np.bytes_(b"\0" * _REASON_BYTES),
                }
            )
            if start.hw_time_offset_ns is not None:
                self._file.attrs["hw_time_offset_ns"] = start.hw_time_offset_ns
            if self._options.nexus:
                mark_as_nexus(self._file, columns)
            self._file.swmr_mode = True
        self._place.lock(self._descriptor, readers=True)
        self._place.occupy()

    def _check_place(self) -> None:
        self.problem = self.problem or self._place.check(self._descriptor)

    def _tell_failure(self, failure: str) -> None:
        """Write why there are no more rows, after the disk failed."""
        with contextlib.suppress(CaptureError), self._disk():
            self._file.attrs.modify("samples", self._table.complete_rows)
            if failure:
                self._tell_end(failure)
        if self._in_acquisition:
            with contextlib.suppress(CaptureError):
                self._note(samples=self._table.complete_rows - self._first_row, end_reason="Write error")

    def _tell_end(self, reason: str) -> None:
        """Write why the file ended, as bytes: text of any length has no place in a file that is being read."""
        whole_letters = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        self._file.attrs.modify("end_reason", np.bytes_(whole_letters.encode()))

    def _note(self, **values: Any) -> None:
        """Write what is known of the acquisition under way."""
        with self._disk():
            for name, value in values.items():
                self._acquisitions[name][-1] = value.encode() if isinstance(value, str) else value

    def _limit_metadata(self) -> None:
        """Limit the memory for where chunks are: left to itself, it grows to 32 MiB in a capture of hours."""
        config = self._file.id.get_mdc_config()
        config.max_size = _METADATA_BYTES
        self._file.id.set_mdc_config(config)

    def _end_threads(self) -> None:
        """End what goes on beside, as the file is closed next, whatever happens."""
        self._is_open = False
        self._table.close()
        self._writeback.close()

    def _write_all(self) -> None:
        with self._disk():
            self._table.write_all()

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            self._place.check_size(self._descriptor)
            yield
        except (OSError, RuntimeError) as error:
            raise CaptureError(f"cannot write {self.path}: {reason_of(error)}") from error
        except (ValueError, TypeError, OverflowError) as error:  # what a PandA said does not fit into its place
            raise CaptureError(f"cannot store {str(error)[:200]} in {self.path}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon(str(error))


def _meaning(column: Column) -> tuple[Any, ...]:
    """What the attributes of a column tell, which hold for all acquisitions of a file."""
    source = column.field
    scaling = () if column.scaled else (source.scale, source.offset)
    return (column.name, column.dtype, source.units, *scaling)
