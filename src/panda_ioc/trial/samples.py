"""What PCAP captures in a trial, through the code of a real capture: the bytes of the data port, parsed, into HDF5."""

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

#: Bytes of samples that may wait to be taken: `DataTap.take` is called far more often.
_BUFFER_BYTES = 32 << 20


class DataTap:
    """What a client of the data port would be sent, from its connection on, without a port.

    Args:
        capture: the PCAP of a simulation, before it is armed
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
        """Take what was captured since the last time."""
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
    """An HDF5 file of the samples, as `panda-ioc capture` makes it.

    Args:
        path: where; a file that exists is replaced
        asked: gives the columns that people chose for capture; others are there to compute means from

    Raises:
        CaptureError: it cannot be made; from `take` and `close`: it cannot be written
    """

    def __init__(self, path: Path, asked: Callable[[], frozenset[str]]) -> None:
        self._file = HdfFile(path, FileOptions(overwrite=True))
        self._asked = asked
        self._open = False

    def take(self, data: Data) -> None:
        """Write what comes."""
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
        """Close it; an acquisition that is under way ends for a reason."""
        if self._open:
            self._file.end(reason)
        self._file.close()
