"""HDF5 files that can be read while they are written.

Each column is a dataset (see `growing`). Rows are buffered until there are many, or until `flush`; a flush rewrites
the last chunk of each column, however few rows are new.

The file is in SWMR mode from its first row: readers open it with `swmr=True`, and flushed rows remain readable whatever
happens to the writer. SWMR allows no new objects, so attributes and datasets that are filled in later, such as end
reasons, are created at the start with a fixed size.
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
from .creation import create_file, reason_of
from .errors import CaptureError
from .growing import PAST_CACHE, GrowingTable
from .nexus import mark_as_nexus
from .options import FileOptions
from .salvage import close_broken, close_unwritten, mark_left_open
from .target import FileTarget
from .writeback import Writeback

__all__ = ["HdfFile"]

#: Maximum size of HDF5's metadata cache in bytes. Chunks are appended, so older metadata are not needed.
_METADATA_BYTES = 4 << 20

#: Size of the attribute `end_reason` in bytes; an error message may contain a path.
_REASON_BYTES = 512

#: Small, so that a file with one acquisition is small.
_ACQUISITIONS_PER_CHUNK = 16

#: Datasets in the group `acquisitions`, with one row for each acquisition.
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
    """A file being written: a context manager. Not thread-safe; each call may block on the disk.

    Args:
        path: path of the file, which must not exist unless `FileOptions.overwrite` is set
        options: options of the file
        empty: whether the file appears before its first acquisition. If False, a file that it replaces remains until
            then, and a file without acquisition is removed

    Attributes:
        path: path of the file
        flushed_rows: number of rows visible to readers
        problem: warning about the file, such as that it was moved, or ""

    Raises:
        CaptureError: the file cannot be created
    """

    def __init__(self, path: Path, options: FileOptions | None = None, *, empty: bool = True) -> None:
        self.path = path
        self.problem = ""
        self._options = options or FileOptions()
        self._filters = filters(self._options.compression)
        self._empty = empty
        self._target = FileTarget(path, replace=self._options.overwrite)
        try:
            self._file = create_file(self._target.write_path, {} if self._filters else PAST_CACHE)
        except OSError as error:
            raise CaptureError(f"cannot create {path}: {reason_of(error)}") from error
        self._descriptor = self._file.id.get_vfd_handle()
        self._is_open, self._making = True, False
        try:
            self._target.lock(self._descriptor, readers=False)
            if empty:
                self._target.publish()
            self._target.note_content(self._descriptor)
        except CaptureError:
            self._target.discard(self._descriptor)
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
        """The number of rows accepted."""
        return self._table.rows

    def begin(self, start: StartData, columns: Sequence[Column]) -> None:
        """Start an acquisition. The first one defines the columns; later ones must have the same.

        Args:
            start: start event of the acquisition
            columns: columns to store

        Raises:
            CaptureError: the columns differ from the previous ones, or the file cannot be written
        """
        self._write_all()
        if not self._acquisitions:
            self._make(start, columns)
        elif [column.meaning for column in columns] != [column.meaning for column in self._table.columns]:
            raise CaptureError(f"the captured fields have changed: cannot continue in {self.path}, start a new file")
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
        """Add samples, which are written when there are enough of them.

        Args:
            frame: (n,) structured array; it must not change until it is flushed

        Raises:
            CaptureError: the file cannot be written; flushed rows remain readable
        """
        while self._acquisitions and len(frame):
            frame = self._table.take(frame)
            if self._table.is_full:
                with self._disk():
                    self._table.write()
                    self._writeback.grown()

    def flush(self) -> None:
        """Make all rows visible to readers.

        Raises:
            CaptureError: the file cannot be written, or another program deleted or truncated it
        """
        self._write_all()
        with self._disk():
            self._file.flush()
            self._check_target()
        self.flushed_rows = self.rows

    def end(self, reason: str) -> None:
        """End an acquisition: store its number of samples and its end reason.

        Args:
            reason: end reason

        Raises:
            CaptureError: the file cannot be written
        """
        self._note(samples=self.rows - self._first_row, end_reason=reason)
        self._in_acquisition = False
        with self._disk():
            self._file.attrs.modify("samples", self.rows)
            self._tell_end(reason)
        self.flush()

    def close(self, failure: str = "") -> None:
        """Write the remaining rows and close the file.

        Args:
            failure: error of the capture, stored as `end_reason` of the file in place of that of the last acquisition

        Raises:
            CaptureError: the file cannot be written
        """
        if self._acquisitions:
            self.flush()
        elif not self._empty:
            self.discard()
            return
        else:
            with self._disk():
                self._check_target()
        with self._disk():
            if failure or self.problem:
                self._tell_end(failure or self.problem)
            self._file.flush()
            self._target.check_stored(self._descriptor)
            self._target.check_writable(self._descriptor)
            self._end_threads()
            self._file.close()

    def discard(self) -> None:
        """Close the file and remove it, unless another program has already moved or replaced it."""
        self._target.discard(self._descriptor)
        self._end_threads()
        close_unwritten(self._file)

    def abandon(self, failure: str = "") -> str:
        """Close the file after a disk error. Rows that are not written are lost.

        Args:
            failure: as for `close`; stored if the disk allows

        Returns:
            a note for the error message on how to open the file; "" if it opens normally
        """
        path, names = self._target.write_path, [column.name for column in self._table.columns]
        if not self._is_open:
            self.flushed_rows, note = mark_left_open(path, names)
            return note
        if self._making or not (self._acquisitions or self._empty):
            self.flushed_rows = 0
            self.discard()
            return "; the file had no samples and was removed" if self._making and not self._target.lost else ""
        if not self._target.lost:
            self._tell_failure(failure)
        self._end_threads()
        if self._target.lost:
            self.flushed_rows = 0
            close_unwritten(self._file)
            return ""
        self.flushed_rows, note = close_broken(self._file, path, names, self._table.complete_rows)
        return note

    def _make(self, start: StartData, columns: Sequence[Column]) -> None:
        rows = self._options.rows_per_chunk
        names = {column.field.column: column.name for column in columns}
        self._making = True
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
        self._target.lock(self._descriptor, readers=True)
        self._target.publish()
        self._making = False

    def _check_target(self) -> None:
        self.problem = self.problem or self._target.check(self._descriptor)

    def _tell_failure(self, failure: str) -> None:
        """Store the error that ended the file, as far as the disk allows."""
        with contextlib.suppress(CaptureError), self._disk():
            self._file.attrs.modify("samples", self._table.complete_rows)
            if failure:
                self._tell_end(failure)
        if self._in_acquisition:
            with contextlib.suppress(CaptureError):
                self._note(samples=self._table.complete_rows - self._first_row, end_reason="Write error")

    def _tell_end(self, reason: str) -> None:
        """Store the end reason of the file, as bytes, because SWMR allows no strings of variable length."""
        whole_letters = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        self._file.attrs.modify("end_reason", np.bytes_(whole_letters.encode()))

    def _note(self, **values: Any) -> None:
        """Store values of the current acquisition."""
        with self._disk():
            for name, value in values.items():
                self._acquisitions[name][-1] = value.encode() if isinstance(value, str) else value

    def _limit_metadata(self) -> None:
        """Limit the metadata cache, which otherwise grows to 32 MiB in a capture of hours."""
        config = self._file.id.get_mdc_config()
        config.max_size = _METADATA_BYTES
        self._file.id.set_mdc_config(config)

    def _end_threads(self) -> None:
        """Stop the helper threads before the file is closed."""
        self._is_open = False
        self._table.close()
        self._writeback.close()

    def _write_all(self) -> None:
        with self._disk():
            self._table.write_all()

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        """Convert the errors of calls that write the file; check before that no other program has changed it."""
        try:
            self._target.check_content(self._descriptor)
            try:
                yield
            finally:
                if self._is_open:
                    self._target.note_content(self._descriptor)
        except (OSError, RuntimeError) as error:
            raise CaptureError(f"cannot write {self.path}: {reason_of(error)}") from error
        except (ValueError, TypeError, OverflowError) as error:  # a value from the PandA does not fit its dataset
            raise CaptureError(f"cannot store {str(error)[:200]} in {self.path}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        if error is not None:
            self._give_up(error)
            return
        try:
            self.close()
        except CaptureError as failure:
            self._give_up(failure)
            raise

    def _give_up(self, error: BaseException) -> None:
        note = self.abandon(str(error))
        if note:
            error.add_note(note.removeprefix("; "))
