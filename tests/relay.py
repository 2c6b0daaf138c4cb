"""A relay between a client and a server, which can cut or delay the connection or forge replies."""

import asyncio
import contextlib
import re
from typing import Self

#: The line that the server gets instead of a line with a forged reply, so that the order of replies stays.
_IN_ITS_PLACE = b"*ECHO harmed?\n"
_ITS_ANSWER = b"OK =harmed\n"


class Relay:
    """A relay in both directions.

    Args:
        port: the port of the server
        after: the line of the client that triggers the fault, once; empty for no fault
        harm: "cut" closes both connections before the line reaches the server; "reset" resets them; "stall" stops
            forwarding; any other text is sent to the client instead of the reply of the server, which does not
            get the line
        at: the port to listen on

    Attributes:
        port: the port for clients
        server_port: the port of the server; without a server, client connections are closed
        connections: the number of connections so far
        harmed: set after the fault
    """

    def __init__(self, port: int, *, after: bytes = b"", harm: str = "", at: int = 0) -> None:
        self.port = at
        self.server_port = port
        self.connections = 0
        self.harmed = asyncio.Event()
        self._after = after
        self._harm = harm
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def listen(self) -> None:
        """Accept connections."""
        self._listening = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop accepting, and close all connections."""
        self._listening.close()
        await self.cut()
        await self._listening.wait_closed()

    async def cut(self) -> None:
        """Close all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
            both = asyncio.gather(self._forward(reader, to_server, writer), self._back(from_server, writer))
            try:
                await both
            finally:
                both.cancel()
                to_server.close()
        writer.close()
        self._tasks.discard(task)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            if self._after and self._after in data and not self.harmed.is_set():
                self.harmed.set()
                await self._do_harm(back)
                data = re.sub(re.escape(self._after) + rb"[^\n]*\n", _IN_ITS_PLACE, data)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data.replace(_ITS_ANSWER, self._harm.encode()))
            await writer.drain()
        raise ConnectionResetError

    async def _do_harm(self, back: asyncio.StreamWriter) -> None:
        if self._harm == "stall":
            await asyncio.get_running_loop().create_future()
        elif self._harm == "reset":
            back.transport.abort()
            raise ConnectionResetError
        elif self._harm == "cut":
            raise ConnectionResetError
