"""The data port of the asyncio client.

The socket receives directly into the buffer of a `DataConnection`, whose events remain queued there. When the queue
holds 16 MiB, reading pauses until half of it is consumed. Memory is therefore bounded, and the PandA buffers
the data of a slow consumer.

A server may send a million small frames together. The number of frames parsed and events yielded in one iteration of
the event loop is limited, and small frames that arrive together are merged.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator

from ..calls import SerialExecutor
from ..protocol import ConnectionState, Data, DataConnection, PandaError, RemoteProtocolError
from .asyncio_connect import connect
from .coalescing import Coalescing
from .common import CLOSE_TIMEOUT, keep_alive, reason_of
from .errors import PandaConnectionError, PandaTimeoutError

#: Maximum size of the queue in bytes.
_MAX_QUEUED = 1 << 24

#: Maximum number of frames parsed, and of events yielded, in one iteration of the event loop (about a millisecond).
_MAX_FRAMES = 64
_MAX_EVENTS = 16

#: Maximum size of a read in bytes. It is processed while it is in the CPU cache.
_MAX_READ = 1 << 20


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
        self._reading = True
        self._parsing: asyncio.Handle | None = None
        self._closing = False
        self._ended = False
        self._flush_timer: asyncio.TimerHandle | None = None
        self._coalescing_timer: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._error: PandaError | None = None
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise, not input
        self._transport = transport
        connected = transport.get_extra_info("socket")
        keep_alive(connected)
        self._coalescing = Coalescing(connected)
        transport.write(self._connection.connect(self._scaled))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the buffer is always large enough
        return self._connection.get_buffer()[:_MAX_READ]

    def buffer_updated(self, nbytes: int) -> None:
        loop = asyncio.get_running_loop()
        self._last_received = loop.time()
        if self._closing:
            return  # closing: the rest is read and discarded
        if self._coalescing.received(nbytes):
            self._coalescing_timer = loop.call_later(Coalescing.PERIOD, self._end_coalescing)
        merge = self._flush_period is None
        self._connection.buffer_updated(nbytes, flush_every_frame=merge, limit=_MAX_FRAMES, merge=merge)
        self._parsed()

    def _end_coalescing(self) -> None:
        """Stop coalescing if nothing was received for its period. One timer, because a timer for each read is slow."""
        loop = asyncio.get_running_loop()
        until = self._last_received + Coalescing.PERIOD
        if loop.time() < until:
            self._coalescing_timer = loop.call_at(until, self._end_coalescing)
        else:
            self._coalescing.stop()

    def _parse_pending(self) -> None:
        self._parsing = None
        if self._closing or self._ended:
            return
        merge = self._flush_period is None
        self._connection.parse_pending(flush_every_frame=merge, limit=_MAX_FRAMES, merge=merge)
        self._parsed()

    def _parsed(self) -> None:
        """Continue after bytes were parsed: their events are queued in the connection."""
        if self._connection.state is ConnectionState.ERROR:
            self._end()
            return
        self._wake_consumer()
        if self._flush_period is not None and self._flush_timer is None:
            self._flush_timer = asyncio.get_running_loop().call_later(self._flush_period, self._flush)
        self._go_on()

    def _go_on(self) -> None:
        """Schedule the parsing of pending bytes, and pause or resume reading depending on the size of the queue."""
        if self._transport is None or self._closing or self._transport.is_closing():
            return
        full = self._connection.queued_bytes >= (_MAX_QUEUED if self._reading else _MAX_QUEUED // 2)
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
        if not self._ended:
            self._connection.receive_bytes(b"")
            self._end()
        return False  # lets asyncio close the transport

    def connection_lost(self, exc: Exception | None) -> None:
        reason = reason_of(exc) if exc else "the connection was closed"
        self._end(PandaConnectionError(f"lost the data connection to {self._address}: {reason}"))
        if not self._lost.done():
            self._lost.set_result(None)

    async def wait(self) -> None:
        """Wait for events or for the end of the connection, and let other tasks run."""
        if self._connection.queued_bytes:
            await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        while not (self._connection.queued_bytes or self._ended):
            self._wake.clear()
            await self._wait(began)

    def events(self) -> Iterator[Data]:
        """Yield some queued events. When there are none, raise the error that ended the connection."""
        try:
            yield from self._connection.events(_MAX_EVENTS)
        except RemoteProtocolError as error:
            if self._connection.state is ConnectionState.CLOSED:
                raise PandaConnectionError(f"{self._address}: {error}") from error
            raise
        if self._error is not None and not self._connection.queued_bytes:
            raise self._error
        if not self._reading and self._parsing is None:
            self._go_on()

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
        self._cancel_timers()
        if self._transport is None or self._transport.is_closing():
            return
        self._coalescing.stop()  # unread bytes in the kernel would turn the close into a reset
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

    def _flush(self) -> None:
        self._flush_timer = None
        self._connection.flush_into_events()
        self._wake_consumer()
        self._go_on()

    def _wake_consumer(self) -> None:
        if self._connection.queued_bytes:
            self._wake.set()

    def _end(self, error: PandaError | None = None) -> None:
        """End the connection. Without an error: `DataConnection` has one, which it raises after its events."""
        self._cancel_timers()
        if not self._ended:
            self._connection.flush_into_events()
            self._ended, self._error = True, error
            self._wake.set()
        if self._transport is not None:
            self._transport.close()

    def _cancel_timers(self) -> None:
        for timer in (self._flush_timer, self._coalescing_timer):
            if timer is not None:
                timer.cancel()


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
            await protocol.wait()
            for event in protocol.events():
                yield event
    finally:
        await protocol.close()
