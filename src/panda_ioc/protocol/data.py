"""The data port as a machine that eats bytes and gives captured samples.

The client says once how it wants its data; then, for each acquisition, the server sends a header in XML, an
empty line, frames (`BIN `, a length, whole packed samples), and `END samples reason`. `DataConnection` asks
for framed data with an XML header, raw or scaled, and knows no other format.

Samples are not copied: a frame's array is a view of the memory that the bytes were received into, which lives
as long as any of its arrays does. Received straight into that memory (`get_buffer`, `buffer_updated`), a byte
is touched once.

Bytes are parsed when they are given, and what they make waits in `events` until it is taken.
"""

import re
import struct
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from .acquisition import Data, EndData, FrameData, ReadyData, StartData
from .connection import ConnectionState, Lifecycle, Transition
from .errors import CommandError, LocalProtocolError, PandaError, RemoteProtocolError
from .exchange import text
from .header import parse_header

#: Bytes of a piece of memory to receive into: many frames fit, so few are cut in two and must be moved.
_BLOCK = 1 << 22

#: No read is offered less room than this.
_LEAST_ROOM = 1 << 17

#: The longest frame that a server sends is 2 MiB, the longest header some 100 KiB: more is garbage.
_MAX_FRAME = 1 << 24
_MAX_HEADER = 1 << 20
_MAX_LINE = 1 << 10

#: Bytes that are put together before they are given away, if nobody flushes.
_MAX_UNFLUSHED = 1 << 23

#: Bytes of samples that may wait to be taken when more bytes are given.
MAX_UNTAKEN = 1 << 26

#: Frames with fewer bytes of samples are small: these are merged, if that is wanted.
_SMALL_FRAME = 1 << 14

#: Small frames of one length that are merged in one step, so that a step is short.
_MOST_MERGED = 1024

#: What a step costs, in frames: a header is XML, and takes long to read.
_HEADER_COST, _FRAME_COST = 64, 1

#: What a frame begins with: a mark, and its length with this head.
_HEAD = struct.Struct("<4sI")
_MARK = b"BIN "

#: What texts end with. A pattern searches memory as it is, where `bytes` would have to be made first.
_END_OF_LINE, _END_OF_HEADER = re.compile(b"\n"), re.compile(b"</header>\n\n")


