"""A PandA for asyncio programs: its control port, and a way to its data port (`asyncio_data`).

`AsyncioClient` carries bytes between a socket and a `ControlConnection`, and matches each response with the
task that waits for it. Tasks may send at the same time: commands are pipelined, not queued behind each
other's round trips.
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

#: Bytes of commands that are collected before they are written.
_MOST_COLLECTED = 1 << 16


#: Bytes that are read at once. asyncio would allocate as many for each read, which costs more than what it reads.
_READ_BYTES = 1 << 18


class _ControlProtocol(asyncio.BufferedProtocol):
    """The control port, between a transport and the tasks that wait for responses."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection = ControlConnection()
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, Callable[[Any], None]] = {}
        #: What tasks want to send, written at the end of this turn of the event loop or with what is sent at once.
        self._outgoing = bytearray()
        self._incoming = bytearray(_READ_BYTES)
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        #: Done when the connection is over; the result says why.
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise, not input
        self._transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - as asyncio calls it
        return self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        self._received(bytes(memoryview(self._incoming)[:nbytes]))

    def _received(self, data: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - asyncio's promise, not input
        if self.lost.done():
            return  # nobody waits any more: it is read for an orderly end
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
        return False  # the transport is to close

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(reason_of(exc) if exc else "it was closed")
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def writable(self) -> None:
        """Wait until the server has read enough of what was sent."""
        await self._writable.wait()

    def submit(
        self,
        command: Command[T],
        done: Callable[[T | PandaError], None],
        *,
        soon: bool = False,
        expected: Expected[T] | None = None,
    ) -> None:
        """Send a command; `done` is called with its response, or with the error that ended it.

        Args:
            command: what to send, after all that was submitted before
            done: see above
            soon: whether it may be written a little later, together with others of this turn of the event loop
            expected: the answer that it is likely to get
        """
        if self.lost.done() or self._transport is None:
            raise PandaConnectionError(f"not connected to {self._address}: {self.lost.result()}")
        if id(command) in self._waiting:
            command = copy.copy(command)  # each command under way must be an object of its own
        if soon and not self._outgoing:
            asyncio.get_running_loop().call_soon(self._write)
        self._outgoing += self._connection.send(command, expected)
        if not soon or len(self._outgoing) > _MOST_COLLECTED:
            self._write()
        self._waiting[id(command)] = done
        self._deliver()  # a command that needs no question at all is finished already

    def _write(self) -> None:
        """Write what was collected. A system call costs more than all else that is done to send a command."""
        if self._outgoing and self._transport is not None:
            outgoing, self._outgoing = self._outgoing, bytearray()
            self._transport.write(outgoing)

    async def close(self) -> None:
        """Fail all that wait, close our side, wait a little for the server to close its own."""
        self._write()
        self._end("it was closed")
        transport = self._transport
        if transport is None or self._closed.done():
            return
        if not transport.is_closing() and transport.can_write_eof():
            with contextlib.suppress(OSError):  # a reset came that nobody has read yet
                transport.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await asyncio.shield(self._closed)
        # A server that reads nothing would keep what we wrote, and us, for ever.
        transport.abort() if transport.get_write_buffer_size() else transport.close()

    def _deliver(self) -> None:
        for command, response in self._connection.responses():
            self._waiting.pop(id(command))(response)

    def _end(self, reason: str) -> None:
        """Fail all that wait, once; from then on nothing is sent."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        self._writable.set()
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            done(PandaConnectionError(f"lost the connection to {self._address}: {reason}"))


class AsyncioClient:
    """A connection to a PandA.

    Args:
        host: name or address
        control_port, data_port: where its two ports are
        timeout: seconds that connecting, and each command, may take unless told otherwise

    Use it as an asynchronous context manager, or call `connect` and `close`.
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
        """Connect to the control port.

        Raises:
            PandaConnectionError: the host is unknown, refuses, or does not answer in time
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
        """Whether the control port is connected, as far as is known."""
        return self._control is not None and not self._control.lost.done()

    async def wait_lost(self) -> str:
        """Wait until there is no connection; return why."""
        if self._control is None:
            return "it was never made"
        return await asyncio.shield(self._control.lost)

    async def close(self) -> None:
        """Close the connection in an orderly way; commands that wait for an answer fail."""
        if self._control is not None:
            await self._control.close()

    async def send(
        self, command: Command[T], *, timeout: float | None = None, then: Callable[[], None] | None = None
    ) -> T:
        """Send a command and return its response. Any number may be under way.

        Args:
            command: what to send
            timeout: seconds to wait instead of the client's own limit
            then: called once the command is on its way, not answered yet; what this submits goes with it to the
                PandA, which answers in order

        Raises:
            CommandError: the PandA refused it
            LocalProtocolError: it cannot be sent
            RemoteProtocolError: the answer makes no sense
            PandaConnectionError: there is no connection, or it was lost before the answer
            PandaTimeoutError: no answer in time
            Exception: whatever a mistake in the command raises; the connection goes on
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
        """Send a command at once and be called back: for code that must not cost a task.

        Args:
            command: what to send
            done: called, from the event loop, with the response or the error; there is no time limit
            expected: the answer that the command is likely to get, which then need not be parsed

        Raises:
            LocalProtocolError: it cannot be sent
            PandaConnectionError: there is no connection
        """
        self._connected().submit(command, done, expected=expected)

    def data(
        self,
        scaled: bool = True,  # noqa: FBT001, FBT002
        flush_period: float | None = None,
        *,
        timeout: float | None = None,
    ) -> AsyncGenerator[Data, None]:
        """Connect to the data port and give what it sends, over any number of acquisitions.

        `ReadyData` comes first: an acquisition that is armed after it is not missed. The connection is closed
        when the generator is (`contextlib.aclosing`). A slow consumer holds the PandA back; memory is bounded.

        Args:
            scaled: let the PandA scale; otherwise samples are what its hardware made
            flush_period: seconds over which frames are put together; None gives each frame as it comes, and small
                frames that came together as one
            timeout: seconds without anything from the PandA after which to give up; None waits as long as it takes

        Raises:
            PandaConnectionError: it cannot be connected to, or was lost, also when the PandA closes it
            PandaTimeoutError: nothing came for so long
            CommandError: the PandA refuses
            RemoteProtocolError: what it sends makes no sense
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
    """Give a response to whoever waits for it; nobody does if the command was cancelled."""
    if future.done():
        return
    if isinstance(response, Exception):
        future.set_exception(response)
    else:
        future.set_result(response)
