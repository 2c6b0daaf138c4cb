"""A small HTTP server for probes and metrics: pages without arguments, one request a connection.

It runs in a thread of its own, so that it answers also while the event loop of the IOC is stuck. Each connection has
some seconds in all, however slowly its bytes come. There are so many at once; when one more comes, that which has been
there longest goes. A probe sends its request at once, so it is served whoever else is there: connections are read as
soon as they are accepted, few are accepted before those that are here are read again, and one costs little.
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

#: Seconds that a connection has for everything.
_REQUEST_TIMEOUT = 5.0

#: Connections at once.
MOST_CONNECTIONS = 64

#: Connections that may wait to be accepted: clients that come again and again must not crowd out a probe.
_BACKLOG = 4096

#: Connections that are accepted before those that are here are looked at again.
_AT_ONCE = 8

#: Seconds until the next try when no connection can be accepted, as no file descriptor is left.
_ACCEPT_PAUSE = 0.1

#: Bytes of a request.
_LONGEST_REQUEST = 1 << 14

#: Seconds that the end may take.
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
    """What is answered: a status, and a content of some type."""

    status: int
    content: bytes
    content_type: str = _TEXT


@dataclass(eq=False)
class _Connection:
    """A client: its socket, until when it may be there, what it sent, and what is to be sent to it."""

    socket: socket.socket
    until: float
    received: bytearray = field(default_factory=bytearray)
    unsent: memoryview | None = None


class HttpServer:
    """Serves pages until it is stopped.

    Args:
        host, port: where to listen; port 0 for any
        pages: what makes the answer, by path; called in the server's thread

    Attributes:
        port: where it listens

    Raises:
        OSError: it cannot listen there
    """

    def __init__(self, host: str, port: int, pages: Mapping[str, Callable[[], Answer]]) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._listening.settimeout(0)
        self.port: int = self._listening.getsockname()[1]
        self._pages = pages
        #: In the order in which they came.
        self._connections: dict[_Connection, None] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._stopping, self._stopped = socket.socketpair()
        self._selector.register(self._stopped, selectors.EVENT_READ)
        self._trouble = Repeated(log.warning)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Serve no more."""
        self._stopping.close()
        self._thread.join(_STOP_TIMEOUT)

    def _run(self) -> None:
        with self._listening, self._stopped, self._selector:
            while self._turn():
                pass
            for connection in list(self._connections):
                self._close(connection)

    def _turn(self) -> bool:
        """Do all that can be done now; return whether to go on."""
        ready = [key for key, _ in self._selector.select(self._patience())]
        for key in ready:
            if key.data in self._connections:
                self._go_on(key.data)
        now = time.monotonic()
        while self._connections and (oldest := next(iter(self._connections))).until <= now:
            self._close(oldest)
        files = [key.fileobj for key in ready]
        if self._listening in files:
            self._accept()
        return self._stopped not in files

    def _patience(self) -> float | None:
        """Seconds until the first connection has had its time."""
        if not self._connections:
            return None
        return max(0.0, next(iter(self._connections)).until - time.monotonic())

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._trouble.tell(f"HTTP: cannot accept a connection: {error.strerror}")
                time.sleep(_ACCEPT_PAUSE)
                return
            if len(self._connections) >= MOST_CONNECTIONS:
                self._close(next(iter(self._connections)))
            accepted.settimeout(0)
            connection = _Connection(accepted, time.monotonic() + _REQUEST_TIMEOUT)
            self._connections[connection] = None
            self._selector.register(accepted, selectors.EVENT_READ, connection)
            self._go_on(connection)

    def _close(self, connection: _Connection) -> None:
        del self._connections[connection]
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _go_on(self, connection: _Connection) -> None:
        """Receive and send what is possible without waiting. Clients may go away as they like."""
        try:
            if connection.unsent:
                self._send(connection, connection.unsent)
                return
            received = connection.socket.recv(_LONGEST_REQUEST)
            if not received:  # after an answer, this is waited for, or what was sent could be lost
                self._close(connection)
            elif connection.unsent is None:
                connection.received += received
                if b"\r\n\r\n" in connection.received or len(connection.received) >= _LONGEST_REQUEST:
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
        except Exception as error:  # noqa: BLE001 - a page that fails is no reason to end the server
            self._trouble.tell(f"HTTP: {path} failed: {error!r}")
            answer = Answer(500, b"the page failed: the log has the reason\n")
        lines = (
            f"HTTP/1.0 {answer.status} {_REASONS[answer.status]}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(answer.content)}\r\nConnection: close\r\n\r\n"
        )
        return lines.encode() + (b"" if method == "HEAD" else answer.content)

    def _answer_to(self, method: str, path: str) -> Answer:
        if not method:
            return Answer(400, b"this is no HTTP request, or too long a one\n")
        if method not in {"GET", "HEAD"}:
            return Answer(405, b"only GET and HEAD are served\n")
        page = self._pages.get(path.partition("?")[0])
        if page is None:
            return Answer(404, f"there are {', '.join(self._pages)}\n".encode())
        return page()


def _parsed(request: bytes) -> tuple[str, str]:
    """The method and the path of a request; both empty if it is none."""
    match request.partition(b"\r\n")[0].decode("latin-1").split(" "):
        case [method, path, version] if version.startswith("HTTP/1."):
            return method, path
    return "", ""
