"""The data port of the asyncio client.

The socket receives directly into the buffer of a `DataConnection`; the resulting events wait in a queue. When the queue
holds 16 MiB, reading pauses until half of it is consumed. Memory is therefore bounded, and the PandA buffers
the data of a slow consumer.

A server may send a million small frames together. The number of frames parsed and events yielded in one iteration of
the event loop is limited, and small frames that arrive together are merged.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator

from ..calls import SerialExecutor
from ..protocol import Data, DataConnection, FrameData, PandaError, StartData
from .asyncio_connect import connect
from .common import CLOSE_TIMEOUT, keep_alive, reason_of
from .errors import PandaConnectionError, PandaTimeoutError

#: Maximum size of the queue in bytes.
_MAX_QUEUED = 1 << 24

#: Size of an event in the queue in bytes, in addition to its samples or columns.
_EVENT_BYTES = 1 << 12

#: Maximum number of frames parsed, and of events yielded, in one iteration of the event loop (about a millisecond).
_MAX_FRAMES = 64
_MAX_EVENTS = 16


class _DataProtocol(asyncio.BufferedProtocol):
    """The asyncio protocol of the data port."""

    def __init__(self, address: str, *, scaled: bool, flush_period: float | None, timeout: float | None) -> None:
        self._address = address
        self._timeout = timeout
        self._last_received = asyncio.get_running_loop().time()
        self._scaled = scaled
        self._flush_period = flush_period
        self._connection = DataConnection()
        self._transport: asyncio.Transport | None = None
        self._queue: deque[Data] = deque()
        self._queued_bytes = 0
        self._reading = True
        self._parsing: asyncio.Handle | None = None
        self._yielded = 0
        self._closing = False
        self._flush_timer: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._error: PandaError | None = None
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise, not input
        self._transport = transport
        keep_alive(transport.get_extra_info("socket"))
        transport.write(self._connection.connect(self._scaled))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the buffer is always large enough
        return self._connection.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self._last_received = asyncio.get_running_loop().time()
        if self._closing:
            return  # closing: the rest is read and discarded
        merge = self._flush_period is None
        self._put_all(
            lambda: self._connection.buffer_updated(nbytes, flush_every_frame=merge, limit=_MAX_FRAMES, merge=merge)
        )

    def _parse_pending(self) -> None:
        self._parsing = None
        if self._closing or self._error is not None:
            return
        merge = self._flush_period is None
        self._put_all(lambda: self._connection.parse_pending(flush_every_frame=merge, limit=_MAX_FRAMES, merge=merge))

    def _put_all(self, receive: Callable[[], Iterator[Data]]) -> None:
        try:
            for data in receive():
                self._put(data)
        except PandaError as error:
            self._end(error)
            return
        loop = asyncio.get_running_loop()
        if self._flush_period is not None and self._flush_timer is None:
            self._flush_timer = loop.call_later(self._flush_period, self._flush)
        self._go_on()

    def _go_on(self) -> None:
        """Schedule the parsing of pending bytes, and pause or resume reading depending on the size of the queue."""
        if self._transport is None or self._closing or self._transport.is_closing():
            return
        full = self._queued_bytes >= (_MAX_QUEUED if self._reading else _MAX_QUEUED // 2)
        if self._connection.pending and not full and self._parsing is None:
            self._parsing = asyncio.get_running_loop().call_soon(self._parse_pending)
        reading = not full and not self._connection.pending
        if reading != self._reading:
            self._reading = reading
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        try:
            for data in self._connection.receive_bytes(b""):
                self._put(data)
        except PandaError as error:
            self._end(PandaConnectionError(f"{self._address}: {error}"))
        return False  # lets asyncio close the transport

    def connection_lost(self, exc: Exception | None) -> None:
        reason = reason_of(exc) if exc else "the connection was closed"
        self._end(PandaConnectionError(f"lost the data connection to {self._address}: {reason}"))
        if not self._lost.done():
            self._lost.set_result(None)

    async def next(self) -> Data:
        """Return the next event. All events are returned before the error that ended the connection is raised."""
        began = asyncio.get_running_loop().time()
        while not self._queue:
            if self._error is not None:
                raise self._error
            self._yielded = 0
            self._wake.clear()
            await self._wait(began)
        if self._yielded >= _MAX_EVENTS:
            self._yielded = 0
            await asyncio.sleep(0)
        self._yielded += 1
        data = self._queue.popleft()
        self._queued_bytes -= _size(data)
        if not self._reading and self._parsing is None:
            self._go_on()
        return data

    async def _wait(self, since: float) -> None:
        """Wait for an event, up to the timeout since the last data, or since `since` if that is later."""
        if self._timeout is None:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout_at(max(self._last_received, since) + self._timeout):
                await self._wake.wait()
        except TimeoutError:
            if asyncio.get_running_loop().time() >= max(self._last_received, since) + self._timeout:
                raise PandaTimeoutError(f"{self._address} sent nothing for {self._timeout:g} s") from None

    async def close(self) -> None:
        """Close our side, and wait up to CLOSE_TIMEOUT for the server to close its own."""
        self._closing = True
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        if self._transport is None or self._transport.is_closing():
            return
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()
        if self._transport.can_write_eof():
            with contextlib.suppress(OSError):  # the server has already reset the connection
                self._transport.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await asyncio.shield(self._lost)
        self._transport.close()

    def _put(self, data: Data) -> None:
        self._queue.append(data)
        self._wake.set()
        self._queued_bytes += _size(data)

    def _flush(self) -> None:
        self._flush_timer = None
        for data in self._connection.flush():
            self._put(data)
        self._go_on()

    def _end(self, error: PandaError) -> None:
        if self._error is None:
            self._flush()
            self._error = error
            self._wake.set()
        if self._transport is not None:
            self._transport.close()


def _size(data: Data) -> int:
    """Return the size of an event in the queue in bytes."""
    match data:
        case FrameData():
            return _EVENT_BYTES + data.data.nbytes
        case StartData():
            return data.memory
    return _EVENT_BYTES


async def data(
    host: str,
    port: int,
    connect_timeout: float,
    names: SerialExecutor,
    *,
    scaled: bool,
    flush_period: float | None,
    timeout: float | None,
) -> AsyncGenerator[Data, None]:
    """Connect to a data port and yield its events; see `AsyncioClient.data`."""
    address = f"{host}:{port}"

    def make() -> _DataProtocol:
        return _DataProtocol(address, scaled=scaled, flush_period=flush_period, timeout=timeout)

    protocol = await connect(names, make, host, port, connect_timeout)
    try:
        while True:
            yield await protocol.next()
    finally:
        await protocol.close()
