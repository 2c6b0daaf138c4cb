"""The blocking client over real sockets, also shared between threads."""

import asyncio
import selectors
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from panda_ioc.client import BlockingClient, PandaConnectionError, PandaTimeoutError
from panda_ioc.protocol import (
    Command,
    CommandError,
    Get,
    GetFieldInfo,
    GetLine,
    Identify,
    LocalProtocolError,
    Put,
    PutTable,
    RemoteProtocolError,
    Request,
)
from panda_ioc.protocol.exchange import Conversation
from panda_ioc.simulator import Server

from ..conftest import Hostile, free_port

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run a blocking function in a thread, because the server needs the event loop."""
    return await asyncio.wait_for(asyncio.to_thread(work), 30)


async def test_commands(panda: Server) -> None:
    def work() -> None:
        with BlockingClient("127.0.0.1", panda.control_port) as client:
            client.send(Put("PULSE1.PULSES", "7"))
            assert client.send(GetLine("PULSE1.PULSES")) == "7"
            assert client.send([Get("*CLOCK_FREQ"), Get("PULSE2.PULSES")]) == [b"125000000", b"0"]
            assert client.send([]) == []
            assert "TABLE" in client.send(GetFieldInfo("SEQ"))

    await in_thread(work)


async def test_errors_of_several_commands_come_when_all_are_answered(panda: Server) -> None:
    def work() -> None:
        with BlockingClient("127.0.0.1", panda.control_port) as client:
            with pytest.raises(CommandError, match="No such block"):
                client.send([Put("NOPE.X", "1"), Put("PULSE1.PULSES", "5")])
            with pytest.raises(LocalProtocolError):
                client.send([Put("PULSE1.PULSES", "1\n"), Put("PULSE1.PULSES", "6")])
            assert client.send(GetLine("PULSE1.PULSES")) == "6"

    await in_thread(work)


async def test_a_mistake_in_a_list_keeps_the_connection_in_step(panda: Server) -> None:
    @dataclass(frozen=True)
    class Late(Command[None]):
        def conversation(self) -> Conversation[None]:
            yield [Request("*IDN?")]
            raise ZeroDivisionError("a mistake")

    def work() -> None:
        with BlockingClient("127.0.0.1", panda.control_port, timeout=2) as client:
            wrong: list[tuple[Any, type[Exception]]] = [
                (Put("PULSE1.PULSES", object()), LocalProtocolError),  # type: ignore[arg-type]
                (PutTable("SEQ1.TABLE", "words"), LocalProtocolError),
                (Get(5), LocalProtocolError),  # type: ignore[arg-type]
                (5, AttributeError),
                (Late(), ZeroDivisionError),
            ]
            for number, (command, error) in enumerate(wrong, 1):
                with pytest.raises(error):
                    client.send([GetLine("*IDN"), command, Put("PULSE1.PULSES", number)])
                assert client.send([GetLine("PULSE1.PULSES"), GetLine("*CLOCK_FREQ")]) == [str(number), "125000000"]

    await in_thread(work)


async def test_any_iterable_of_commands(panda: Server) -> None:
    def work() -> None:
        with BlockingClient("127.0.0.1", panda.control_port) as client:
            assert client.send(GetLine(f"PULSE{number}.PULSES") for number in (1, 2)) == ["0", "0"]

    await in_thread(work)


async def test_an_interrupted_wait_does_not_garble_what_follows(panda: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        with BlockingClient("127.0.0.1", panda.control_port, timeout=2) as client:
            client.send(Identify())
            with monkeypatch.context() as patch:
                patch.setattr(selectors, "DefaultSelector", interrupt)
                with pytest.raises(KeyboardInterrupt):
                    client.send(GetLine("*CLOCK_FREQ"))
            client.connect()
            assert client.send(GetLine("PULSE1.PULSES")) == "0"

    def interrupt() -> None:
        raise KeyboardInterrupt

    await in_thread(work)


async def test_more_than_the_sockets_hold(panda: Server) -> None:
    def work() -> None:
        with BlockingClient("127.0.0.1", panda.control_port) as client:
            answers = client.send([GetLine("*ECHO " + "x" * 240) for _ in range(60000)], timeout=60)
            assert len(answers) == 60000
            client.send(PutTable("SEQ1.TABLE", range(1048576)), timeout=60)
            assert len(client.send(Get("SEQ1.TABLE.B"), timeout=60)) == 87382

    await asyncio.wait_for(asyncio.to_thread(work), 90)


async def test_threads_share_a_client(panda: Server) -> None:
    def work() -> None:
        with BlockingClient("127.0.0.1", panda.control_port) as client, ThreadPoolExecutor(8) as pool:
            texts = [f"thread {number}" for number in range(400)]
            assert list(pool.map(lambda text: client.send(GetLine(f"*ECHO {text}")), texts)) == texts

    await in_thread(work)


async def test_a_thread_that_waits_its_turn_has_its_own_limit() -> None:
    async with Hostile(b"") as server:

        def work() -> None:
            with BlockingClient("127.0.0.1", server.port) as client:
                begun = threading.Event()

                def hold() -> None:
                    begun.set()
                    with pytest.raises(PandaTimeoutError):
                        client.send(Identify(), timeout=1)

                holding = threading.Thread(target=hold)
                holding.start()
                begun.wait(5)
                with pytest.raises(PandaTimeoutError):
                    client.send(Identify(), timeout=0.1)
                holding.join(5)

        await in_thread(work)


async def test_a_late_answer_is_not_taken_for_the_next() -> None:
    async with Hostile(b"OK =first\nOK =second\n", after=b"A.B?\n") as server:

        def work() -> None:
            with BlockingClient("127.0.0.1", server.port) as client:
                with pytest.raises(PandaTimeoutError, match=r"did not answer GetLine\(field='A.A'\) in time"):
                    client.send(GetLine("A.A"), timeout=0.1)
                assert client.send(GetLine("A.B")) == "second"

        await in_thread(work)


async def test_a_server_that_does_not_read_what_we_send(deaf_port: int) -> None:
    def work() -> None:
        with BlockingClient("127.0.0.1", deaf_port) as client:
            with pytest.raises(PandaTimeoutError):
                client.send([GetLine("*ECHO " + "x" * 240) for _ in range(20000)], timeout=0.5)
            with pytest.raises(PandaConnectionError, match="not connected"):
                client.send(Identify())

    await in_thread(work)


async def test_closing_while_another_thread_cannot_send_all(deaf_port: int) -> None:
    def work() -> None:
        client = BlockingClient("127.0.0.1", deaf_port)
        client.connect()
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(client.send, PutTable("SEQ1.TABLE", range(2000000)), timeout=60)
            while not sending.running():
                pass
            client.close()
            with pytest.raises(PandaConnectionError):
                sending.result(10)

    await in_thread(work)


@pytest.mark.parametrize(
    ("says", "then", "error", "named"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "wait", RemoteProtocolError, "HTTP/1.1 400"),
        (b"x" * 100000, "wait", RemoteProtocolError, "line longer than 65536 bytes"),
        (b"OK", "close", PandaConnectionError, "the server closed the connection"),
    ],
)
async def test_servers_that_are_no_panda(says: bytes, then: str, error: type[Exception], named: str) -> None:
    async with Hostile(says, after=b"\n", then=then) as server:

        def work() -> None:
            with BlockingClient("127.0.0.1", server.port) as client:
                with pytest.raises(error, match=named):
                    client.send(Identify())
                with pytest.raises(PandaConnectionError, match="not connected"):
                    client.send(Identify())
                client.connect()  # and the client can be used again

        await in_thread(work)


async def test_nobody_there() -> None:
    def work() -> None:
        with pytest.raises(PandaConnectionError, match="Connection refused"):
            BlockingClient("127.0.0.1", free_port()).connect()
        with pytest.raises(PandaConnectionError, match="Name or service not known"):
            BlockingClient("no.such.host.invalid").connect()

    await in_thread(work)


async def test_the_connection_ends_in_an_orderly_way() -> None:
    async with Hostile(b"OK =" + b"x" * 60000 + b"\n") as server:

        def work() -> None:
            client = BlockingClient("127.0.0.1", server.port)
            client.connect()
            client.close()
            client.close()

        await in_thread(work)
        assert await asyncio.wait_for(server.lost, 5) is None
