"""The control port: a client that sends many commands does not block others."""

import asyncio

import pytest

from panda_ioc.simulator import Server

#: So many that they take many turns.
MANY = 12000


async def burst(panda: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that sent many commands, some of which are still pending."""
    reader, writer = await asyncio.open_connection("127.0.0.1", panda.control_port)
    writer.write(b"".join(b"COUNTER1.START=%d\n" % number for number in range(1, MANY + 1)) + b"COUNTER1.START?\n")
    async with asyncio.timeout(10):
        assert await reader.readline() == b"OK\n"
    return reader, writer


def done(panda: Server) -> int:
    return panda.panda.fields["COUNTER1.START"].raw


@pytest.mark.parametrize("port", ["control", "data"])
async def test_other_connections_are_served_while_many_commands_are_pending(panda: Server, port: str) -> None:
    number, line = (panda.control_port, b"*IDN?\n") if port == "control" else (panda.data_port, b"\n")
    other, other_writer = await asyncio.open_connection("127.0.0.1", number)
    reader, writer = await burst(panda)
    async with asyncio.timeout(20):
        other_writer.write(line)
        assert (await other.readline()).startswith(b"OK")
        assert done(panda) < MANY
        assert [await reader.readline() for _ in range(MANY - 1)] == [b"OK\n"] * (MANY - 1)
        assert await reader.readline() == b"OK =%d\n" % MANY
    for one in (writer, other_writer):
        one.close()


@pytest.mark.parametrize("delay", [0.0, 0.001])
async def test_replies_to_many_commands_are_in_order(panda: Server, delay: float) -> None:
    panda.faults.reply_delay = delay
    reader, writer = await asyncio.open_connection("127.0.0.1", panda.control_port)
    table = b"SEQ1.TABLE<\n" + b"1\n" * 4000 + b"\n"
    for number in range(500):
        writer.write(b"*ECHO %d?\nCOUNTER1.START=%d\n%s" % (number, number, table if number % 100 == 0 else b""))
    writer.write(b"x" * 1023)
    async with asyncio.timeout(20):
        for number in range(500):
            assert await reader.readline() == b"OK =%d\n" % number
            assert await reader.readline() == b"OK\n"
            if number % 100 == 0:
                assert await reader.readline() == b"OK\n"
        assert await reader.read() == b""  # closed because a line was too long
    writer.close()


async def test_pending_commands_of_a_closed_connection_are_dropped(panda: Server) -> None:
    other, other_writer = await asyncio.open_connection("127.0.0.1", panda.control_port)
    _, writer = await burst(panda)
    writer.transport.abort()
    seen: list[int] = []
    async with asyncio.timeout(20):
        while len(panda.connections) > 1 or len(seen) < 10:
            other_writer.write(b"*IDN?\n")
            assert (await other.readline()).startswith(b"OK")
            seen = [*seen, done(panda)] if len(panda.connections) == 1 else []
    assert set(seen) == {seen[0]}
    assert seen[0] < MANY
    other_writer.close()
