"""A simulated PandA on TCP ports."""

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

#: Delay in s before a requested fault is applied, so that the reply to the request is sent first.
_A_MOMENT = 0.02

#: Interval in s between attempts to reopen the ports after a restart.
_AGAIN = 1.0


class Server:
    """A simulated PandA on TCP ports: an asynchronous context manager.

    Args:
        spec: description of the device
        host: name or address to listen on
        control_port, data_port: TCP ports; 0 for any free port
        speed: simulated time per real time: 1 for real time, `math.inf` for as fast as possible, 0 for paused
        delays: delays of the wires between blocks; those of the hardware by default
        scenario: initial settings, and events at given times

    Attributes:
        simulation: the current `Simulation`; a restart makes another one
        panda: its fields
        capture: its acquisitions
        runner: advances the simulated time
        faults: faults to inject at the ports
        control_port, data_port: the actual TCP ports once started
        connections: open control connections
        data_connections: tasks of open data connections, with their lines in the reply to `*WHO?`

    Raises:
        DeviceError: the device description is invalid
        ValueError: the speed is negative or NaN

    Example:
        >>> async def identify():
        ...     async with Server(load(), control_port=0, data_port=0) as server:
        ...         async with AsyncioClient("127.0.0.1", server.control_port, server.data_port) as client:
        ...             return await client.send(Identify())
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
        """Apply the scenario, open the ports and start the simulated time.

        Raises:
            OSError: a port is in use, or the address does not belong to this machine
            ScenarioError: the PandA refused a setting of the scenario
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
        """Restart on the same ports; all settings are lost, as after a power cycle.

        Scenario settings that the new device refuses are logged and skipped.

        Args:
            spec: description of the device after the restart; unchanged if None
            down: time in s between stop and start

        Raises:
            DeviceError: the device description is invalid
            OSError: a port was taken in the meantime
        """
        await self._close()
        await asyncio.sleep(down)
        self._switch_on(spec or self.panda.spec)
        if self._scenario is not None:
            play_what_fits(self._scenario, Stage(self.simulation, self.faults))
        await self._listen()

    def cut(self, control: bool = True, data: bool = True) -> None:  # noqa: FBT001, FBT002 - the two ports
        """Abort all connections of the ports, whatever they are doing.

        Args:
            control: whether to abort control connections
            data: whether to abort data connections
        """
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
                _log.warning("the simulator cannot reopen its ports, retrying in %g s: %s", _AGAIN, error)
                down = _AGAIN
            except Exception:
                # No one awaits this task, so log the error here.
                _log.exception("restart of the simulator failed")
                raise

    def _new_session(self) -> ControlPort:
        stage = Stage(self.simulation, self.faults)
        context = Context(self.panda, self.capture, lambda text: drive(text, stage), self._clients)
        return ControlPort(Session(context), self.runner, self.faults, self.connections)

    def _clients(self) -> list[str]:
        """Return a line for each connection, oldest first."""
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
        # A client may disconnect at any time, in any way.
        with contextlib.closing(connection), contextlib.suppress(ConnectionError):
            await DataPort(connection, self.capture, self.faults).serve()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
