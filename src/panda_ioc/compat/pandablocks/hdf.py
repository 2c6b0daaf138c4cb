"""The HDF5 writer of pandablocks: pipeline stages in threads, and `write_hdf_files`, based on panda_ioc.capture."""

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

#: Maximum size of the queue of a stage in bytes.
_MAX_QUEUED = 1 << 28

_ROWS_PER_CHUNK = 16384


class HDFDataOverrunError(Exception):
    """A data overrun: the PandA captured faster than the data were read."""


class Stop:
    """A queue item that ends a pipeline."""


STOP = Stop()


class _Queue(queue.Queue[Any]):
    """A queue whose size is limited in bytes: `put_nowait` raises `queue.Full`."""

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
    """Return the size of an item in bytes; at least 1, so that a queue with an item is never empty."""
    arrays = [item.data] if isinstance(item, FrameData) else item if isinstance(item, list) else []
    return 1 + sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))


class Pipeline(threading.Thread):
    """A pipeline stage with a separate thread.

    Attributes:
        what_to_do: handler for each type of item. Its result is passed to the next stage unless it is `None`; items
            without a handler are passed on unchanged
        queue: input queue
        downstream: next stage
        error: exception that a handler raised; `stop_pipeline` raises it
    """

    downstream: "Pipeline | None" = None

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.queue: queue.Queue[Any] = _Queue()
        self.what_to_do: Mapping[type, Callable[[Any], Any]] = {}
        self.error: Exception | None = None

    def run(self) -> None:
        """Process the items of the queue until it is stopped."""
        while (data := self.queue.get()) is not STOP:
            if self.error is None:
                try:
                    self._process(data)
                except Exception as error:
                    log.exception("%s failed", type(self).__name__)
                    self.error = error
        if self.downstream is not None:
            self.downstream.stop()

    def stop(self) -> None:
        """Stop after the items in the queue are processed."""
        self.queue.put(STOP)

    def _process(self, data: Any) -> None:
        action = self.what_to_do.get(type(data))
        if action is not None:
            data = action(data)
        if data is not None and self.downstream is not None:
            self.downstream.queue.put(data)


class FrameProcessor(Pipeline):
    """A stage that converts each frame to a list of arrays, one for each column; raw data are scaled."""

    def __init__(self) -> None:
        super().__init__()
        self._columns: list[Any] = []
        self.what_to_do = {StartData: self.create_processors, FrameData: self.scale_data}

    def create_processors(self, data: StartData) -> StartData:
        """Prepare the columns of an acquisition."""
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
    """A stage that writes one file for each acquisition."""

    def __init__(self, file_names: Iterator[str], capture_record_hdf_names: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__()
        self.file_names = file_names
        self.capture_record_hdf_names = capture_record_hdf_names
        self.hdf_file: h5py.File | None = None
        self.datasets: list[h5py.Dataset] = []
        self.what_to_do = {StartData: self.open_file, list: self.write_frame, EndData: self.close_file}

    def create_dataset(self, field: FieldCapture, raw: bool) -> h5py.Dataset:  # noqa: FBT001 - signature of pandablocks
        """Create the dataset of a column."""
        assert self.hdf_file is not None  # noqa: S101 - set by `open_file`
        given = self.capture_record_hdf_names.get(field.name, {})
        name = given.get(field.capture, f"{field.name}.{field.capture}")
        dtype = field.raw_mode_dataset_dtype if raw else field.type
        return self.hdf_file.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(_ROWS_PER_CHUNK,))

    def open_file(self, data: StartData) -> None:
        """Create a file."""
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
        """Close the file."""
        if self.hdf_file is not None:
            path = self.hdf_file.filename
            self.hdf_file.close()
            self.hdf_file, self.datasets = None, []
            log.info("Closed %r after receiving %d samples. End reason is %r", path, data.samples, data.reason.value)


def create_pipeline(*elements: Pipeline) -> list[Pipeline]:
    """Connect pipeline stages and start them."""
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
    """Create and start the stages that write files."""
    writer = HDFWriter(file_names, capture_record_hdf_names)
    return create_pipeline(FrameProcessor(), writer, *additional_downstream_pipelines)


def stop_pipeline(pipeline: list[Pipeline]) -> None:
    """Stop all stages after they have processed their queues.

    Raises:
        Exception: first error of a stage
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
    arm: bool = False,  # noqa: FBT001, FBT002 - signature of pandablocks
    flush_period: float = 1,
) -> None:
    """Write one file for each of `num` acquisitions; 0 for no limit.

    Raises:
        HDFDataOverrunError: the PandA had a data overrun; the file has the samples before it
        IncompleteFileError: an acquisition is incomplete for another reason
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
