"""Sans-IO data connection.

The client sends its options once. For each acquisition, the server then sends an XML header, an empty line, frames
(`BIN `, a length, whole packed samples) and `END samples reason`. `DataConnection` requests framed data with an XML
header, raw or scaled; it supports no other format.

Samples are not copied: the array of a frame is a view of the receive buffer, which is kept while it is referenced.
With `get_buffer` and `buffer_updated`, a socket receives directly into that buffer.

Received bytes are parsed immediately. The resulting events are queued until `events` is iterated.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from . import framing
from .acquisition import Data, EndData, FrameData, ReadyData, StartData
from .connection import ConnectionState, Lifecycle, Transition
from .errors import LocalProtocolError, PandaError, RemoteProtocolError
from .framing import HEADER, LINE, MARK, MAX_MERGED, MAX_UNFLUSHED, SMALL_FRAME
from .header import parse_header
from .receivebuffer import ReceiveBuffer

#: Maximum number of bytes of samples and columns in the event queue when more bytes are received.
MAX_QUEUED = 1 << 26

#: Memory for an event in bytes, in addition to its samples or columns.
_EVENT_BYTES = 1 << 12

#: Cost of a parser step, counted in frames. Parsing an XML header is slow.
_HEADER_COST, _FRAME_COST = 64, 1


class DataConnection:
    r"""A Sans-IO connection to the data port of a PandA. It starts in `ConnectionState.IDLE`.

    Example:
        >>> connection = DataConnection()
        >>> connection.connect(scaled=False)
        b'XML FRAMED RAW\n'
        >>> for event in connection.receive_bytes(b"OK\n"):
        ...     print(event)
        ReadyData()
    """

    def __init__(self) -> None:
        self._lifecycle = Lifecycle(ConnectionState.IDLE, "data connection")
        self._options = ""
        self._sample: np.dtype[np.void] = np.dtype([])
        self._buffer = ReceiveBuffer()
        self._unflushed: list[npt.NDArray[np.void]] = []
        self._unflushed_bytes = 0
        self._events: deque[Data] = deque()
        self._queued_bytes = 0
        self._error: PandaError | None = None
        self._pending = False
        self._merge = False

    @property
    def pending(self) -> bool:
        """Whether received bytes are not parsed yet because `limit` was reached: call `parse_pending`."""
        return self._pending

    @property
    def queued_bytes(self) -> int:
        """The size of the queued events in bytes: their samples and columns, and 4 KiB for each."""
        return self._queued_bytes + len(self._events) * _EVENT_BYTES

    @property
    def state(self) -> ConnectionState:
        """The state: IDLE, NEGOTIATING, OPEN between acquisitions, ACQUIRING, CLOSED or ERROR."""
        return self._lifecycle.state

    def connect(self, scaled: bool = True) -> bytes:  # noqa: FBT001, FBT002 - as the API was fixed
        """Select raw or scaled data and return the bytes to write. Call it once.

        Args:
            scaled: True for values scaled by the server, float64 in all columns except bits; False for raw values

        Raises:
            LocalProtocolError: the options were sent before
        """
        if self.state is not ConnectionState.IDLE:
            raise LocalProtocolError("the options of this data connection were already sent")
        self._lifecycle.go(Transition.OPTIONS_SENT)
        self._options = f"XML FRAMED {'SCALED' if scaled else 'RAW'}"
        return f"{self._options}\n".encode()

    def receive_bytes(self, data: bytes, flush_every_frame: bool = True) -> Iterator[Data]:  # noqa: FBT001, FBT002
        """Parse received bytes and return an iterator over the queued events, as `events` does.

        The bytes are parsed by the call itself; events that are not iterated remain queued.

        Args:
            data: received bytes, split anywhere; `b""` for the end of stream
            flush_every_frame: True queues each frame immediately; False merges frames until `flush`, the end of the
                acquisition, or 8 MiB

        Raises:
            LocalProtocolError: raised by the call if the state is IDLE, CLOSED or ERROR, or if more than 64 MiB of
                samples are queued. The iterator raises the errors of `events`
        """
        self._check_receiving()
        if not data:
            self._receive(0, flush_every_frame=flush_every_frame)
        view = memoryview(data)
        while view and self._error is None:
            buffer = self.get_buffer()
            count = min(len(buffer), len(view))
            buffer[:count] = view[:count]
            self._receive(count, flush_every_frame=flush_every_frame)
            view = view[count:]
        return self.events()

    def get_buffer(self) -> memoryview:
        """Return free space of the receive buffer, at least 128 KiB. Call `buffer_updated` after receiving into it."""
        return self._buffer.space()

    def buffer_updated(
        self, count: int, *, flush_every_frame: bool = True, limit: int | None = None, merge: bool = False
    ) -> Iterator[Data]:
        """Parse bytes that were received into the buffer; return an iterator over the queued events.

        Args:
            count: number of bytes received; 0 for the end of stream
            flush_every_frame: as for `receive_bytes`
            limit: maximum number of frames to parse, where a header counts as 64; None for no limit. `pending` is
                True if bytes remain; `count=0` parses them all
            merge: merge consecutive frames with less than 16 KiB of samples

        Raises:
            LocalProtocolError: as for `receive_bytes`
        """
        self._check_receiving()
        self._receive(count, flush_every_frame=flush_every_frame, limit=limit, merge=merge)
        return self.events()

    def parse_pending(
        self, *, flush_every_frame: bool = True, limit: int | None = None, merge: bool = False
    ) -> Iterator[Data]:
        """Parse `pending` bytes; return an iterator over the queued events.

        Args:
            flush_every_frame: as for `receive_bytes`
            limit: as for `buffer_updated`
            merge: as for `buffer_updated`

        Raises:
            LocalProtocolError: as for `receive_bytes`
        """
        self._check_receiving()
        self._parse(flush_every_frame=flush_every_frame, limit=limit, merge=merge)
        return self.events()

    def events(self, limit: int | None = None) -> Iterator[Data]:
        """Yield the queued events in order, then raise the error that ended the connection, once.

        Args:
            limit: maximum number of events to yield, without an error while more are queued; None for no limit

        Raises:
            RemoteProtocolError: the data violates the protocol (state ERROR), or the stream ended (state CLOSED)
            CommandError: the server refused the options (state ERROR)
        """
        left = sys.maxsize if limit is None else limit
        while self._events:
            if left <= 0:
                return
            left -= 1
            data = self._events.popleft()
            if isinstance(data, FrameData):
                self._queued_bytes -= data.data.nbytes
            elif isinstance(data, StartData):
                self._queued_bytes -= data.memory
            yield data
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # breaks the reference cycle that would keep the buffer alive

    def flush(self) -> Iterator[FrameData]:
        """Yield the frames merged since the last flush as one frame, if any.

        If other events are queued, the frame is appended to the queue instead.
        """
        if self._events:
            self.flush_into_events()
        elif self._unflushed:
            yield self._joined()

    def flush_into_events(self) -> None:
        """Queue the frames merged since the last flush as one frame, if any."""
        if self._unflushed:
            frame = self._joined()
            self._queued_bytes += frame.data.nbytes
            self._events.append(frame)

    def _check_receiving(self) -> None:
        self._lifecycle.check_receiving()
        if self._queued_bytes > MAX_QUEUED:
            raise LocalProtocolError(f"{self._queued_bytes} bytes of events are queued: iterate the returned events")

    def _receive(self, count: int, *, flush_every_frame: bool, limit: int | None = None, merge: bool = False) -> None:
        """Parse `count` new bytes in the buffer, up to a limit, and queue their events."""
        self._buffer.received(count)
        if count or self._pending:
            self._parse(flush_every_frame=flush_every_frame, limit=limit if count else None, merge=merge)
        if not count and self._error is None:
            self._end_stream()

    def _parse(self, *, flush_every_frame: bool, limit: int | None, merge: bool) -> None:
        self._merge = merge or not flush_every_frame
        self._pending = False
        left = sys.maxsize if limit is None else limit
        try:
            while events := _STEPS[self.state](self, left):
                self._put(events, flush_every_frame=flush_every_frame, merge=merge)
                left -= _HEADER_COST if isinstance(events[0], StartData) else len(events) * _FRAME_COST
                if left <= 0:
                    self._pending = True
                    break
        except PandaError as error:
            self._fail(error)
        except BaseException as error:  # an interrupt: the parser state is unknown
            self._fail(RemoteProtocolError(f"receiving was interrupted: {error!r}"))
            raise
        if flush_every_frame:
            self.flush_into_events()

    def _put(self, events: Sequence[Data], *, flush_every_frame: bool, merge: bool) -> None:
        """Queue one event, or frames of equal length."""
        first = events[0]
        if isinstance(first, FrameData):
            if not flush_every_frame or (merge and first.data.nbytes < SMALL_FRAME):
                self._wait_for_flush(events)
                return
            if self._unflushed:
                self._wait_for_flush(events[:1])
                self.flush_into_events()
                events = events[1:]
            self._queued_bytes += len(events) * first.data.nbytes
        elif isinstance(first, EndData):
            self.flush_into_events()
        elif isinstance(first, StartData):
            self._queued_bytes += first.memory
        self._events += events

    def _wait_for_flush(self, events: Sequence[Data]) -> None:
        for event in events:
            if isinstance(event, FrameData):
                self._unflushed.append(event.data)
                self._unflushed_bytes += event.data.nbytes
        if self._unflushed_bytes >= MAX_UNFLUSHED:
            self.flush_into_events()

    def _joined(self) -> FrameData:
        frames, self._unflushed, self._unflushed_bytes = self._unflushed, [], 0
        return FrameData(frames[0] if len(frames) == 1 else framing.concatenate(frames))

    def _end_stream(self) -> None:
        if self.state is ConnectionState.NEGOTIATING:
            where = f" before replying to {self._options!r}"
        elif self.state is ConnectionState.ACQUIRING or self._buffer:
            where = " during an acquisition"
        else:
            where = ""
        self._lifecycle.go(Transition.STREAM_ENDED)
        self.flush_into_events()
        self._error = RemoteProtocolError(f"the server closed the data port{where}")

    def _fail(self, error: PandaError) -> None:
        self._lifecycle.go(Transition.FAILED, str(error))
        self.flush_into_events()
        self._error = error.with_traceback(None)
        self._pending = False
        self._buffer.discard()

    # Parser steps: each consumes and returns the next event, or frames of equal length up to a limit. An incomplete
    # one remains, and nothing is returned.

    def _step_options(self, _limit: int) -> Sequence[Data]:
        line = self._buffer.text_until(*LINE)
        if line is None:
            return ()
        framing.check_options(line, self._options)
        self._lifecycle.go(Transition.OPTIONS_ACCEPTED)
        return (ReadyData(),)

    def _step_header(self, _limit: int) -> Sequence[Data]:
        header = self._buffer.text_until(*HEADER)
        if header is None:
            return ()
        start = parse_header(header)
        self._sample = start.dtype
        self._lifecycle.go(Transition.ACQUISITION_STARTED)
        return (start,)

    def _step_data(self, limit: int) -> Sequence[Data]:
        mark, length = self._buffer.head()
        if not mark:
            return ()
        if mark != MARK:
            return self._step_end()
        framing.check_length(length, self._sample.itemsize)
        if len(self._buffer) < length:
            return ()
        if self._merge and length < SMALL_FRAME:
            return (FrameData(self._buffer.merged(length, self._sample, MAX_MERGED)),)
        return list(map(FrameData, self._buffer.frames(length, self._sample, limit)))

    def _step_end(self) -> Sequence[Data]:
        line = self._buffer.text_until(*LINE)
        if line is None:
            return ()
        end = framing.parse_end(line)
        self._lifecycle.go(Transition.ACQUISITION_ENDED)
        return (end,)


_STEPS: dict[ConnectionState, Callable[[DataConnection, int], Sequence[Data]]] = {
    ConnectionState.NEGOTIATING: DataConnection._step_options,
    ConnectionState.OPEN: DataConnection._step_header,
    ConnectionState.ACQUIRING: DataConnection._step_data,
}
