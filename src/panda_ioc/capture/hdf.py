"""An HDF5 file that grows while it is read.

A dataset for each column, which grows as `growing` has it. Rows wait in memory until there are many, or until
`flush`, which writes them as far as they are; so a flush costs a chunk of each column, however few rows are new.

The file is in SWMR mode from its first row: readers open it with `swmr=True`, and what was flushed stays
readable whatever happens to the writer. SWMR allows no new object once it began, so all that is told later,
such as why an acquisition or the capture ended, has its place from the start, of fixed size, and is written over.
"""

import contextlib
import importlib
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np

from ..protocol import StartData
from .attributes import dataset_attributes
from .columns import Column, Frame
from .errors import CaptureError
from .growing import PAST_CACHE, GrowingDataset, Waiting
from .options import COMPRESSIONS, FileOptions

#: Bytes that a file grows by before the system is asked to write them.
_WRITEBACK_BYTES = 8 << 20

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
        path: where; it must not exist, unless the options say that it may
        options: how

    Raises:
        CaptureError: it cannot be made
    """

    def __init__(self, path: Path, options: FileOptions | None = None) -> None:
        self.path = path
        self._options = options or FileOptions()
        if self._options.compression not in COMPRESSIONS:
            raise CaptureError(f"{self._options.compression!r} is none of {', '.join(COMPRESSIONS)}")
        self._filters = _filters(self._options.compression)
        try:
            self._file = _create(path, overwrite=self._options.overwrite, cache={} if self._filters else PAST_CACHE)
        except OSError as error:
            raise CaptureError(f"cannot make {path}: {_reason(error)}") from error
        self._limit_metadata()
        self._columns: list[GrowingDataset] = []
        self._acquisitions: dict[str, h5py.Dataset] = {}
        #: Rows that were taken, and how many of them are in the file for readers.
        self.rows, self.flushed_rows = 0, 0
        self._waiting: Waiting | None = None
        self._scratch = np.empty(0, np.uint8)
        self._first_row = 0
        self._on_its_way = 0

    def begin(self, start: StartData, columns: Sequence[Column]) -> None:
        """Begin an acquisition. The first one decides the columns; later ones must have the same.

        Raises:
            CaptureError: the columns are others than before, or the disk failed
        """
        self._append_waiting()
        if not self._acquisitions:
            self._make(start, columns)
        elif [_meaning(column) for column in columns] != [_meaning(growing.column) for growing in self._columns]:
            raise CaptureError(f"what is captured has changed: it cannot go on in {self.path}")
        else:
            for growing, column in zip(self._columns, columns, strict=True):
                growing.column = column
        self._waiting = Waiting(start.dtype, self._options.rows_per_chunk)
        self._scratch = np.empty(self._waiting.at_once * max(map(_width, columns), default=0), np.uint8)
        self._first_row = self.rows
        with self._disk():
            self._tell_end("")
            for dataset in self._acquisitions.values():
                dataset.resize(len(dataset) + 1, axis=0)
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

        Raises:
            CaptureError: the disk failed; what was flushed before is readable
        """
        while self._waiting is not None and len(frame):
            before = len(frame)
            full, frame = self._waiting.take(frame, self.rows)
            self.rows += before - len(frame)
            if full is not None:
                self._append(full)

    def flush(self) -> None:
        """Make all rows readable for others."""
        self._append_waiting()
        with self._disk():
            self._file.flush()
        self.flushed_rows = self.rows

    def end(self, reason: str) -> None:
        """End an acquisition: say how many samples it has here, and why it ended.

        Raises:
            CaptureError: the disk failed
        """
        self._note(samples=self.rows - self._first_row, end_reason=reason)
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
        if self._columns:
            self.flush()
        with self._disk():
            if failure:
                self._tell_end(failure)
            self._file.close()

    def abandon(self, failure: str = "") -> None:
        """Close the file after the disk failed: what is not written is lost, what was flushed stays.

        Args:
            failure: as for `close`; a disk that failed need not take it

        Raises:
            CaptureError: it cannot even be closed
        """
        self._columns = []
        with contextlib.suppress(CaptureError):
            if failure:
                with self._disk():
                    self._tell_end(failure)
        with self._disk():
            self._file.close()

    def _make(self, start: StartData, columns: Sequence[Column]) -> None:
        rows = self._options.rows_per_chunk
        names = {column.field.column: column.name for column in columns}
        with self._disk():
            for column in columns:
                growing = GrowingDataset(self._file, column, rows, self._filters)
                growing.dataset.attrs.update(dataset_attributes(column, names, self._options.descriptions))
                self._columns.append(growing)
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
                self._mark_as_nexus(columns)
            self._file.swmr_mode = True

    def _mark_as_nexus(self, columns: Sequence[Column]) -> None:
        """An NXentry whose NXdata has links to the columns; a column of time is the axis of all others."""
        entry = self._file.create_group("entry")
        entry.attrs.update({"NX_class": "NXentry", "default": "data"})
        self._file.attrs.update({"NX_class": "NXroot", "default": "entry"})
        data = entry.create_group("data")
        data.attrs["NX_class"] = "NXdata"
        for column in columns:
            data[column.name] = h5py.SoftLink(f"/{column.name}")
        times = [column.name for column in columns if column.field.name.startswith("PCAP.TS_")]
        values = [
            column.name
            for column in columns
            if column.name not in times and column.field.scale is not None and not column.shape
        ]
        if values:
            data.attrs["signal"] = values[0]
        if values[1:]:
            data.attrs["auxiliary_signals"] = values[1:]
        if times:
            data.attrs["axes"] = [times[-1]]

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

    def _append_waiting(self) -> None:
        if self._waiting is not None and self._waiting.count:
            self._append(self._waiting.all())

    def _append(self, rows: Frame) -> None:
        """Write the last rows that were taken."""
        with self._disk():
            for growing in self._columns:
                growing.append(rows, self.rows - len(rows), self._scratch)
            self._start_writeback()

    def _start_writeback(self) -> None:
        """Let the system begin to write to the disk what is new, and not wait for it.

        Left to itself, Linux collects gigabytes, and then stops whoever writes for seconds.
        """
        handle = self._file.id.get_vfd_handle()
        size = os.fstat(handle).st_size
        if size - self._on_its_way >= _WRITEBACK_BYTES:
            # What is still to be written is not forgotten but written: so the advice costs readers nothing.
            os.posix_fadvise(handle, self._on_its_way, size - self._on_its_way, os.POSIX_FADV_DONTNEED)
            self._on_its_way = size

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:
            raise CaptureError(f"cannot write {self.path}: {_reason(error)}") from error

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


def _width(column: Column) -> int:
    """Return the bytes of a value."""
    return column.dtype.itemsize * math.prod(column.shape)


def _filters(compression: str) -> dict[str, Any]:
    name = COMPRESSIONS[compression]
    if name is None:
        return {}
    if name == "gzip":
        return {"compression": "gzip", "compression_opts": 4}
    try:
        plugin = importlib.import_module("hdf5plugin")
    except ImportError:
        raise CaptureError(f"compression with {compression} needs the package hdf5plugin") from None
    return dict(getattr(plugin, name)())


def _create(path: Path, *, overwrite: bool, cache: Mapping[str, Any]) -> h5py.File:
    """Make a file; where that fails, none is left that was not there before."""
    was_there = os.path.lexists(path)
    try:
        return h5py.File(path, "w" if overwrite else "x", libver="latest", **cache)
    except FileExistsError:
        raise
    except OSError:
        if not was_there:
            path.unlink(missing_ok=True)
        raise


def _reason(error: Exception) -> str:
    """What the system said, without the innards of HDF5."""
    match = re.search(r"error message = '([^']*)'", str(error))
    return match[1] if match else getattr(error, "strerror", None) or str(error)
