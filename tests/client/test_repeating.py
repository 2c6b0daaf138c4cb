"""Repeated commands over real sockets: their expected replies wake up nobody, and no other reply waits for them.

With the period LONG, a test would time out if anything waited for the next command.
"""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from panda_ioc.client import AsyncioClient, PandaConnectionError
from panda_ioc.protocol import COMPLETION, ChangeGroup, Changes, GetLine, Poll, Polled, Put

POLL = Poll((ChangeGroup.CONFIG,))
UNCHANGED = POLL.nothing_new({COMPLETION: "Ok"})
REQUEST, QUIET = UNCHANGED.request, UNCHANGED.answer

LONG, SHORT = 60.0, 0.02

CHANGED = b"!A.B=1\n.\nOK =Ok\n"
ENDED = b".\nOK =Busy\n"


class Panda:
    """A server whose replies a test writes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def expect(self, request: bytes) -> None:
        async with asyncio.timeout(5):
            assert await self.reader.readexactly(len(request)) == request

    async def reply(self, data: bytes) -> None:
        """Send a reply; return when the kernel of the client has it."""
        self.writer.write(data)
        await self.writer.drain()


class Client:
    """A client that repeats polls, and what came of them."""

    def __init__(self, client: AsyncioClient) -> None:
        self.client = client
        self.ended: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def repeat(self, number: int, period: float) -> Any:
        return self.client.repeat([(POLL, UNCHANGED)] * number, period, self.ended.set_result)

    async def response(self) -> Any:
        return await asyncio.wait_for(asyncio.shield(self.ended), 5)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Client, Panda]]:
    pandas: asyncio.Queue[Panda] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pandas.put_nowait(Panda(reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        async with AsyncioClient("127.0.0.1", server.sockets[0].getsockname()[1]) as client:
            panda = await pandas.get()
            yield Client(client), panda
            panda.writer.close()


async def test_each_command_follows_the_expected_reply_to_the_one_before() -> None:
    async with connected() as (ours, panda):
        repetition = ours.repeat(3, SHORT)
        for sent in (1, 2, 3):
            await panda.expect(REQUEST)
            assert repetition.sent == sent
            await panda.reply(QUIET)
        await asyncio.sleep(3 * SHORT)
        assert not ours.ended.done()  # the last reply is there, and wakes up nobody
        ours.client.collect()
        assert await ours.response() is UNCHANGED.response


async def test_an_expected_reply_does_not_wake_up_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected() as (ours, panda):
        reads = itertools.count()
        transport = ours.client._control._transport  # type: ignore[union-attr]  # noqa: SLF001
        original = transport._read_ready_cb  # type: ignore[union-attr]  # noqa: SLF001
        monkeypatch.setattr(transport, "_read_ready_cb", lambda: (next(reads), original()))
        ours.repeat(5, SHORT)
        for _ in range(5):
            await panda.expect(REQUEST)
            await panda.reply(QUIET)
        ours.client.collect()
        assert await ours.response() is UNCHANGED.response
        assert next(reads) == 0


@pytest.mark.parametrize("place", range(1, len(CHANGED)))
async def test_a_change_is_delivered_at_once_also_in_pieces(place: int) -> None:
    async with connected() as (ours, panda):
        ours.repeat(2, LONG)
        await panda.expect(REQUEST)
        await panda.reply(CHANGED[:place])
        await asyncio.sleep(0.001)
        await panda.reply(CHANGED[place:])
        assert await ours.response() == Polled(Changes({"A.B": "1", COMPLETION: "Ok"}), settings=True, refused={})


@pytest.mark.parametrize("reply", [ENDED, b".\nOK =No\n", b".\nOK =\n"], ids=["longer", "as long", "shorter"])
async def test_another_value_is_delivered_with_the_next_command_at_the_latest(reply: bytes) -> None:
    async with connected() as (ours, panda):
        repetition = ours.repeat(2, SHORT)
        await panda.expect(REQUEST)
        await panda.reply(reply)
        response = await ours.response()
        assert response.changes.values == {COMPLETION: reply.split(b"=")[1].strip().decode()}
        assert repetition.sent == 1


@pytest.mark.parametrize("place", range(len(QUIET)))
async def test_a_late_reply_ends_the_repetition_and_is_delivered_when_it_is_complete(place: int) -> None:
    async with connected() as (ours, panda):
        repetition = ours.repeat(9, SHORT)
        await panda.expect(REQUEST)
        if place:
            await panda.reply(QUIET[:place])
        await asyncio.sleep(2 * SHORT)
        assert not ours.ended.done()
        await panda.reply(QUIET[place:])
        assert await ours.response() == UNCHANGED.response
        assert repetition.sent == 1


@pytest.mark.parametrize("first", [b"", QUIET, CHANGED], ids=["before the reply", "after it", "after a change"])
async def test_a_put_during_a_repetition_waits_for_nothing(first: bytes) -> None:
    async with connected() as (ours, panda):
        ours.repeat(2, LONG)
        await panda.expect(REQUEST)
        await panda.reply(first)
        async with asyncio.timeout(5):
            put = asyncio.create_task(ours.client.send(Put("A.B", "1")))
            await panda.expect(b"A.B=1\n")
            await panda.reply((b"" if first else QUIET) + b"OK\n")
            await put
        response = await ours.response()
        assert response.changes.values.get("A.B") == ("1" if first == CHANGED else None)
        line = asyncio.create_task(ours.client.send(GetLine("A.B")))
        await panda.expect(b"A.B?\n")
        await panda.reply(b"OK =1\n")
        assert await line == "1"


async def test_a_repetition_beside_another_command_is_one_command() -> None:
    async with connected() as (ours, panda):
        line = asyncio.create_task(ours.client.send(GetLine("A.B")))
        await panda.expect(b"A.B?\n")
        assert ours.repeat(2, SHORT) is None
        await panda.expect(REQUEST)
        await panda.reply(b"OK =1\n" + QUIET)
        assert await line == "1"
        assert await ours.response() == UNCHANGED.response


@pytest.mark.parametrize("first", [b"", QUIET[:3], QUIET])
@pytest.mark.parametrize("abort", [False, True], ids=["closed", "reset"])
async def test_the_loss_of_the_connection_is_noticed_at_once(first: bytes, abort: bool) -> None:  # noqa: FBT001
    async with connected() as (ours, panda):
        ours.repeat(2, LONG)
        await panda.expect(REQUEST)
        await panda.reply(first)
        panda.writer.transport.abort() if abort else panda.writer.close()
        response = await ours.response()
        assert isinstance(response, PandaConnectionError) or (first == QUIET and response == UNCHANGED.response)
        assert await asyncio.wait_for(ours.client.wait_lost(), 5)


async def test_a_reset_that_is_met_when_the_next_command_is_due() -> None:
    async with connected() as (ours, panda):
        ours.repeat(2, SHORT)
        await panda.expect(REQUEST)
        panda.writer.transport.abort()
        os.sched_yield()
        deadline = asyncio.get_running_loop().time() + 2 * SHORT
        while asyncio.get_running_loop().time() < deadline:
            pass  # so that the timer and the loss are there in the same turn of the event loop
        assert isinstance(await ours.response(), PandaConnectionError)
        assert await asyncio.wait_for(ours.client.wait_lost(), 5)


async def test_nonsense_ends_the_connection() -> None:
    async with connected() as (ours, panda):
        ours.repeat(2, LONG)
        await panda.expect(REQUEST)
        await panda.reply(b"what is this, and why\n")
        assert "what is this" in str(await ours.response())


async def test_closing_during_a_repetition_does_not_reset_the_connection() -> None:
    """A socket that is closed with unread data resets the connection, which can kill a PandA."""
    async with connected() as (ours, panda):
        ours.repeat(2, LONG)
        await panda.expect(REQUEST)
        await panda.reply(QUIET)
        closing = asyncio.create_task(ours.client.close())
        async with asyncio.timeout(5):
            assert await panda.reader.read() == b""  # not ConnectionResetError
            panda.writer.close()
            await closing
            await panda.writer.wait_closed()
