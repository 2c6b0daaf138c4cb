"""HDF5 files, as pandablocks has them: stages in threads, and `write_hdf_files`, which is this project's own way."""

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ...capture.columns import stored_columns
from ...capture.hdf import HdfFile
from ...capture.options import FileOptions
from ...capture.pipeline import IncompleteFileError, Writing, write_files
from . import _convert
from .asyncio import AsyncioClient
from .responses import EndData, FieldCapture, FrameData, StartData

__all__ = [
    "FrameProcessor",
    "HDFDataOverrunError",
    "HDFWriter",
    "Pipeline",
    "create_default_pipeline",
    "create_pipeline",
    "stop_pipeline",
    "write_hdf_files",
]

log = logging.getLogger(__name__)

Arrays = list[npt.NDArray[Any]]

#: Bytes of data that may wait in front of a stage; then its queue is full.
_MAX_QUEUED = 1 << 28

_ROWS_PER_CHUNK = 16384


class HDFDataOverrunError(Exception):
    """The PandA made data faster than it could send them."""


class Stop:
    """Ends a pipeline."""


STOP = Stop()


class _Queue(queue.Queue[Any]):
    """A queue that is bounded in bytes: `put_nowait` raises `queue.Full`."""

    def __init__(self) -> None:
        super().__init__(_MAX_QUEUED)
        self._bytes = 0

    def _qsize(self) -> int:
        return self._bytes

    def _put(self, item: Any) -> None:
        super()._put(item)
        self._bytes += _size(item)

    def _get(self) -> Any:
        item = super()._get()
        self._bytes -= _size(item)
        return item


def _size(item: Any) -> int:
    """Return the bytes of an item: at least 1, so that a queue that has one is not empty."""
    arrays = [item.data] if isinstance(item, FrameData) else item if isinstance(item, list) else []
    return 1 + sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))


class Pipeline(threading.Thread):
    """A stage in a thread of its own.

    Attributes:
        what_to_do: what is called with what comes, by its type. What it returns goes to the next stage, unless that is
            None; what has no entry goes there as it is
        queue: what waits
        downstream: the next stage
        error: what ended it; `stop_pipeline` raises it
    """

    downstream: "Pipeline | None" = None

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.queue: queue.Queue[Any] = _Queue()
        self.what_to_do: Mapping[type, Callable[[Any], Any]] = {}
        self.error: Exception | None = None

    def run(self) -> None:
        """Take what comes until the end."""
        while (data := self.queue.get()) is not STOP:
            if self.error is None:
                try:
                    self._take(data)
                except Exception as error:
                    log.exception("%s failed", type(self).__name__)
                    self.error = error
        if self.downstream is not None:
            self.downstream.stop()

    def stop(self) -> None:
        """End when all that waits is taken."""
        self.queue.put(STOP)

    def _take(self, data: Any) -> None:
        action = self.what_to_do.get(type(data))
        if action is not None:
            data = action(data)
        if data is not None and self.downstream is not None:
            self.downstream.queue.put(data)


