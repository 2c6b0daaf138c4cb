"""The ports of a simulated PandA."""

import asyncio
from types import TracebackType
from typing import Self

from .numbers import Refused
from .panda import Panda
from .session import LineTooLong, Session
from .spec import DeviceSpec
from .system import Context


class IdleCapture:
    """A PCAP that cannot run: there are no live blocks to give it data."""

    status = "Idle 0 0"
    captured = 0
    completion = "Ok"

    def __init__(self, panda: Panda) -> None:
        self._panda = panda

    def arm(self) -> None:
        """Refuse, in the server's words where they fit."""
        if not self._panda.captured():
            raise Refused("Nothing configured for capture")
        raise Refused("This simulator cannot capture")

    def disarm(self) -> None:
        """Nothing to stop."""


class _ControlPort(asyncio.Protocol):
    """One connection to the control port."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._session = Session(Context(server.panda, server.capture))
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise, not input
        self._transport = transport
        self._server.connections.add(transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - asyncio's promise, not input
        replies: list[bytes] = []
        try:
            replies += self._session.receive(data)
        except LineTooLong:
            self._transport.write(b"".join(replies))
            self._transport.close()
        else:
            self._transport.write(b"".join(replies))

    def pause_writing(self) -> None:
        """The client does not read its replies: take no more commands until it does."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended does not matter
        self._session.close()
        if self._transport is not None:
            self._server.connections.discard(self._transport)


class Server:
    """A simulated PandA on TCP ports.

    Args:
        spec: what it is
        host: where to listen
        control_port: which port; 0 for any that is free

    Use it as an asynchronous context manager.
    """

    def __init__(self, spec: DeviceSpec, *, host: str = "127.0.0.1", control_port: int = 8888) -> None:
        self.panda = Panda(spec)
        self.capture = IdleCapture(self.panda)
        self.connections: set[asyncio.Transport] = set()
        self._host = host
        self._control_port = control_port
        self._server: asyncio.Server | None = None

    @property
    def control_port(self) -> int:
        """The port that it listens on, once started."""
        if self._server is None:
            return self._control_port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the port is taken, or the address is not of this machine
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _ControlPort(self), self._host, self._control_port)

    async def close(self) -> None:
        """Close the port and all connections."""
        if self._server is not None:
            self._server.close()
            for transport in list(self.connections):
                transport.close()
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
