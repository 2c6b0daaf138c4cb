"""The asyncio client over real sockets: with the simulated PandA, and with servers that are not PandAs."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from panda_ioc.client import AsyncioClient, PandaConnectionError, PandaTimeoutError
from panda_ioc.protocol import (
    Command,
    CommandError,
    Get,
    GetBlockInfo,
    GetChanges,
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


def client_of(server: Server | Hostile, timeout: float = 5.0) -> AsyncioClient:
    port = server.control_port if isinstance(server, Server) else server.port
    return AsyncioClient("127.0.0.1", port, timeout=timeout)


async def test_commands(panda: Server) -> None:
    async with client_of(panda) as client:
        assert client.connected
        await client.send(Put("PULSE1.PULSES", "7"))
        assert await client.send(Get("PULSE1.PULSES")) == b"7"
        with pytest.raises(CommandError, match="No such block"):
            await client.send(Get("NOPE.X"))
        with pytest.raises(LocalProtocolError):
            await client.send(Put("PULSE1.PULSES", "1\n2"))
    assert not client.connected


async def test_all_at_once(panda: Server) -> None:
    async with client_of(panda) as client:
        blocks = await client.send(GetBlockInfo())
        fields, changes = await asyncio.gather(
            asyncio.gather(*(client.send(GetFieldInfo(block)) for block in blocks)), client.send(GetChanges())
        )
    assert "TABLE" in fields[list(blocks).index("SEQ")]
    assert len(changes.values) > 900


async def test_the_same_command_twice_at_once(panda: Server) -> None:
    async with client_of(panda) as client:
        command = GetLine("*CLOCK_FREQ")
        assert await asyncio.gather(*(client.send(command) for _ in range(50))) == ["125000000"] * 50


async def test_a_mistake_in_a_command_is_raised_where_it_is_awaited(panda: Server) -> None:
    class Late(Command[None]):
        def conversation(self) -> Conversation[None]:
            yield [Request("*IDN?")]
            raise ZeroDivisionError("a mistake")

    async with client_of(panda) as client:
        line, failed, number = await asyncio.gather(
            client.send(GetLine("*CLOCK_FREQ")),
            client.send(Late()),
            client.send(GetLine("PULSE1.PULSES")),
            return_exceptions=True,
        )
        assert (line, number) == ("125000000", "0")
        assert isinstance(failed, ZeroDivisionError)
        assert client.connected


async def test_a_full_table_there_and_back(panda: Server) -> None:
    async with client_of(panda) as client:
        await client.send(PutTable("SEQ1.TABLE", range(1048576)), timeout=60)
        lines = await client.send(Get("SEQ1.TABLE"), timeout=60)
    assert len(lines) == 1048576
    assert lines[-1] == b"1048575"


async def test_a_cancelled_command_harms_no_other(panda: Server) -> None:
    async with client_of(panda) as client:
        tasks = [asyncio.create_task(client.send(GetFieldInfo("SEQ"))) for _ in range(9)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False] * 4 + [True]
        assert all("TABLE" in result for result in results[1::2] if isinstance(result, dict))
        assert await client.send(GetLine("*CLOCK_FREQ")) == "125000000"


async def test_commands_under_way_fail_when_the_server_goes() -> None:
    async with Hostile(b"OK =1\n", after=b"\n", then="close") as server, client_of(server) as client:
        tasks = [asyncio.create_task(client.send(GetLine(f"A.B{number}"))) for number in range(3)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert results[0] == "1"
        assert [type(result) for result in results[1:]] == [PandaConnectionError] * 2
        assert await client.wait_lost() == "the server closed the connection"
        with pytest.raises(PandaConnectionError, match="not connected"):
            await client.send(GetLine("A.B"))


async def test_commands_under_way_fail_when_we_close() -> None:
    async with Hostile(b"") as server, client_of(server) as client:
        task = asyncio.create_task(client.send(GetLine("A.B")))
        await asyncio.sleep(0)
        await client.close()
        with pytest.raises(PandaConnectionError):
            await task


async def test_a_silent_server() -> None:
    async with Hostile(b"") as server, client_of(server, timeout=0.1) as client:
        with pytest.raises(PandaTimeoutError, match=r"did not answer Identify\(\) within 0.1 s"):
            await client.send(Identify())
        with pytest.raises(TimeoutError, match="within 0.05 s"):
            await client.send(GetLine("A.B"), timeout=0.05)


async def test_a_late_answer_is_not_taken_for_the_next() -> None:
    async with Hostile(b"OK =first\nOK =second\n", after=b"A.B?\n") as server, client_of(server) as client:
        with pytest.raises(PandaTimeoutError):
            await client.send(GetLine("A.A"), timeout=0.05)
        assert await client.send(GetLine("A.B")) == "second"


@pytest.mark.parametrize(
    ("says", "named"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP/1.1 400"),
        (b"\x00\xff\xfe\n", "xff"),
        (b"OK =an oven\n", "'an oven': this is not a PandA"),
    ],
)
async def test_a_server_that_is_no_panda(says: bytes, named: str) -> None:
    async with Hostile(says, after=b"\n") as server, client_of(server) as client:
        with pytest.raises(RemoteProtocolError) as caught:
            await client.send(Identify())
        assert named in str(caught.value)


async def test_a_server_that_floods() -> None:
    async with Hostile(b"x" * 65536, after=b"\n", then="flood") as server, client_of(server) as client:
        with pytest.raises(RemoteProtocolError, match="line longer than 65536 bytes"):
            await client.send(Identify())
        assert not client.connected


async def test_nobody_there() -> None:
    with pytest.raises(PandaConnectionError, match="Connection refused"):
        await AsyncioClient("127.0.0.1", free_port()).connect()
    with pytest.raises(PandaConnectionError, match=r"cannot connect to no\.such\.host\.invalid:8888"):
        await AsyncioClient("no.such.host.invalid").connect()
    with pytest.raises(PandaConnectionError, match="not connected"):
        await AsyncioClient("127.0.0.1").send(Identify())


async def test_the_connection_ends_in_an_orderly_way() -> None:
    """A reset can kill a real server; unread data at close would cause one."""
    async with Hostile(b"OK =" + b"x" * 60000 + b"\n") as server:
        client = client_of(server)
        await client.connect()
        await client.close()
        assert await asyncio.wait_for(server.lost, 5) is None


async def test_closing_does_not_wait_for_a_server_that_reads_nothing(deaf_port: int) -> None:
    client = AsyncioClient("127.0.0.1", deaf_port)
    await client.connect()
    sending = asyncio.create_task(client.send(PutTable("SEQ1.TABLE", range(2000000)), timeout=60))
    await asyncio.sleep(0)
    await asyncio.wait_for(client.close(), 10)
    with pytest.raises(PandaConnectionError):
        await asyncio.wait_for(sending, 10)


async def test_the_recording(replay_port: int) -> None:
    async with AsyncioClient("127.0.0.1", replay_port) as client:
        blocks = await client.send(GetBlockInfo())
        fields = await asyncio.gather(*(client.send(GetFieldInfo(block)) for block in blocks))
        changes = await client.send(GetChanges())
    assert sum(map(len, fields)) > 200
    assert len(changes.values) > 1000


async def test_a_cancelled_connect_does_not_make_the_next_one_fail(
    panda: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, answer, find = threading.Event(), threading.Event(), socket.getaddrinfo

    def slow(*arguments: Any) -> Any:
        begun.set()
        answer.wait(10)
        return find(*arguments)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    client = client_of(panda)
    first = asyncio.create_task(client.connect())
    await asyncio.to_thread(begun.wait, 5)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(client.connect())
    await asyncio.sleep(0)
    answer.set()
    await asyncio.wait_for(second, 5)
    assert client.connected
    await client.close()


async def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: end.wait(10))
    client = AsyncioClient("panda.invalid", timeout=0.2)
    for said in ("did not answer within 0.2 s", "has not answered yet"):
        with pytest.raises(PandaConnectionError, match=f"cannot connect to panda.invalid:8888: .*{said}|no answer in"):
            await client.connect()
    with pytest.raises(PandaConnectionError, match="has not answered yet"):
        async for _ in client.data():
            pass
    end.set()
