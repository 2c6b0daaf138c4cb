"""A small HTTP server for probes and metrics: pages without arguments, one request a connection.

It runs in a thread and an event loop of its own, so that it answers also while that of the IOC is stuck. Each
connection has some seconds in all, however slowly its bytes come. There are so many at once; when one more comes, that
which has waited longest for its request goes: a probe sends its request at once, so it is served whoever else is there.
"""

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..log import Repeated

log = logging.getLogger(__name__)

#: Seconds that a connection has for everything.
_REQUEST_TIMEOUT = 5.0

#: Connections at once.
MOST_CONNECTIONS = 64

#: Connections that may wait to be accepted: clients that come again and again must not crowd out a probe.
_BACKLOG = 4096

#: Seconds until the next try when no connection can be accepted, as no file descriptor is left.
_ACCEPT_PAUSE = 0.1

#: Bytes of a request.
_LONGEST_REQUEST = 1 << 14

#: Seconds that the end may take.
_STOP_TIMEOUT = 2.0

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}

_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What is answered: a status, and a content of some type."""

    status: int
    content: bytes
    content_type: str = _TEXT


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
        #: Connections, in the order in which they came.
        self._connections: dict[asyncio.Task[None], None] = {}
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._trouble = Repeated(log.warning)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Serve no more."""
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(_STOP_TIMEOUT)

    def _run(self) -> None:
        self._loop.set_exception_handler(self._on_trouble)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    def _on_trouble(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """Tell of an error that nobody waits for, such as that no descriptor is left to accept a connection."""
        self._trouble.tell(f"HTTP: {context.get('message')}: {context.get('exception', '')}")

    async def _serve(self) -> None:
        with self._listening:
            accepting = asyncio.create_task(self._accept())
            await self._over.wait()
            tasks = (accepting, *self._connections)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _accept(self) -> None:
        """Accept connections one by one: between two, each that is here can be served."""
        while True:
            try:
                connection, _ = await self._loop.sock_accept(self._listening)
            except OSError as error:
                self._trouble.tell(f"HTTP: cannot accept a connection: {error.strerror}")
                await asyncio.sleep(_ACCEPT_PAUSE)
                continue
            if len(self._connections) >= MOST_CONNECTIONS:
                oldest = next(iter(self._connections))
                oldest.cancel()
                del self._connections[oldest]
            task = asyncio.create_task(self._talk(connection))
            self._connections[task] = None
            task.add_done_callback(lambda task: self._connections.pop(task, None))
            await asyncio.sleep(0)

    async def _talk(self, connection: socket.socket) -> None:
        # Clients may go away, or be too slow, as they like.
        with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(_REQUEST_TIMEOUT):
                reader, writer = await asyncio.open_connection(sock=connection, limit=_LONGEST_REQUEST)
                try:
                    await self._answer(reader, writer)
                finally:
                    writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        except asyncio.LimitOverrunError:
            request = b""
        method, path = _parsed(request)
        answer = self._answer_to(method, path)
        head = (
            f"HTTP/1.0 {answer.status} {_REASONS[answer.status]}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(answer.content)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + (b"" if method == "HEAD" else answer.content))
        writer.write_eof()
        await writer.drain()
        await reader.read()  # until the client has closed its side, or what we sent could be lost

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
