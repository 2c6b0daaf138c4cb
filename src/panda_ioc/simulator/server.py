"""The ports of a simulated PandA."""

import asyncio
import contextlib
import socket
from types import TracebackType
from typing import Self

from .dataport import DataPort, Faults
from .running import Runner
from .session import LineTooLong, Session
from .simulation import Simulation
from .spec import DeviceSpec
from .system import Context


class _ControlPort(asyncio.Protocol):
    """One connection to the control port."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._session = Session(Context(server.panda, server.capture))
        self._runner = server.runner
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise, not input
        self._transport = transport
        self._server.connections.add(transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None  # noqa: S101 - asyncio's promise, not input
        replies: list[bytes] = []
        self._runner.sync()
        try:
            replies += self._session.receive(data)
        except LineTooLong:
            self._transport.write(b"".join(replies))
            self._transport.close()
        else:
            self._transport.write(b"".join(replies))
        self._runner.schedule()

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
        control_port, data_port: which ports; 0 for any that is free
        speed: of its time, see `Runner`

    Attributes:
        simulation: what is served
        panda: its fields
        capture: its PCAP
        runner: lets its time pass
        faults: what its data connections are to do wrong

    Use it as an asynchronous context manager.
    """

    def __init__(
        self,
        spec: DeviceSpec,
        *,
        host: str = "127.0.0.1",
        control_port: int = 8888,
        data_port: int = 8889,
        speed: float = 1.0,
    ) -> None:
        self.simulation = Simulation(spec)
        self.panda = self.simulation.panda
        self.capture = self.simulation.capture
        self.runner = Runner(self.simulation, speed)
        self.faults = Faults()
        self.connections: set[asyncio.Transport] = set()
        self.data_connections: dict[asyncio.Task[None], socket.socket] = {}
        self.control_port = control_port
        self.data_port = data_port
        self._host = host
        self._control: asyncio.Server | None = None
        self._data: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: a port is taken, or the address is not of this machine
        """
        loop = asyncio.get_running_loop()
        self._control = await loop.create_server(lambda: _ControlPort(self), self._host, self.control_port)
        self.control_port = self._control.sockets[0].getsockname()[1]
        try:
            self._data = socket.create_server((self._host, self.data_port), backlog=5)
        except OSError:
            self._control.close()
            raise
        self._data.settimeout(0)  # the event loop waits for it
        self.data_port = self._data.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept(self._data))

    async def close(self) -> None:
        """Close the ports and all connections."""
        self.runner.stop()
        if self._control is not None:
            self._control.close()
            for transport in list(self.connections):
                transport.close()
            await self._control.wait_closed()
        if self._accepting is not None and self._data is not None:
            tasks = [self._accepting, *self.data_connections]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._data.close()

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listening)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(self._serve_data(connection))
            self.data_connections[task] = connection
            task.add_done_callback(self.data_connections.pop)

    async def _serve_data(self, connection: socket.socket) -> None:
        # A client that goes away, in whatever way, is no matter.
        with contextlib.closing(connection), contextlib.suppress(ConnectionError):
            await DataPort(connection, self.capture, self.faults).serve()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
