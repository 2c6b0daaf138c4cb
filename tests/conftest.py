"""Fixtures that all tests share.

Channel Access reads its addresses once in a process, so the ports of all IOCs that a test process may start
are chosen here, before any client is imported.
"""

import asyncio
import itertools
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from panda_ioc.simulator import Server, load

from .replay import replaying

# A shell that starts the tests in the background lets them ignore SIGINT, and so all processes, which tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The duration of an example depends on the load of the machine.
hypothesis.settings.register_profile("panda-ioc", deadline=None)
hypothesis.settings.load_profile("panda-ioc")

#: Recordings of a real server. They are not part of the project; tests that need them are skipped without them.
SHARED = Path(__file__).resolve().parents[2] / "shared"

#: More ports than a test process has IOCs at the same time, so that a port is not reused soon.
_CA_PORTS = 90


#: Ports below the ephemeral range.
_FIRST, _COUNT = 10000, 22000


def _ports_of_this_process() -> Iterator[int]:
    """Yield the ports of this process repeatedly: no other process of this test run uses them.

    Test runs begin at different ports, as several may run at the same time.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = _COUNT // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    begin = os.getpid() * 250 % size
    for offset in itertools.cycle(range(size)):
        yield _FIRST + worker * size + (begin + offset) % size


_candidates = _ports_of_this_process()


def free_port() -> int:
    """Return a port that is free and that this process has not used before."""
    for port in _candidates:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError  # the iterator is infinite


_ports = [free_port() for _ in range(_CA_PORTS)]
os.environ.update(
    EPICS_CA_ADDR_LIST=" ".join(f"127.0.0.1:{port}" for port in _ports),
    EPICS_CA_AUTO_ADDR_LIST="NO",
    EPICS_CA_MAX_SEARCH_PERIOD="60",
)


async def until(condition: Callable[[], bool], timeout: float = 10) -> None:
    """Wait for a condition by polling it."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest.fixture(scope="session")
def ca_ports() -> Iterator[int]:
    """Ports for IOCs, in which the Channel Access clients of this process search."""
    return itertools.cycle(_ports)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The recordings."""
    if not SHARED.is_dir():
        pytest.skip("there are no recordings of a real server here")
    return SHARED


@pytest.fixture(scope="module")
async def replay_port(shared: Path) -> AsyncIterator[int]:
    """A replay server with a recording of a real PandABox."""
    async with replaying(shared, free_port(), free_port()) as port:
        yield port


@pytest.fixture
async def panda() -> AsyncIterator[Server]:
    """A simulated PandA in this event loop, on a separate port."""
    async with Server(load(), control_port=0, data_port=0) as server:
        yield server


class Hostile:
    """A server that is not a PandA: it sends some bytes to each client, then behaves as configured.

    The lines that it receives afterwards are in `heard`.
    """

    def __init__(self, says: bytes, *, after: bytes = b"", then: str = "wait") -> None:
        self.says, self.after, self.then = says, after, then
        self.port = 0
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> "Hostile":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended: Exception | None = None
        try:
            if self.after:
                await reader.readuntil(self.after)
            writer.write(self.says)
            await writer.drain()
            if self.then == "wait":
                async for line in reader:
                    self.heard.put_nowait(line)
            elif self.then == "flood":
                while True:
                    writer.write(self.says)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            ended = error
        finally:
            writer.close()
            if not self.lost.done():
                self.lost.set_result(ended)


@pytest.fixture
async def deaf_port() -> AsyncIterator[int]:
    """The port of a server that never reads, so that sent data accumulate."""
    over = asyncio.Event()

    async def ignore(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()
        writer.transport.abort()

    async with await asyncio.start_server(ignore, "127.0.0.1", 0, limit=1024) as server:
        yield server.sockets[0].getsockname()[1]
        over.set()
