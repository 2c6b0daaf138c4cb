"""The Sans-IO connections of pandablocks."""

from collections.abc import Iterator
from typing import Self

from ... import protocol as ours
from . import _convert
from .responses import Data, FrameData

__all__ = ["Buffer", "ControlConnection", "DataConnection", "NeedMoreDataError", "NoContextAvailableError"]


class NeedMoreDataError(Exception):
    """A `Buffer` does not hold as much as is wanted."""


class NoContextAvailableError(ours.PandaError):
    """The server said something although nothing was asked."""


class Buffer:
    """Bytes that are read line by line, or by their number."""

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
        """Return some bytes, and keep them."""
        if len(self._bytes) < num:
            raise NeedMoreDataError(f"there are {len(self._bytes)} bytes, not {num}")
        return self._bytes[:num]

    def read_bytes(self, num: int) -> bytearray:
        """Return some bytes."""
        taken = self.peek_bytes(num)
        del self._bytes[:num]
        return taken

    def read_line(self) -> bytearray:
        """Return a line, without its end."""
        end = self._bytes.find(b"\n")
        if end < 0:
            raise NeedMoreDataError("there is no whole line")
        return self.read_bytes(end + 1)[:-1]


class ControlConnection(ours.ControlConnection):
    """The control port."""

    def set_api(self, version: tuple[int, int]) -> None:
        """Do nothing: commands do not depend on the version."""

    def receive_bytes(self, data: bytes) -> bytes:
        idle = not self._batches
        try:
            return super().receive_bytes(data)
        except ours.RemoteProtocolError as error:
            if idle:
                raise NoContextAvailableError(str(error)) from error
            raise


class DataConnection:
    """The data port."""

    def __init__(self) -> None:
        self._connection = ours.DataConnection()

    def connect(self, scaled: bool) -> bytes:  # noqa: FBT001 - as the other has it
        """Return the bytes to send."""
        return self._connection.connect(scaled)

    def receive_bytes(self, received: bytes, flush_every_frame: bool = True) -> Iterator[Data]:  # noqa: FBT001, FBT002
        """Take bytes; give what is complete now."""
        return map(_convert.data, self._connection.receive_bytes(received, flush_every_frame))

    def flush(self) -> Iterator[FrameData]:
        """Give the frames that wait, as one."""
        for frame in self._connection.flush():
            flushed = _convert.data(frame)
            assert isinstance(flushed, FrameData)  # noqa: S101 - what `data` makes of a frame
            yield flushed
