"""The control port of the asyncio client: a socket connected to a `ControlConnection`."""

import asyncio
import contextlib
import copy
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..protocol import Command, ControlConnection, Expected, PandaError, RemoteProtocolError
from .common import CLOSE_TIMEOUT, reason_of
from .errors import PandaConnectionError
from .repeating import Exchange, Repetition

T = TypeVar("T")

#: Maximum number of bytes of commands to collect before writing them.
_MOST_COLLECTED = 1 << 16

#: Size of the read buffer in bytes. Without it, asyncio would allocate a new buffer of this size for each read.
_READ_BYTES = 1 << 18

#: Whether commands can be repeated: elsewhere, lowering SO_RCVLOWAT does not report data that have already arrived.
_CAN_REPEAT = sys.platform == "linux"


class ControlProtocol(asyncio.BufferedProtocol):
    """The asyncio protocol of the control port."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = ControlConnection()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, Callable[[Any], None]] = {}
        #: Commands to write at the end of this iteration of the event loop, or earlier with an immediate one.
        self._outgoing = bytearray()
        self._incoming = bytearray(_READ_BYTES)
        #: The commands that are being repeated, which `_connection` does not know, and their callback.
        self._repetition: Repetition | None = None
        self._repeated: Callable[[Any], None] = lambda _: None
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: Done when the connection has ended; the result is the reason.
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise, not input
        self._transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - signature of asyncio
        return self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        self._end_repetition()  # more than the expected reply has arrived
        self._received(bytes(memoryview(self._incoming)[:nbytes]))

    def _received(self, data: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - asyncio's promise, not input
        if self.lost.done():
            return  # closing: the rest is read and discarded
        try:
            reply = self._connection.receive_bytes(data)
        except Exception as error:
            self._deliver()
            self._end(str(error))
            self._transport.close()
            if not isinstance(error, RemoteProtocolError):
                raise
            return
        if reply:
            self._transport.write(reply)
        self._deliver()

    def eof_received(self) -> bool:
        self._end("the server closed the connection")
        return False  # lets asyncio close the transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(reason_of(exc) if exc else "the connection was closed")
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def writable(self) -> None:
        """Wait until the write buffer of the transport has space."""
        await self._writable.wait()

    def submit(
        self,
        command: Command[T],
        done: Callable[[T | PandaError], None],
        *,
        soon: bool = False,
        expected: Expected[T] | None = None,
    ) -> None:
        """Send a command and call `done` with its response, or with the exception that ended it.

        Args:
            command: command to send, after all earlier ones
            done: callback
            soon: allow the command to be written later in this iteration of the event loop, together with others
            expected: expected reply of the command; see `Expected`
        """
        self.collect()
        if self.lost.done() or self._transport is None:
            raise PandaConnectionError(f"not connected to {self._address}: {self.lost.result()}")
        if id(command) in self._waiting:
            command = copy.copy(command)  # each pending command must be a separate object
        if soon and not self._outgoing:
            asyncio.get_running_loop().call_soon(self._write)
        self._outgoing += self._connection.send(command, expected)
        if not soon or len(self._outgoing) > _MOST_COLLECTED:
            self._write()
        self._waiting[id(command)] = done
        self._deliver()  # a command without requests is already finished

    def repeat(self, exchanges: Sequence[Exchange], period: float, done: Callable[[Any], None]) -> Repetition | None:
        """Repeat commands; see `AsyncioClient.repeat`."""
        transport, busy = self._transport, self._waiting or self._repetition is not None or self.lost.done()
        if transport is not None and not busy and not transport.get_write_buffer_size() and _CAN_REPEAT:
            with contextlib.suppress(OSError):  # the system has no SO_RCVLOWAT
                self._repetition = Repetition(transport, exchanges, period, self._end_repetition)
                self._repeated = done
                return self._repetition
        command, expected = exchanges[0]
        self.submit(command, done, expected=expected)
        return None

    def collect(self) -> None:
        """End the repetition; see `AsyncioClient.collect`."""
        if self._repetition is not None:
            self._end_repetition(self._repetition.read())

    def _end_repetition(self, data: bytes = b"") -> None:
        """Handle replies again, and wake up for them; `data` is what was received of the reply to the last command."""
        if self._repetition is None:
            return
        repetition, self._repetition = self._repetition, None
        repetition.stop()
        command, expected = repetition.current
        self._waiting[id(command)] = self._repeated
        self._connection.send(command, expected)  # its bytes are already sent
        if data:
            self._received(data)

    def _write(self) -> None:
        """Write the collected commands. One system call for many, because it dominates the cost of sending."""
        if self._outgoing and self._transport is not None:
            outgoing, self._outgoing = self._outgoing, bytearray()
            self._transport.write(outgoing)

    async def close(self) -> None:
        """Fail the pending commands, close our side, and wait up to CLOSE_TIMEOUT for the server to close its own."""
        self._write()
        self._end("the connection was closed")
        transport = self._transport
        if transport is None or self._closed.done():
            return
        if not transport.is_closing() and transport.can_write_eof():
            with contextlib.suppress(OSError):  # the server has already reset the connection
                transport.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await asyncio.shield(self._closed)
        # If the server reads nothing, close() would never finish writing.
        transport.abort() if transport.get_write_buffer_size() else transport.close()

    def _deliver(self) -> None:
        for command, response in self._connection.responses():
            self._waiting.pop(id(command))(response)

    def _end(self, reason: str) -> None:
        """Fail the pending commands, once. No further commands are accepted."""
        if self.lost.done():
            return
        self._end_repetition()
        self.lost.set_result(reason)
        self._writable.set()
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            done(PandaConnectionError(f"lost the connection to {self._address}: {reason}"))
