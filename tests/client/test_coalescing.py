"""Large reads of a fast stream: few reads, and no byte is left in the kernel when the stream slows down or ends."""

import asyncio
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing, contextmanager

import pytest

from panda_ioc.client import AsyncioClient, BlockingClient, PandaConnectionError, PandaTimeoutError
from panda_ioc.client.coalescing import Coalescing
from panda_ioc.client.common import CLOSE_TIMEOUT
from panda_ioc.protocol import Data, EndData, FrameData

from .. import samples

pytestmark = pytest.mark.skipif("sys.platform != 'linux'", reason="needs SO_RCVLOWAT of Linux")

#: Frames of 280 kB, 28 MB in all: far more than the kernel holds.
ROWS, FRAMES = 10_000, 100
FAST = samples.frame(samples.rows(ROWS)) * FRAMES


@contextmanager
def data_port(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A data port that serves one client with a function, in a thread; return its port."""

    def run() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"OK\n" + samples.HEADER)
            serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def switched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The thresholds that the client sets, in order."""
    values: list[int] = []
    original = Coalescing._set

    def record(self: Coalescing, count: int) -> None:
        values.append(count)
        original(self, count)

    monkeypatch.setattr(Coalescing, "_set", record)
    return values


async def by_asyncio(port: int, use: Callable[[Data], bool], timeout: float | None) -> None:
    async with aclosing(AsyncioClient("127.0.0.1", 1, port).data(False, timeout=timeout)) as data:
        async for event in data:
            if use(event):
                return


async def by_blocking(port: int, use: Callable[[Data], bool], timeout: float | None) -> None:
    def work() -> None:
        with closing(BlockingClient("127.0.0.1", 1, port).data(False, timeout=timeout)) as data:
            for event in data:
                if use(event):
                    return

    await asyncio.to_thread(work)


CLIENTS = pytest.mark.parametrize("read", [by_asyncio, by_blocking])
Read = Callable[[int, Callable[[Data], bool], float | None], "asyncio.Future[None]"]


@CLIENTS
async def test_the_last_samples_of_a_fast_stream_arrive_although_it_stays_open(read: Read, switched: list[int]) -> None:
    """Then single frames arrive one by one, each before the next one is sent."""
    received = 0
    asked = threading.Semaphore(0)

    def serve(connection: socket.socket) -> None:
        connection.sendall(FAST)
        for number in range(5):
            assert asked.acquire(timeout=10)
            connection.sendall(samples.frame(samples.rows(1, number)))
        assert asked.acquire(timeout=10)
        connection.sendall(b"END 1000005 Ok\n")
        connection.recv(1)

    def use(event: Data) -> bool:
        nonlocal received
        if isinstance(event, FrameData):
            received += len(event.data)
            if received >= ROWS * FRAMES:
                asked.release()
        return isinstance(event, EndData)

    with data_port(serve) as port:
        async with asyncio.timeout(20):
            await read(port, use, None)
    assert received == ROWS * FRAMES + 5
    assert switched[:2] == [1 << 22, 1 << 19]
    assert switched[-1] == 1


@CLIENTS
async def test_the_end_of_the_stream_ends_the_wait(read: Read) -> None:
    received = 0

    def use(event: Data) -> bool:
        nonlocal received
        received += len(event.data) if isinstance(event, FrameData) else 0
        return False

    with data_port(lambda connection: connection.sendall(FAST)) as port:
        with pytest.raises(PandaConnectionError, match="during an acquisition"):
            async with asyncio.timeout(20):
                await read(port, use, None)
    assert received == ROWS * FRAMES


@CLIENTS
async def test_silence_after_a_fast_stream_is_a_timeout(read: Read, switched: list[int]) -> None:
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.sendall(FAST)
        over.wait(10)

    with data_port(serve) as port:
        try:
            with pytest.raises(PandaTimeoutError, match=r"sent nothing for 0.2 s"):
                async with asyncio.timeout(20):
                    await read(port, lambda _: False, 0.2)
        finally:
            over.set()
    assert switched[-1] == 1


def test_a_slow_stream_is_read_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as connected:

        def threshold() -> int:
            return connected.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)

        connected.connect(listening.getsockname())
        coalescing = Coalescing(connected)
        assert not coalescing.received(100_000)
        assert threshold() == 1
        assert coalescing.received(200_000)
        assert not coalescing.received(300_000)
        assert threshold() == 1 << 19
        coalescing.stop()
        assert threshold() == 1


def test_a_system_without_the_option_has_small_reads() -> None:
    class Refusing:
        def setsockopt(self, level: int, option: int, value: int, /) -> None:
            raise OSError(92, "Protocol not available")

    coalescing = Coalescing(Refusing())
    assert not coalescing.received(1 << 20)
    assert not coalescing.active
    coalescing.stop()


@CLIENTS
async def test_closing_during_a_fast_stream_does_not_reset_the_connection(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server notices the close late: what it still sends is less than the client waits for while it reads fast."""
    monkeypatch.setattr(Coalescing, "PERIOD", 5.0)  # still active when the client closes
    over = threading.Event()
    received = 0
    errors: list[int] = []

    def serve(connection: socket.socket) -> None:
        connection.sendall(FAST)
        assert not connection.recv(1)  # the client has closed its side
        connection.sendall(FAST[:100_000])
        poll = select.poll()
        poll.register(connection, 0)  # reports errors only
        poll.poll((CLOSE_TIMEOUT + 0.5) * 1000)
        errors.append(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        over.set()

    def use(event: Data) -> bool:
        nonlocal received
        received += len(event.data) if isinstance(event, FrameData) else 0
        return received > ROWS * FRAMES / 10

    with data_port(serve) as port:
        async with asyncio.timeout(20):
            await read(port, use, None)
            await asyncio.to_thread(over.wait, 5)
    assert errors == [0]
