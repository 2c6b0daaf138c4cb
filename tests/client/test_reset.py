"""Closing after the server has reset the connection, while the busy event loop has not noticed it."""

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import ReadyData


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def reset(connection: socket.socket) -> None:
    """Reset a connection, and keep the event loop busy until the reset has arrived."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    time.sleep(0.1)


async def test_the_control_port(listening: socket.socket) -> None:
    client = AsyncioClient("127.0.0.1", listening.getsockname()[1])
    await client.connect()
    connection, _ = await asyncio.to_thread(listening.accept)
    reset(connection)
    await client.close()
    assert not client.connected


async def test_the_data_port(listening: socket.socket) -> None:
    async with aclosing(AsyncioClient("127.0.0.1", 1, listening.getsockname()[1]).data()) as data:
        first = asyncio.ensure_future(anext(data))
        connection, _ = await asyncio.to_thread(listening.accept)
        connection.sendall(b"OK\n")
        assert isinstance(await first, ReadyData)
        reset(connection)
