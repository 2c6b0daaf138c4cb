"""The Sans-IO connections of pandablocks."""

from collections.abc import Iterator
from typing import Self

from ... import protocol as ours
from . import _convert
from .responses import Data, FrameData

__all__ = ["Buffer", "ControlConnection", "DataConnection", "NeedMoreDataError", "NoContextAvailableError"]


class NeedMoreDataError(Exception):
    """A read of more data than a `Buffer` holds."""


class NoContextAvailableError(ours.PandaError):
    """A reply from the server without a pending command."""


class Buffer:
    """A byte buffer that is read in lines or in a number of bytes."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def __iadd__(self, data: bytes) -> Self:
        self._bytes += data
        return self

    def __len__(self) -> int:
        return len(self._bytes)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytearray:
        try:
            return self.read_line()
        except NeedMoreDataError:
            raise StopIteration from None

    def peek_bytes(self, num: int) -> bytearray:
        """Return the first `num` bytes without consuming them."""
        if len(self._bytes) < num:
            raise NeedMoreDataError(f"the buffer holds {len(self._bytes)} bytes, fewer than {num}")
        return self._bytes[:num]

    def read_bytes(self, num: int) -> bytearray:
        """Consume and return the first `num` bytes."""
        taken = self.peek_bytes(num)
        del self._bytes[:num]
        return taken

    def read_line(self) -> bytearray:
        """Consume and return the first line, without its LF."""
        end = self._bytes.find(b"\n")
        if end < 0:
            raise NeedMoreDataError("the buffer holds no complete line")
        return self.read_bytes(end + 1)[:-1]


class ControlConnection(ours.ControlConnection):
    """A Sans-IO connection to the control port."""

    def set_api(self, version: tuple[int, int]) -> None:
        """Do nothing: the commands do not depend on the server version."""

    def receive_bytes(self, data: bytes) -> bytes:
        idle = not self._batches
        try:
            return super().receive_bytes(data)
        except ours.RemoteProtocolError as error:
            if idle:
                raise NoContextAvailableError(str(error)) from error
            raise


class DataConnection:
    """A Sans-IO connection to the data port."""

    def __init__(self) -> None:
        self._connection = ours.DataConnection()

    def connect(self, scaled: bool) -> bytes:  # noqa: FBT001 - signature of pandablocks
        """Select raw or scaled data; return the bytes to write."""
        return self._connection.connect(scaled)

    def receive_bytes(self, received: bytes, flush_every_frame: bool = True) -> Iterator[Data]:  # noqa: FBT001, FBT002
        """Process received bytes; yield the events that they complete."""
        return map(_convert.data, self._connection.receive_bytes(received, flush_every_frame))

    def flush(self) -> Iterator[FrameData]:
        """Yield the frames merged since the last flush as one frame."""
        for frame in self._connection.flush():
            flushed = _convert.data(frame)
            assert isinstance(flushed, FrameData)  # noqa: S101 - `data` converts a frame to a frame
            yield flushed
