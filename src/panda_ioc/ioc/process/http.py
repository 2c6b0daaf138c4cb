"""A small HTTP server for probes and metrics: pages without arguments, one request per connection.

It runs in a separate thread, so it responds also while the event loop of the IOC is stuck. Each connection has a time
limit for request and response together. The number of connections is limited; a new one replaces the oldest. A probe
sends its request immediately, so slow clients cannot displace it: the server reads a connection as soon as it has
accepted it, and accepts only a few connections between reads.
"""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..log import Repeated

log = logging.getLogger(__name__)

#: Time limit of a connection, in s.
_REQUEST_TIMEOUT = 5.0

#: Maximum number of open connections.
MAX_CONNECTIONS = 64

#: Backlog of the listening socket; large, so that clients that reconnect continuously cannot displace a probe.
_BACKLOG = 4096

#: Number of connections that are accepted between reads.
_ACCEPTS = 8

#: Pause after a failed accept, which means that there is no free file descriptor, in s.
_ACCEPT_PAUSE = 0.1

#: Maximum size of a request in bytes.
_MAX_REQUEST = 1 << 14

#: Time limit for the end of the thread, in s.
_STOP_TIMEOUT = 2.0

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    content: bytes
    content_type: str = _TEXT


@dataclass(eq=False)
class _Connection:
    """A connection to a client.

    Attributes:
        socket: the socket
        until: the deadline, in s of `time.monotonic`
        received: the received bytes
        unsent: the rest of the response; None before the response
    """

    socket: socket.socket
    until: float
    received: bytearray = field(default_factory=bytearray)
    unsent: memoryview | None = None


class HttpServer:
    """An HTTP server, which runs until `stop`.

    Args:
        host: address to listen on
        port: TCP port to listen on, 0 for any free port
        pages: functions that return the response, by path; called in the thread of the server

    Attributes:
        port: TCP port of the server

    Raises:
        OSError: the server cannot listen on this address and port
    """

    def __init__(self, host: str, port: int, pages: Mapping[str, Callable[[], Answer]]) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._listening.settimeout(0)
        self.port: int = self._listening.getsockname()[1]
        self._pages = pages
        #: Oldest first.
        self._connections: dict[_Connection, None] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._stopping, self._stopped = socket.socketpair()
        self._selector.register(self._stopped, selectors.EVENT_READ)
        self._warning = Repeated(log.warning)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the server."""
        self._stopping.close()
        self._thread.join(_STOP_TIMEOUT)

    def _run(self) -> None:
        with self._listening, self._stopped, self._selector:
            while self._turn():
                pass
            for connection in list(self._connections):
                self._close(connection)

    def _turn(self) -> bool:
        """Process all sockets that are ready; return whether to continue."""
        ready = [key for key, _ in self._selector.select(self._time_left())]
        for key in ready:
            if key.data in self._connections:
                self._process(key.data)
        now = time.monotonic()
        while self._connections and (oldest := next(iter(self._connections))).until <= now:
            self._close(oldest)
        files = [key.fileobj for key in ready]
        if self._listening in files:
            self._accept()
        return self._stopped not in files

    def _time_left(self) -> float | None:
        """Return the time until the next deadline of a connection in s, or None."""
        if not self._connections:
            return None
        return max(0.0, next(iter(self._connections)).until - time.monotonic())

    def _accept(self) -> None:
        for _ in range(_ACCEPTS):
            try:
                accepted, _ = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._warning.tell(f"HTTP: cannot accept a connection: {error.strerror}")
                time.sleep(_ACCEPT_PAUSE)
                return
            if len(self._connections) >= MAX_CONNECTIONS:
                self._close(next(iter(self._connections)))
            accepted.settimeout(0)
            connection = _Connection(accepted, time.monotonic() + _REQUEST_TIMEOUT)
            self._connections[connection] = None
            self._selector.register(accepted, selectors.EVENT_READ, connection)
            self._process(connection)

    def _close(self, connection: _Connection) -> None:
        del self._connections[connection]
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _process(self, connection: _Connection) -> None:
        """Receive or send without blocking; close the connection on errors."""
        try:
            if connection.unsent:
                self._send(connection, connection.unsent)
                return
            received = connection.socket.recv(_MAX_REQUEST)
            if not received:  # closing only now ensures that the client gets the whole response
                self._close(connection)
            elif connection.unsent is None:
                connection.received += received
                if b"\r\n\r\n" in connection.received or len(connection.received) >= _MAX_REQUEST:
                    self._send(connection, memoryview(self._answer(bytes(connection.received))))
        except BlockingIOError:
            pass
        except OSError:
            self._close(connection)

    def _send(self, connection: _Connection, answer: memoryview) -> None:
        connection.unsent = answer
        connection.unsent = answer[connection.socket.send(answer) :]
        if connection.unsent:
            self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)
        else:
            connection.socket.shutdown(socket.SHUT_WR)
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)

    def _answer(self, request: bytes) -> bytes:
        head, end, _ = request.partition(b"\r\n\r\n")
        method, path = _parsed(head if end else b"")
        try:
            answer = self._answer_to(method, path)
        except Exception as error:  # noqa: BLE001 - a page that fails must not end the server
            self._warning.tell(f"HTTP: {path} failed: {error!r}")
            answer = Answer(500, b"internal error: see the log of the IOC\n")
        lines = (
            f"HTTP/1.0 {answer.status} {_REASONS[answer.status]}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(answer.content)}\r\nConnection: close\r\n\r\n"
        )
        return lines.encode() + (b"" if method == "HEAD" else answer.content)

    def _answer_to(self, method: str, path: str) -> Answer:
        if not method:
            return Answer(400, b"invalid or too long HTTP request\n")
        if method not in {"GET", "HEAD"}:
            return Answer(405, b"only GET and HEAD are supported\n")
        page = self._pages.get(path.partition("?")[0])
        if page is None:
            return Answer(404, f"unknown page: use {', '.join(self._pages)}\n".encode())
        return page()


def _parsed(request: bytes) -> tuple[str, str]:
    """Return the method and the path of a request; both are empty if the request is invalid."""
    match request.partition(b"\r\n")[0].decode("latin-1").split(" "):
        case [method, path, version] if version.startswith("HTTP/1."):
            return method, path
    return "", ""
