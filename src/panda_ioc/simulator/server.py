"""The ports of a simulated PandA."""

import asyncio
import contextlib
import logging
import socket
from types import TracebackType
from typing import Self

from .control import ControlPort, client_line
from .dataport import DataPort
from .faults import Faults
from .running import Runner
from .scenario import Scenario, drive, play, play_what_fits
from .session import Session
from .simulation import Simulation
from .spec import DeviceSpec
from .steps import Stage
from .system import Context
from .wiring import Delays

_log = logging.getLogger(__name__)

#: Seconds until connections are cut on request, so that who asks for it through one is answered.
_A_MOMENT = 0.02

#: Seconds until it tries again to have its ports back.
_AGAIN = 1.0


class Server:
    """A simulated PandA on TCP ports.

    Args:
        spec: what it is
        host: where to listen
        control_port, data_port: which ports; 0 for any that is free
        speed: of its time, see `Runner`
        delays: how long its wires take
        scenario: how it is set up, and what happens to it

    Attributes:
        simulation: what is served; another one after a restart
        runner: lets its time pass
        faults: what its ports are to do wrong

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
        delays: Delays | None = None,
        scenario: Scenario | None = None,
    ) -> None:
        self.faults = Faults()
        self.faults.cut_connections = lambda control, data: self._soon(self.cut, control, data)
        self.faults.restart = lambda spec, down: self._soon(self._restart_soon, spec, down)
        self.connections: set[ControlPort] = set()
        self.data_connections: dict[asyncio.Task[None], str] = {}
        self.control_port = control_port
        self.data_port = data_port
        self._host = host
        self._speed = speed
        self._delays = delays
        self._scenario = scenario
        self._control: asyncio.Server | None = None
        self._data: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._switch_on(spec)

    def _switch_on(self, spec: DeviceSpec) -> None:
        self.simulation = Simulation(spec, delays=self._delays)
        self.panda = self.simulation.panda
        self.capture = self.simulation.capture
        self.runner = Runner(self.simulation, self._speed)

    async def start(self) -> None:
        """Begin to listen, and let time pass.

        Raises:
            OSError: a port is taken, or the address is not of this machine
            ScenarioError: a setting of the scenario was refused
        """
        if self._scenario is not None:
            play(self._scenario, Stage(self.simulation, self.faults))
        await self._listen()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._control = await loop.create_server(self._new_session, self._host, self.control_port)
        self.control_port = self._control.sockets[0].getsockname()[1]
        try:
            self._data = socket.create_server((self._host, self.data_port), backlog=5)
        except OSError:
            self._control.close()
            raise
        self._data.settimeout(0)  # the event loop waits for it
        self.data_port = self._data.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept(self._data))
        self.runner.schedule()

    async def close(self) -> None:
        """Close the ports and all connections."""
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        await self._close()

    async def restart(self, spec: DeviceSpec | None = None, *, down: float = 0.0) -> None:
        """Stop, and start again on the same ports with all settings lost.

        What of the scenario does not fit any more is told in the log, and left out.

        Args:
            spec: what it is from now on; the same if None
            down: seconds in between

        Raises:
            OSError: a port was taken meanwhile
        """
        await self._close()
        await asyncio.sleep(down)
        self._switch_on(spec or self.panda.spec)
        if self._scenario is not None:
            play_what_fits(self._scenario, Stage(self.simulation, self.faults))
        await self._listen()

    def cut(self, control: bool = True, data: bool = True) -> None:  # noqa: FBT001, FBT002 - the two ports
        """Cut all connections of the ports, in the middle of whatever they do."""
        if control:
            for connection in list(self.connections):
                connection.abort()
        if data:
            for task in self.data_connections:
                task.cancel()

    async def _close(self) -> None:
        self.runner.stop()
        if self._control is not None:
            self._control.close()
            for connection in list(self.connections):
                connection.close()
            await self._control.wait_closed()
        if self._accepting is not None and self._data is not None:
            tasks = [self._accepting, *self.data_connections]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._data.close()

    def _soon(self, call: object, *arguments: object) -> None:
        asyncio.get_running_loop().call_later(_A_MOMENT, call, *arguments)  # type: ignore[arg-type]

    def _restart_soon(self, spec: DeviceSpec, down: float) -> None:
        if self._restarting is None or self._restarting.done():
            self._restarting = asyncio.create_task(self._come_back(spec, down))

    async def _come_back(self, spec: DeviceSpec, down: float) -> None:
        while True:
            try:
                return await self.restart(spec, down=down)
            except OSError as error:
                _log.warning("it cannot come back yet: %s", error)
                down = _AGAIN
            except Exception:
                # Nobody waits for this task, so nobody else would say it.
                _log.exception("it does not come back")
                raise

    def _new_session(self) -> ControlPort:
        stage = Stage(self.simulation, self.faults)
        context = Context(self.panda, self.capture, lambda text: drive(text, stage), self._clients)
        return ControlPort(Session(context), self.runner, self.faults, self.connections)

    def _clients(self) -> list[str]:
        """Who is connected, the first one first."""
        return sorted([*(one.client for one in self.connections), *self.data_connections.values()])

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, peer = await loop.sock_accept(listening)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(self._serve_data(connection))
            self.data_connections[task] = client_line("data", peer)
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
