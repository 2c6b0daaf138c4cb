"""Receive buffer of the data port: free space for reads, and views of the frames and texts received.

Samples are not copied. Only an item that continues in the next block of memory is copied, to the start of that block.
"""

import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from . import framing
from .blocks import BlockPool
from .errors import RemoteProtocolError
from .framing import HEAD, MARK

#: Minimum free space offered to a read, in bytes.
_LEAST_ROOM = 1 << 17


class ReceiveBuffer:
    """The bytes received and not consumed yet."""

    def __init__(self) -> None:
        self._blocks = BlockPool()
        #: The block as memory to write to, and as the array of which frames are views.
        self._view, self._memory = memoryview(b""), np.empty(0, np.uint8)
        #: Offsets in the block: start of the bytes that are not consumed, end of the searched and of all bytes.
        self._start, self._searched, self._end = 0, 0, 0

    def __len__(self) -> int:
        """Return the number of bytes that are not consumed."""
        return self._end - self._start

    def space(self) -> memoryview:
        """Return free space, at least 128 KiB. Call `received` after receiving into it."""
        if len(self._view) - self._end < _LEAST_ROOM:
            rest = self._view[self._start : self._end]
            view, memory = self._blocks.take(2 * len(rest))
            view[: len(rest)] = rest
            self._searched -= self._start
            self._view, self._memory, self._start, self._end = view, memory, 0, len(rest)
        return self._view[self._end :]

    def received(self, count: int) -> None:
        """Append bytes that were received into the free space."""
        self._end += count

    def discard(self) -> None:
        """Discard all bytes. Frames keep their memory."""
        self._view, self._memory = memoryview(b""), np.empty(0, np.uint8)
        self._start, self._searched, self._end = 0, 0, 0

    def head(self) -> tuple[bytes, int]:
        """Return the mark and the length of the next frame; the mark is b"" if its frame header is incomplete."""
        return HEAD.unpack_from(self._view, self._start) if self._end - self._start >= HEAD.size else (b"", 0)

    def frames(self, length: int, sample: np.dtype[np.void], most: int) -> Iterable[npt.NDArray[np.void]]:
        """Consume consecutive frames of the same length, of which the first is complete; return their samples.

        Args:
            length: length of a frame in bytes, including its frame header
            sample: dtype of a sample
            most: maximum number of frames
        """
        count, most = 1, min(most, (self._end - self._start) // length)
        while count < most and HEAD.unpack_from(self._view, self._start + count * length) == (MARK, length):
            count += 1
        # Dividing one array along its first axis is faster than making an array for each frame.
        shape, strides = (count, (length - HEAD.size) // sample.itemsize), (length, sample.itemsize)
        samples: npt.NDArray[np.void] = np.ndarray(shape, sample, self._memory, self._start + HEAD.size, strides)
        self._start += count * length
        return samples

    def merged(self, length: int, sample: np.dtype[np.void], most: int) -> npt.NDArray[np.void]:
        """Consume consecutive frames as `frames` does; return all samples as one array. Several frames are copied."""
        start, after = self._start, self._start + length
        if self._end < after + length or HEAD.unpack_from(self._view, after) != (MARK, length):
            self._start = after
            return np.ndarray(((length - HEAD.size) // sample.itemsize,), sample, self._memory, start + HEAD.size)
        most = min(most, (self._end - start) // length)
        same = framing.equal_heads(self._memory, start, most, length)
        count = most if same.all() else int(same.argmin())
        self._start += count * length
        frames = self._memory[start : self._start].reshape(count, length)
        joined = frames[:, HEAD.size :].reshape(-1).view(sample)
        joined.flags.writeable = False
        return joined

    def text_until(self, mark: re.Pattern[bytes], limit: int) -> bytes | None:
        """Consume and return the bytes up to and including a terminator; None if it has not arrived.

        Raises:
            RemoteProtocolError: there is no terminator within `limit` bytes
        """
        begin = max(self._start, self._searched - len(mark.pattern) + 1)
        found = mark.search(self._view[: self._end], begin)
        self._searched = self._end
        if found is None:
            if len(self) > limit:
                shown = self._view[self._start : self._start + 80].tobytes()
                raise RemoteProtocolError(
                    f"the data port sent over {limit} bytes without {mark.pattern!r}: {shown!r}..."
                )
            return None
        taken = self._view[self._start : found.end()].tobytes()
        self._start = self._searched = found.end()
        return taken
