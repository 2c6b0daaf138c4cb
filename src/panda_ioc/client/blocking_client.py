"""The blocking client.

`BlockingClient` connects a socket to a `ControlConnection`. It reads while it writes, so that a long list of commands
cannot deadlock with the server. Threads may share a client: their calls are serialised, each with its own timeout.
"""

import contextlib
import copy
import selectors
import socket
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from ..ports import CONTROL_PORT, DATA_PORT
from ..protocol import Command, ControlConnection, Data, RemoteProtocolError
from . import blocking_data
from .common import CANNOT_CONNECT, CLOSE_TIMEOUT, TIMEOUT, cannot_connect, reason_of, shown
from .errors import PandaConnectionError, PandaTimeoutError

T = TypeVar("T")

_READ_SIZE = 1 << 18


class BlockingClient:
    """A blocking connection to a PandA.

    Use it as a context manager, or call `connect` and `close`. It does not reconnect by itself. Threads may share it.

    Args:
        host: name or address
        control_port: TCP port of commands
        data_port: TCP port of captured data
        timeout: default timeout of connecting and of each call of `send` in s

    Example:
        >>> from panda_ioc.client import BlockingClient
        >>> from panda_ioc.protocol import GetLine, Put
        >>> with BlockingClient("panda.example") as panda:
        ...     panda.send([Put("PULSE1.WIDTH", 0.5), Put("PULSE1.PULSES", 3)])
        ...     panda.send(GetLine("PULSE1.WIDTH"))
        [None, None]
        '0.5'
    """

    def __init__(
        self, host: str, control_port: int = CONTROL_PORT, data_port: int = DATA_PORT, *, timeout: float = TIMEOUT
    ) -> None:
        self.host = host
        self.control_port = control_port
        self.data_port = data_port
        self.timeout = timeout
        self._turn = threading.Lock()
        self._socket: socket.socket | None = None
        self._connection = ControlConnection()

    def connect(self) -> None:
        """Connect to the control port. Does nothing if the client is connected.

        Raises:
            PandaConnectionError: the host is unknown, refuses the connection, or does not answer in time
            PandaTimeoutError: another thread used the client for the whole timeout
        """
        with self._my_turn(time.monotonic() + self.timeout, "connect"):
            if self._socket is not None:
                return
            try:
                connected = socket.create_connection((self.host, self.control_port), self.timeout)
            except CANNOT_CONNECT as error:
                raise cannot_connect(self.host, self.control_port, error) from error
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.settimeout(0)  # only the selector waits
            self._socket = connected
            self._connection = ControlConnection()

    def close(self) -> None:
        """Close the connection, and wait up to 1 s for the server to close its side.

        A call of `send` in another thread raises `PandaConnectionError`.
        """
        mine = self._turn.acquire(timeout=CLOSE_TIMEOUT)
        try:
            closing, self._socket = self._socket, None
        finally:
            if mine:
                self._turn.release()
        if closing is None:
            return
        if mine:
            blocking_data.end(closing)
        else:
            with contextlib.suppress(OSError):
                closing.shutdown(socket.SHUT_RDWR)  # wakes the thread in send(), which then closes the socket

    @overload
    def send(self, commands: Command[T], *, timeout: float | None = None) -> T: ...
    @overload
    def send(self, commands: Iterable[Command[Any]], *, timeout: float | None = None) -> list[Any]: ...
    def send(self, commands: Command[Any] | Iterable[Command[Any]], *, timeout: float | None = None) -> Any:
        """Send one command and return its response, or several commands and return a list of their responses.

        Several commands are pipelined: sent together, and answered in order. If some fail, the others are still
        executed; then the first error is raised.

        Args:
            commands: a command, or an iterable of commands
            timeout: timeout in s for all commands together, instead of the default of the client

        Raises:
            CommandError: the PandA refused a command
            LocalProtocolError: a command cannot be sent
            RemoteProtocolError: a reply is invalid
            PandaConnectionError: the client is not connected, or the connection was lost before all replies
            PandaTimeoutError: the PandA did not reply in time
            Exception: an error in a command itself; the connection remains usable
        """
        # Copies, because each pending command must be a separate object.
        batch = [copy.copy(command) for command in ([commands] if isinstance(commands, Command) else commands)]
        limit = self.timeout if timeout is None else timeout
        what = ", ".join(map(shown, batch[:3])) + (", ..." if len(batch) > 3 else "")
        deadline = time.monotonic() + limit
        with self._my_turn(deadline, what):
            responses = self._converse(batch, deadline, what)
        for response in responses:
            if isinstance(response, Exception):
                raise response
        return responses[0] if isinstance(commands, Command) else responses

    def data(self, scaled: bool = True, *, timeout: float | None = None) -> Generator[Data, None, None]:  # noqa: FBT001, FBT002
        """Connect to the data port and yield its events, over any number of acquisitions.

        The first event is `ReadyData`: acquisitions armed after it are received from their start. For each acquisition
        follow `StartData`, any number of `FrameData`, and `EndData`. Closing the generator closes the connection.
        Other threads can send commands meanwhile.

        Args:
            scaled: True for values scaled by the PandA, float64 in all columns except bits; False for raw values
            timeout: maximum time in s without data from the PandA; None for no timeout

        Raises:
            PandaConnectionError: connecting failed, or the connection was lost or closed by the PandA
            PandaTimeoutError: no data within `timeout`
            CommandError: the PandA refused the options
            RemoteProtocolError: the data violates the protocol
        """
        return blocking_data.data(self.host, self.data_port, self.timeout, scaled=scaled, timeout=timeout)

    def _converse(self, batch: Sequence[Command[Any]], deadline: float, what: str) -> list[Any]:
        """Send commands and receive until each has its response, which may be an exception."""
        connected = self._socket
        if connected is None:
            raise PandaConnectionError(f"not connected to {self._address}")
        outgoing = bytearray()
        responses: dict[int, Any] = {}
        waiting: dict[int, int] = {}
        for position, command in enumerate(batch):
            try:
                outgoing += self._connection.send(command)
            except Exception as error:  # noqa: BLE001 - raised by send() after the other responses
                responses[position] = error
            else:
                waiting[id(command)] = position
        try:
            while True:
                for command, response in self._connection.responses():
                    index = waiting.pop(id(command), None)
                    if index is not None:  # None: the late response to a command that timed out
                        responses[index] = response
                if len(responses) == len(batch):
                    return [responses[index] for index in range(len(batch))]
                self._move(connected, outgoing, deadline, what)
        except BaseException:
            # The rest of a partly sent command would corrupt the next one.
            if outgoing or not self._connection.is_open:
                self._lose(connected)
            raise

    def _move(self, connected: socket.socket, outgoing: bytearray, deadline: float, what: str) -> None:
        """Wait for the socket, then send and receive once."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(connected, selectors.EVENT_READ | (selectors.EVENT_WRITE if outgoing else 0))
                ready = selector.select(max(deadline - time.monotonic(), 0))
            for _, events in ready:
                if events & selectors.EVENT_WRITE:
                    del outgoing[: connected.send(outgoing)]
                if events & selectors.EVENT_READ:
                    self._receive(connected, outgoing)
        except RemoteProtocolError:
            self._lose(connected)
            raise
        except OSError as error:
            self._lose(connected)
            raise PandaConnectionError(f"lost the connection to {self._address}: {reason_of(error)}") from error
        if not ready:
            raise PandaTimeoutError(f"{self._address} did not answer {what} in time")

    def _receive(self, connected: socket.socket, outgoing: bytearray) -> None:
        data = connected.recv(_READ_SIZE)
        outgoing += self._connection.receive_bytes(data)
        if not data:
            raise ConnectionResetError("the server closed the connection")

    @property
    def _address(self) -> str:
        return f"{self.host}:{self.control_port}"

    def _lose(self, connected: socket.socket) -> None:
        self._socket = None
        connected.close()

    @contextlib.contextmanager
    def _my_turn(self, deadline: float, what: str) -> Iterator[None]:
        if not self._turn.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise PandaTimeoutError(f"timeout of {what}: another thread is using the connection to {self._address}")
        try:
            yield
        finally:
            self._turn.release()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