class FrameProcessor(Pipeline):
    """Makes a list of arrays, one for each column, of each frame: in units, if the data are raw."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: list[Any] = []
        self.what_to_do = {StartData: self.create_processors, FrameData: self.scale_data}

    def create_processors(self, data: StartData) -> StartData:
        """Take the beginning of an acquisition."""
        self._columns = list(stored_columns(_convert.start_of(data)))
        return data

    def scale_data(self, data: FrameData) -> Arrays:
        """Return the columns of a frame."""
        made: Arrays = []
        for column in self._columns:
            values = np.empty((len(data.data), *column.shape), column.dtype)
            column.fill(data.data, values)
            made.append(values)
        return made


class HDFWriter(Pipeline):
    """Writes a file for each acquisition."""

    def __init__(self, file_names: Iterator[str], capture_record_hdf_names: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__()
        self.file_names = file_names
        self.capture_record_hdf_names = capture_record_hdf_names
        self.hdf_file: h5py.File | None = None
        self.datasets: list[h5py.Dataset] = []
        self.what_to_do = {StartData: self.open_file, list: self.write_frame, EndData: self.close_file}

    def create_dataset(self, field: FieldCapture, raw: bool) -> h5py.Dataset:  # noqa: FBT001 - as the other has it
        """Make the dataset of a column."""
        assert self.hdf_file is not None  # noqa: S101 - `open_file` made it
        given = self.capture_record_hdf_names.get(field.name, {})
        name = given.get(field.capture, f"{field.name}.{field.capture}")
        dtype = field.raw_mode_dataset_dtype if raw else field.type
        return self.hdf_file.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(_ROWS_PER_CHUNK,))

    def open_file(self, data: StartData) -> None:
        """Begin a file."""
        path = next(self.file_names)
        self.hdf_file = h5py.File(path, "w", libver="latest")
        self.datasets = [self.create_dataset(field, data.process == "Raw") for field in data.fields]
        for name in ("arm_time", "start_time", "hw_time_offset_ns"):
            if getattr(data, name) is not None:
                self.hdf_file.attrs[name] = getattr(data, name)
        self.hdf_file.swmr_mode = True
        log.info("Opened %r with %d byte samples stored in %d datasets", path, data.sample_bytes, len(self.datasets))

    def write_frame(self, data: Arrays) -> None:
        """Write the columns of a frame."""
        for dataset, values in zip(self.datasets, data, strict=True):
            rows = len(dataset)
            dataset.resize(rows + len(values), axis=0)
            dataset[rows:] = values
            dataset.flush()

    def close_file(self, data: EndData) -> None:
        """End a file."""
        if self.hdf_file is not None:
            path = self.hdf_file.filename
            self.hdf_file.close()
            self.hdf_file, self.datasets = None, []
            log.info("Closed %r after receiving %d samples. End reason is %r", path, data.samples, data.reason.value)


def create_pipeline(*elements: Pipeline) -> list[Pipeline]:
    """Join stages, and start them."""
    pipeline = list(elements)
    for element, following in pairwise(pipeline):
        element.downstream = following
    for element in pipeline:
        element.start()
    return pipeline


def create_default_pipeline(
    file_names: Iterator[str],
    capture_record_hdf_names: Mapping[str, Mapping[str, str]],
    *additional_downstream_pipelines: Pipeline,
) -> list[Pipeline]:
    """Make and start the stages that write files."""
    writer = HDFWriter(file_names, capture_record_hdf_names)
    return create_pipeline(FrameProcessor(), writer, *additional_downstream_pipelines)


def stop_pipeline(pipeline: list[Pipeline]) -> None:
    """Stop all stages, and wait until they have taken what waits.

    Raises:
        Exception: what one of them failed with
    """
    pipeline[0].stop()
    for element in pipeline:
        element.join()
    for element in pipeline:
        if element.error is not None:
            raise element.error


async def write_hdf_files(
    client: AsyncioClient,
    file_names: Iterator[str],
    num: int = 1,
    arm: bool = False,  # noqa: FBT001, FBT002 - as the other has it
    flush_period: float = 1,
) -> None:
    """Write a file for each of so many acquisitions, 0 for ever.

    Raises:
        HDFDataOverrunError: the PandA had an overrun; the file has what came before
        IncompleteFileError: an acquisition was not complete for another reason
        PandaError: see `panda_ioc.capture.pipeline.write_files`
    """
    make_file = partial(HdfFile, options=FileOptions(overwrite=True))
    writing = Writing(make_file=make_file, flush_period=flush_period)
    files = write_files(client.client, map(Path, file_names), writing, arm=arm, count=num or None)
    try:
        async with aclosing(files) as written:
            async for file in written:
                log.info("Closed %r after receiving %d samples. End reason is %r",
                         str(file.path), file.samples, file.end_reason)  # fmt: skip
    except IncompleteFileError as error:
        if "overrun" in error.file.end_reason.lower():
            raise HDFDataOverrunError(str(error)) from error
        raise
