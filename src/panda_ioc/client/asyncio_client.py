"""The asyncio client.

`AsyncioClient` connects a socket to a `ControlConnection` and returns each response to the task that sent the command.
Commands of concurrent tasks are pipelined. `asyncio_data` implements the data port.
"""

import asyncio
import contextlib
import copy
from collections.abc import AsyncGenerator, Callable
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from ..ports import CONTROL_PORT, DATA_PORT
from ..protocol import Command, ControlConnection, Data, Expected, PandaError, RemoteProtocolError
from . import asyncio_data
from .asyncio_connect import connect, name_server
from .common import CLOSE_TIMEOUT, TIMEOUT, reason_of, shown
from .errors import PandaConnectionError, PandaTimeoutError

T = TypeVar("T")

#: Maximum number of bytes of commands to collect before writing them.
_MOST_COLLECTED = 1 << 16


#: Size of the read buffer in bytes. Without it, asyncio would allocate a new buffer of this size for each read.
_READ_BYTES = 1 << 18


class _ControlProtocol(asyncio.BufferedProtocol):
    """The asyncio protocol of the control port."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = ControlConnection()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, Callable[[Any], None]] = {}
        #: Commands to write at the end of this iteration of the event loop, or earlier with an immediate one.
        self._outgoing = bytearray()
        self._incoming = bytearray(_READ_BYTES)
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
        self.lost.set_result(reason)
        self._writable.set()
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            done(PandaConnectionError(f"lost the connection to {self._address}: {reason}"))


class AsyncioClient:
    """An asyncio connection to a PandA.

    Use it as an asynchronous context manager, or call `connect` and `close`. It does not reconnect by itself. Any
    number of tasks of one event loop may share it.

    Args:
        host: name or address
        control_port: TCP port of commands
        data_port: TCP port of captured data
        timeout: default timeout of connecting and of each command in s

    Example:
        >>> import asyncio
        >>> from panda_ioc.client import AsyncioClient
        >>> from panda_ioc.protocol import GetLine, Put
        >>> async def main():
        ...     async with AsyncioClient("panda.example") as panda:
        ...         await panda.send(Put("PULSE1.WIDTH", 0.25))
        ...         return await panda.send(GetLine("PULSE1.WIDTH"))
        >>> asyncio.run(main())
        '0.25'
    """

    def __init__(
        self, host: str, control_port: int = CONTROL_PORT, data_port: int = DATA_PORT, *, timeout: float = TIMEOUT
    ) -> None:
        self.host = host
        self.control_port = control_port
        self.data_port = data_port
        self.timeout = timeout
        self._control: _ControlProtocol | None = None
        self._connecting = asyncio.Lock()
        self._names = name_server(timeout)

    async def connect(self) -> None:
        """Connect to the control port. Does nothing if the client is connected.

        Raises:
            PandaConnectionError: the host is unknown, refuses the connection, or does not answer in time
        """
        address = f"{self.host}:{self.control_port}"
        async with self._connecting:
            if self.connected:
                return
            self._control = await connect(
                self._names, lambda: _ControlProtocol(address), self.host, self.control_port, self.timeout
            )

    @property
    def connected(self) -> bool:
        """Whether the control port is connected. A loss that TCP has not detected yet is not known."""
        return self._control is not None and not self._control.lost.done()

    async def wait_lost(self) -> str:
        """Wait until the connection is lost or closed; return the reason."""
        if self._control is None:
            return "the client was never connected"
        return await asyncio.shield(self._control.lost)

    async def close(self) -> None:
        """Close the connection. Pending commands raise `PandaConnectionError`."""
        if self._control is not None:
            await self._control.close()

    async def send(
        self, command: Command[T], *, timeout: float | None = None, then: Callable[[], None] | None = None
    ) -> T:
        """Send a command and return its response. Commands of several tasks are pipelined.

        Args:
            command: command to send
            timeout: timeout in s, instead of the default of the client
            then: called after the command was sent, before its reply. Commands that it submits directly follow this
                one

        Raises:
            CommandError: the PandA refused the command
            LocalProtocolError: the command cannot be sent
            RemoteProtocolError: the reply is invalid
            PandaConnectionError: the client is not connected, or the connection was lost before the reply
            PandaTimeoutError: the PandA did not reply in time
            Exception: an error in the command itself; the connection remains usable
        """
        limit = self.timeout if timeout is None else timeout
        control = self._connected()
        try:
            async with asyncio.timeout(limit):
                await control.writable()
                future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
                control.submit(command, partial(_resolve, future), soon=True)
                if then is not None:
                    then()
                return await future
        except TimeoutError as error:
            raise PandaTimeoutError(
                f"{self.host}:{self.control_port} did not answer {shown(command)} within {limit:g} s"
            ) from error

    def submit(
        self, command: Command[T], done: Callable[[T | PandaError], None], *, expected: Expected[T] | None = None
    ) -> None:
        """Send a command immediately and call back with its response, without a task.

        Args:
            command: command to send
            done: called from the event loop with the response, or with the exception that ended the command. There is
                no timeout
            expected: expected reply of the command, which is then not parsed; see `Expected`

        Raises:
            LocalProtocolError: the command cannot be sent
            PandaConnectionError: the client is not connected
        """
        self._connected().submit(command, done, expected=expected)

    def data(
        self,
        scaled: bool = True,  # noqa: FBT001, FBT002
        flush_period: float | None = None,
        *,
        timeout: float | None = None,
    ) -> AsyncGenerator[Data, None]:
        """Connect to the data port and yield its events, over any number of acquisitions.

        The first event is `ReadyData`: acquisitions armed after it are received from their start. For each acquisition
        follow `StartData`, any number of `FrameData`, and `EndData`. Closing the generator (`contextlib.aclosing`)
        closes the connection. Memory is bounded: if the caller is slow, the PandA buffers the data.

        Args:
            scaled: True for values scaled by the PandA, float64 in all columns except bits; False for raw values
            flush_period: time in s over which frames are merged; None yields each frame as it arrives, and small
                frames that arrive together as one
            timeout: maximum time in s without data from the PandA; None for no timeout

        Raises:
            PandaConnectionError: connecting failed, or the connection was lost or closed by the PandA
            PandaTimeoutError: no data within `timeout`
            CommandError: the PandA refused the options
            RemoteProtocolError: the data violates the protocol

        Example:
            Print the columns and the number of samples of one acquisition::

                async with aclosing(panda.data(scaled=False)) as events:
                    async for event in events:
                        match event:
                            case ReadyData():
                                await panda.send(Arm())
                            case StartData():
                                print(event.dtype.names)
                            case EndData():
                                print(event.samples, event.reason)
                                break
        """
        return asyncio_data.data(
            self.host,
            self.data_port,
            self.timeout,
            self._names,
            scaled=scaled,
            flush_period=flush_period,
            timeout=timeout,
        )

    def _connected(self) -> _ControlProtocol:
        if self._control is None:
            raise PandaConnectionError(f"not connected to {self.host}:{self.control_port}")
        return self._control

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _resolve(future: asyncio.Future[T], response: T | Exception) -> None:
    """Set the result of a future, unless its task was cancelled."""
    if future.done():
        return
    if isinstance(response, Exception):
        future.set_exception(response)
    else:
        future.set_result(response)