class DataConnection:
    """One conversation with the data port of a PandA. It begins IDLE; see `ConnectionState`."""

    def __init__(self) -> None:
        self._lifecycle = Lifecycle(ConnectionState.IDLE, "data connection")
        self._options = ""
        self._sample: np.dtype[np.void] = np.dtype([])
        self._memory: npt.NDArray[np.uint8] = np.empty(0, np.uint8)
        self._view = memoryview(b"")
        #: Where in the memory what is not parsed begins, how far it was searched, and where it ends.
        self._start, self._searched, self._end = 0, 0, 0
        self._unflushed: list[npt.NDArray[np.void]] = []
        self._unflushed_bytes = 0
        self._events: deque[Data] = deque()
        self._untaken_bytes = 0
        self._error: PandaError | None = None
        self._pending = False
        self._merge = False

    @property
    def pending(self) -> bool:
        """Whether bytes that were given are not parsed yet, as the limit was reached: call `parse_on`."""
        return self._pending

    @property
    def state(self) -> ConnectionState:
        """IDLE, NEGOTIATING, OPEN between acquisitions, ACQUIRING, CLOSED or ERROR."""
        return self._lifecycle.state

    def connect(self, scaled: bool = True) -> bytes:  # noqa: FBT001, FBT002 - as the API was fixed
        """Choose raw or scaled data; return the bytes to write. It can be done once.

        Args:
            scaled: let the server scale: then all columns but bits are float64. Raw is what the hardware made
        """
        if self.state is not ConnectionState.IDLE:
            raise LocalProtocolError("the options of a data connection can be sent once, and were")
        self._lifecycle.go(Transition.OPTIONS_SENT)
        self._options = f"XML FRAMED {'SCALED' if scaled else 'RAW'}"
        return f"{self._options}\n".encode()

    def receive_bytes(self, data: bytes, flush_every_frame: bool = True) -> Iterator[Data]:  # noqa: FBT001, FBT002
        """Take what the server sent, `b""` for its end of stream; give what is complete now, as `events` does.

        The bytes are taken by the call itself: what is not iterated comes first the next time.

        Args:
            data: any piece of the stream
            flush_every_frame: give each frame as it comes; otherwise frames are put together until `flush`,
                the end of the acquisition, or 8 MiB

        Raises:
            LocalProtocolError: the connection is IDLE, CLOSED or in ERROR, or over 64 MiB of samples have not been
                taken; by the call. What `events` raises, by the iteration
        """
        self._check_receiving()
        if not data:
            self._take(0, flush_every_frame=flush_every_frame)
        view = memoryview(data)
        while view and self._error is None:
            buffer = self.get_buffer()
            count = min(len(buffer), len(view))
            buffer[:count] = view[:count]
            self._take(count, flush_every_frame=flush_every_frame)
            view = view[count:]
        return self.events()

    def get_buffer(self) -> memoryview:
        """Memory to receive into, at least 128 KiB of it; then call `buffer_updated`."""
        if len(self._memory) - self._end < _LEAST_ROOM:
            rest = self._memory[self._start : self._end]
            memory = np.empty(max(_BLOCK, 2 * len(rest) + _LEAST_ROOM), np.uint8)
            memory[: len(rest)] = rest
            self._searched -= self._start
            self._memory, self._start, self._end = memory, 0, len(rest)
            self._view = memoryview(memory.data)
        return self._view[self._end :]

    def buffer_updated(
        self, count: int, *, flush_every_frame: bool = True, limit: int | None = None, merge: bool = False
    ) -> Iterator[Data]:
        """Take `count` bytes that were received into the buffer, 0 for the end of stream; as `receive_bytes`.

        Args:
            count: bytes
            flush_every_frame: as for `receive_bytes`
            limit: parse no more than so many frames now, where a header counts as 64; `pending` tells whether some
                bytes are left. All is parsed before the end of stream. None parses all
            merge: give frames of less than 16 KiB of samples that come one after the other as one
        """
        self._check_receiving()
        self._take(count, flush_every_frame=flush_every_frame, limit=limit, merge=merge)
        return self.events()

    def parse_on(
        self, *, flush_every_frame: bool = True, limit: int | None = None, merge: bool = False
    ) -> Iterator[Data]:
        """Parse what is `pending`; as `buffer_updated`."""
        self._check_receiving()
        self._parse(flush_every_frame=flush_every_frame, limit=limit, merge=merge)
        return self.events()

    def events(self) -> Iterator[Data]:
        """Give what came and was not taken yet, in order; then raise the error that ended the connection, once.

        Raises:
            RemoteProtocolError: what came is not the PandA protocol (the state is ERROR), or the stream ended (CLOSED)
            CommandError: the server refused the options (ERROR)
        """
        while self._events:
            data = self._events.popleft()
            if isinstance(data, FrameData):
                self._untaken_bytes -= data.data.nbytes
            yield data
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # or the two would keep each other, and the memory, alive

    def flush(self) -> Iterator[FrameData]:
        """Give the frames that were put together since the last flush, as one; nothing if there is none.

        While something else waits in `events`, they come after it, by `events`.
        """
        if self._events:
            self._flush_into_events()
        elif self._unflushed:
            yield self._joined()

    def _check_receiving(self) -> None:
        self._lifecycle.check_receiving()
        if self._untaken_bytes > MAX_UNTAKEN:
            raise LocalProtocolError(f"{self._untaken_bytes} bytes of samples were not taken: iterate what is returned")

    def _take(self, count: int, *, flush_every_frame: bool, limit: int | None = None, merge: bool = False) -> None:
        """Take `count` new bytes in the buffer: make all that they complete into events, up to a limit."""
        self._end += count
        if count or self._pending:
            self._parse(flush_every_frame=flush_every_frame, limit=limit if count else None, merge=merge)
        if not count and self._error is None:
            self._end_stream()

    def _parse(self, *, flush_every_frame: bool, limit: int | None, merge: bool) -> None:
        self._merge = merge or not flush_every_frame
        self._pending = False
        left = limit
        try:
            while (data := _STEPS[self.state](self)) is not None:
                self._put(data, flush_every_frame=flush_every_frame, merge=merge)
                if left is not None:
                    left -= _HEADER_COST if isinstance(data, StartData) else _FRAME_COST
                    if left <= 0:
                        self._pending = True
                        break
        except PandaError as error:
            self._fail(error)
        except BaseException as error:  # an interrupt: it is not known how far it came
            self._fail(RemoteProtocolError(f"receiving was interrupted: {error!r}"))
            raise
        if flush_every_frame:
            self._flush_into_events()

    def _put(self, data: Data, *, flush_every_frame: bool, merge: bool) -> None:
        if isinstance(data, FrameData):
            waits = not flush_every_frame or (merge and data.data.nbytes < _SMALL_FRAME)
            if waits or self._unflushed:
                self._unflushed.append(data.data)
                self._unflushed_bytes += data.data.nbytes
                if not waits or self._unflushed_bytes >= _MAX_UNFLUSHED:
                    self._flush_into_events()
                return
            self._untaken_bytes += data.data.nbytes
        elif isinstance(data, EndData):
            self._flush_into_events()
        self._events.append(data)

    def _flush_into_events(self) -> None:
        if self._unflushed:
            frame = self._joined()
            self._untaken_bytes += frame.data.nbytes
            self._events.append(frame)

    def _joined(self) -> FrameData:
        frames, self._unflushed, self._unflushed_bytes = self._unflushed, [], 0
        return FrameData(frames[0] if len(frames) == 1 else _concatenated(frames))

    def _end_stream(self) -> None:
        if self.state is ConnectionState.NEGOTIATING:
            where = f" before it answered {self._options!r}"
        elif self.state is ConnectionState.ACQUIRING or self._start < self._end:
            where = " in the middle of an acquisition"
        else:
            where = ""
        self._lifecycle.go(Transition.STREAM_ENDED)
        self._flush_into_events()
        self._error = RemoteProtocolError(f"the server closed the data port{where}")

    def _fail(self, error: PandaError) -> None:
        self._lifecycle.go(Transition.FAILED, str(error))
        self._flush_into_events()
        self._error = error.with_traceback(None)
        self._pending = False
        # Arrays that were given still use the memory; what is left in it means nothing.
        self._memory, self._start, self._searched, self._end = np.empty(0, np.uint8), 0, 0, 0

    # The steps: each takes what is next, or returns None if it is not all there.

    def _step_options(self) -> ReadyData | None:
        line = self._text_until(_END_OF_LINE, _MAX_LINE)
        if line is None:
            return None
        if line.startswith(b"ERR "):
            raise CommandError(self._options, text(line[4:-1]))
        if line != b"OK\n":
            raise RemoteProtocolError(f"the data port answered {self._options!r} with {line[:80]!r}")
        self._lifecycle.go(Transition.OPTIONS_ACCEPTED)
        return ReadyData()

    def _step_header(self) -> StartData | None:
        header = self._text_until(_END_OF_HEADER, _MAX_HEADER)
        if header is None:
            return None
        start = parse_header(header)
        self._sample = start.dtype
        self._lifecycle.go(Transition.ACQUISITION_STARTED)
        return start

    def _step_data(self) -> FrameData | EndData | None:
        available = self._end - self._start
        if available < _HEAD.size:
            return None
        mark, length = _HEAD.unpack_from(self._view, self._start)
        if mark != _MARK:
            return self._step_end()
        if length > _MAX_FRAME or length <= _HEAD.size or (length - _HEAD.size) % self._sample.itemsize:
            raise RemoteProtocolError(
                f"the data port sent a frame of {length} bytes, which holds no whole number of samples "
                f"of {self._sample.itemsize} bytes"
            )
        if available < length:
            return None
        if self._merge and length < _SMALL_FRAME and self._is_repeated(length, available):
            return FrameData(self._equal_frames(length, min(available // length, _MOST_MERGED)))
        frame = self._memory[self._start + _HEAD.size : self._start + length].view(self._sample)
        frame.flags.writeable = False
        self._start += length
        return FrameData(frame)

    def _is_repeated(self, length: int, available: int) -> bool:
        """Whether another frame of the same length comes next."""
        after = self._start + length
        return available >= 2 * length and _HEAD.unpack_from(self._view, after) == (_MARK, length)

    def _equal_frames(self, length: int, most: int) -> npt.NDArray[np.void]:
        """Take the frames that come next as long as they have the same length, as one array."""
        frames = self._memory[self._start : self._start + most * length].reshape(most, length)
        # A head is one number of 8 bytes: to compare its bytes one by one takes ten times as long.
        heads = np.ndarray((most,), np.uint64, self._memory, self._start, (length,))
        same = heads == heads[0]
        count = most if same.all() else int(same.argmin())
        self._start += count * length
        joined = frames[:count, _HEAD.size :].reshape(-1).view(self._sample)
        joined.flags.writeable = False
        return joined

    def _step_end(self) -> EndData | None:
        line = self._text_until(_END_OF_LINE, _MAX_LINE)
        if line is None:
            return None
        match text(line[:-1]).split(" ", 2):
            case ["END", samples, reason] if samples.isdecimal():
                self._lifecycle.go(Transition.ACQUISITION_ENDED)
                return EndData(int(samples), reason)
        raise RemoteProtocolError(f"the data port sent {line[:80]!r} among its data")

    def _text_until(self, mark: re.Pattern[bytes], limit: int) -> bytes | None:
        """Take what comes up to a mark, and the mark, once it is there; nothing is searched twice, nor copied."""
        begin = max(self._start, self._searched - len(mark.pattern) + 1)
        found = mark.search(self._view[: self._end], begin)
        self._searched = self._end
        if found is None:
            if self._end - self._start > limit:
                shown = self._view[self._start : self._start + 80].tobytes()
                raise RemoteProtocolError(
                    f"the data port sent over {limit} bytes without {mark.pattern!r}: {shown!r}..."
                )
            return None
        taken = self._view[self._start : found.end()].tobytes()
        self._start = self._searched = found.end()
        return taken


def _concatenated(frames: list[npt.NDArray[np.void]]) -> npt.NDArray[np.void]:
    """Frames in one array; as bytes, for numpy copies structures one by one."""
    joined = np.concatenate([frame.view(np.uint8) for frame in frames]).view(frames[0].dtype)
    joined.flags.writeable = False
    return joined


_STEPS: dict[ConnectionState, Callable[[DataConnection], Data | None]] = {
    ConnectionState.NEGOTIATING: DataConnection._step_options,
    ConnectionState.OPEN: DataConnection._step_header,
    ConnectionState.ACQUIRING: DataConnection._step_data,
}
