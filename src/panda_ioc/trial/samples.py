"""The samples of a trial, processed by the code of a real capture: data port format, parser, HDF5 file."""

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from ..capture.columns import stored_columns
from ..capture.hdf import HdfFile
from ..capture.options import ColumnOptions, FileOptions
from ..protocol import Data, DataConnection, EndData, FrameData, StartData
from ..simulator.capture import Acquisition, Capture
from ..simulator.dataport import encoded, header, parse_options, samples_at_once
from ..simulator.layout import Layout

#: Bytes of samples that are buffered; `DataTap.take` is called long before the buffer is full.
_BUFFER_BYTES = 32 << 20


class DataTap:
    """A client of the data port without a port: returns what the port would send, already parsed.

    Args:
        capture: PCAP of a simulation, before it is armed
    """

    def __init__(self, capture: Capture) -> None:
        self._armed: deque[Acquisition] = deque()
        self._connection = DataConnection()
        self._options = parse_options(self._connection.connect(scaled=False).decode().strip())
        self._at = 0
        self._begun = False
        deque(self._connection.receive_bytes(b"OK\n"), maxlen=0)
        capture.buffer_bytes = _BUFFER_BYTES
        on_arm: Callable[[Layout], None] = capture.on_arm

        def arm(layout: Layout) -> None:
            if capture.acquisition is not None:
                self._armed.append(capture.acquisition)
            on_arm(layout)

        capture.on_arm = arm

    def take(self) -> Iterator[Data]:
        """Yield what was captured since the last call."""
        while self._armed:
            acquisition = self._armed[0]
            if not acquisition.start_time:
                return
            for sent in self._sent(acquisition):
                yield from self._connection.receive_bytes(sent)
            if not acquisition.reason:
                return
            self._armed.popleft()
            self._at, self._begun = 0, False

    def _sent(self, acquisition: Acquisition) -> Iterator[bytes]:
        if not self._begun:
            self._begun = True
            yield header(acquisition, self._options, 0)
        limit = samples_at_once(acquisition, self._options)
        while (words := acquisition.read(self._at, limit)) is not None and len(words):
            self._at += len(words)
            yield encoded(acquisition, words, self._options)
        if words is None:
            yield f"END {self._at} Data overrun\n".encode()
        elif acquisition.reason:
            yield f"END {self._at} {acquisition.reason}\n".encode()


class SampleFile:
    """An HDF5 file of the samples, in the format of `panda-ioc capture`.

    Args:
        path: path of the file; an existing file is replaced
        asked: returns the columns that the user selected; other columns are only inputs of means

    Raises:
        CaptureError: the file cannot be created, or (from `process` and `close`) written
    """

    def __init__(self, path: Path, asked: Callable[[], frozenset[str]]) -> None:
        self._file = HdfFile(path, FileOptions(overwrite=True))
        self._asked = asked
        self._open = False

    def process(self, data: Data) -> None:
        """Write data."""
        match data:
            case StartData():
                self._file.begin(data, stored_columns(data, ColumnOptions(asked=self._asked())))
                self._open = True
            case FrameData():
                self._file.write(data.data)
            case EndData():
                self._file.end(data.reason)
                self._open = False

    def close(self, reason: str) -> None:
        """Close the file; an acquisition in progress ends with the given reason."""
        if self._open:
            self._file.end(reason)
        self._file.close()
