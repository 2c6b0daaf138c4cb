"""A PandA for programs without asyncio.

`BlockingClient` carries bytes between a socket and a `ControlConnection`. It reads while it writes, so a
long list of commands cannot block against the server. Threads may share one: they take turns, each within
its own time limit.
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
    """A connection to a PandA.

    Args:
        host: name or address
        control_port, data_port: where its two ports are
        timeout: seconds that connecting, and each call of `send`, may take unless told otherwise

    Use it as a context manager, or call `connect` and `close`.
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
        """Connect to the control port.

        Raises:
            PandaConnectionError: the host is unknown, refuses, or does not answer in time
        """
        with self._my_turn(time.monotonic() + self.timeout, "connect"):
            if self._socket is not None:
                return
            try:
                connected = socket.create_connection((self.host, self.control_port), self.timeout)
            except CANNOT_CONNECT as error:
                raise cannot_connect(self.host, self.control_port, error) from error
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.settimeout(0)  # every wait is in the selector
            self._socket = connected
            self._connection = ControlConnection()

    def close(self) -> None:
        """Close the connection in an orderly way: end our side, read until the server ends its own.

        A thread that waits for an answer meanwhile gets a `PandaConnectionError`.
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
                closing.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits, which then closes it

    @overload
    def send(self, commands: Command[T], *, timeout: float | None = None) -> T: ...
    @overload
    def send(self, commands: Iterable[Command[Any]], *, timeout: float | None = None) -> list[Any]: ...
    def send(self, commands: Command[Any] | Iterable[Command[Any]], *, timeout: float | None = None) -> Any:
        """Send a command, or several at once, and return its response, or theirs in order.

        Args:
            commands: what to send
            timeout: seconds to wait, for all of it, instead of the client's own limit

        Raises:
            CommandError: the PandA refused a command; of several commands the first error is raised, when
                all have been answered
            LocalProtocolError: a command cannot be sent; the others were
            Exception: whatever a mistake in a command raises; the connection goes on
            RemoteProtocolError: an answer makes no sense
            PandaConnectionError: there is no connection, or it was lost before all was answered
            PandaTimeoutError: not all was answered in time
        """
        # Copies, so that each command under way is an object of its own.
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
        """Connect to the data port and give what it sends, over any number of acquisitions.

        `ReadyData` comes first: an acquisition that is armed after it is not missed. The connection is closed
        when the generator is. It does not wait its turn: threads may use the client meanwhile.

        Args:
            scaled: let the PandA scale; otherwise samples are what its hardware made
            timeout: seconds without anything after which to give up; None waits as long as it takes

        Raises:
            PandaConnectionError: it cannot be connected to, or was lost, also when the PandA closes it
            PandaTimeoutError: nothing came for so long
            CommandError: the PandA refuses
            RemoteProtocolError: what it sends makes no sense
        """
        return blocking_data.data(self.host, self.data_port, self.timeout, scaled=scaled, timeout=timeout)

    def _converse(self, batch: Sequence[Command[Any]], deadline: float, what: str) -> list[Any]:
        """Send commands and read what comes back until each has its response, which may be an error."""
        connected = self._socket
        if connected is None:
            raise PandaConnectionError(f"not connected to {self._address}")
        outgoing = bytearray()
        responses: dict[int, Any] = {}
        waiting: dict[int, int] = {}
        for place, command in enumerate(batch):
            try:
                outgoing += self._connection.send(command)
            except Exception as error:  # noqa: BLE001 - it is raised once the others have been answered
                responses[place] = error
            else:
                waiting[id(command)] = place
        try:
            while True:
                for command, response in self._connection.responses():
                    index = waiting.pop(id(command), None)
                    if index is not None:  # or it is the late response to a command that was given up
                        responses[index] = response
                if len(responses) == len(batch):
                    return [responses[index] for index in range(len(batch))]
                self._move(connected, outgoing, deadline, what)
        except BaseException:
            # The rest of a command that was cut in two, or of an answer, would garble the next one.
            if outgoing or not self._connection.is_open:
                self._lose(connected)
            raise

    def _move(self, connected: socket.socket, outgoing: bytearray, deadline: float, what: str) -> None:
        """Send and receive what the socket allows, once."""
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
            raise PandaTimeoutError(f"{self._address} is busy with another thread: no time for {what}")
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
