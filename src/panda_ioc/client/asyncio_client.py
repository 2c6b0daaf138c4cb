"""The asyncio client.

`AsyncioClient` returns each response to the task that sent the command. Commands of concurrent tasks are pipelined.
`asyncio_control` implements the control port, `asyncio_data` the data port.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from ..ports import CONTROL_PORT, DATA_PORT
from ..protocol import Command, Data, Expected, PandaError
from . import asyncio_data
from .asyncio_connect import connect, name_server
from .asyncio_control import ControlProtocol
from .common import TIMEOUT, shown
from .errors import PandaConnectionError, PandaTimeoutError
from .repeating import Exchange, Repetition

T = TypeVar("T")


class AsyncioClient:
    """An asyncio connection to a PandA.

    Use it as an asynchronous context manager, or call `connect` and `close`. It does not reconnect by itself. Any
    number of tasks of one event loop may share it.

    Args:
        host: name or address
        control_port: TCP port of commands
        data_port: TCP port of captured data
        timeout: default timeout of connecting and of each command in s

    Example:
        >>> import asyncio
        >>> from panda_ioc.client import AsyncioClient
        >>> from panda_ioc.protocol import GetLine, Put
        >>> async def main():
        ...     async with AsyncioClient("panda.example") as panda:
        ...         await panda.send(Put("PULSE1.WIDTH", 0.25))
        ...         return await panda.send(GetLine("PULSE1.WIDTH"))
        >>> asyncio.run(main())
        '0.25'
    """

    def __init__(
        self, host: str, control_port: int = CONTROL_PORT, data_port: int = DATA_PORT, *, timeout: float = TIMEOUT
    ) -> None:
        self.host = host
        self.control_port = control_port
        self.data_port = data_port
        self.timeout = timeout
        self._control: ControlProtocol | None = None
        self._connecting = asyncio.Lock()
        self._names = name_server(timeout)

    async def connect(self) -> None:
        """Connect to the control port. Does nothing if the client is connected.

        Raises:
            PandaConnectionError: the host is unknown, refuses the connection, or does not answer in time
        """
        address = f"{self.host}:{self.control_port}"
        async with self._connecting:
            if self.connected:
                return
            self._control = await connect(
                self._names, lambda: ControlProtocol(address), self.host, self.control_port, self.timeout
            )

    @property
    def connected(self) -> bool:
        """Whether the control port is connected. A loss that TCP has not detected yet is not known."""
        return self._control is not None and not self._control.lost.done()

    async def wait_lost(self) -> str:
        """Wait until the connection is lost or closed; return the reason."""
        if self._control is None:
            return "the client was never connected"
        return await asyncio.shield(self._control.lost)

    async def close(self) -> None:
        """Close the connection. Pending commands raise `PandaConnectionError`."""
        if self._control is not None:
            await self._control.close()

    async def send(
        self, command: Command[T], *, timeout: float | None = None, then: Callable[[], None] | None = None
    ) -> T:
        """Send a command and return its response. Commands of several tasks are pipelined.

        Args:
            command: command to send
            timeout: timeout in s, instead of the default of the client
            then: called after the command was sent, before its reply. Commands that it submits directly follow this
                one

        Raises:
            CommandError: the PandA refused the command
            LocalProtocolError: the command cannot be sent
            RemoteProtocolError: the reply is invalid
            PandaConnectionError: the client is not connected, or the connection was lost before the reply
            PandaTimeoutError: the PandA did not reply in time
            Exception: an error in the command itself; the connection remains usable
        """
        limit = self.timeout if timeout is None else timeout
        control = self._connected()
        try:
            async with asyncio.timeout(limit):
                await control.writable()
                future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
                control.submit(command, partial(_resolve, future), soon=True)
                if then is not None:
                    then()
                return await future
        except TimeoutError as error:
            raise PandaTimeoutError(
                f"{self.host}:{self.control_port} did not answer {shown(command)} within {limit:g} s"
            ) from error

    def submit(
        self, command: Command[T], done: Callable[[T | PandaError], None], *, expected: Expected[T] | None = None
    ) -> None:
        """Send a command immediately and call back with its response, without a task.

        Args:
            command: command to send
            done: called from the event loop with the response, or with the exception that ended the command. There is
                no timeout
            expected: expected reply of the command, which is then not parsed; see `Expected`

        Raises:
            LocalProtocolError: the command cannot be sent
            PandaConnectionError: the client is not connected
        """
        self._connected().submit(command, done, expected=expected)

    def repeat(self, exchanges: Sequence[Exchange], period: float, done: Callable[[Any], None]) -> Repetition | None:
        """Send commands, one a period, as long as each gets its expected reply. This costs less CPU than `submit`.

        It ends at the first other reply, at a reply that is missing when the next command is due, and when another
        command is sent. The event loop does not wake up for expected replies, but immediately for a longer one.

        Args:
            exchanges: commands with one batch of requests, and the expected reply of each; at least one
            period: time between commands in s
            done: called at the end with the response to the last command sent, or with the exception that ended it.
                After the last of `exchanges`, this waits for `collect` or for another command

        Returns:
            the repetition; None if only the first command was sent, because other commands are pending

        Raises:
            LocalProtocolError: the command cannot be sent
            PandaConnectionError: the client is not connected
        """
        return self._connected().repeat(exchanges, period, done)

    def collect(self) -> None:
        """End a repetition. Its last response is delivered immediately if the reply has arrived."""
        if self._control is not None:
            self._control.collect()

    def data(
        self,
        scaled: bool = True,  # noqa: FBT001, FBT002
        flush_period: float | None = None,
        *,
        timeout: float | None = None,
    ) -> AsyncGenerator[Data, None]:
        """Connect to the data port and yield its events, over any number of acquisitions.

        The first event is `ReadyData`: acquisitions armed after it are received from their start. For each acquisition
        follow `StartData`, any number of `FrameData`, and `EndData`. Closing the generator (`contextlib.aclosing`)
        closes the connection. Memory is bounded: if the caller is slow, the PandA buffers the data.

        Args:
            scaled: True for values scaled by the PandA, float64 in all columns except bits; False for raw values
            flush_period: time in s over which frames are merged; None yields each frame as it arrives, and small
                frames that arrive together as one
            timeout: maximum time in s without data from the PandA; None for no timeout

        Raises:
            PandaConnectionError: connecting failed, or the connection was lost or closed by the PandA
            PandaTimeoutError: no data within `timeout`
            CommandError: the PandA refused the options
            RemoteProtocolError: the data violates the protocol

        Example:
            Print the columns and the number of samples of one acquisition::

                async with aclosing(panda.data(scaled=False)) as events:
                    async for event in events:
                        match event:
                            case ReadyData():
                                await panda.send(Arm())
                            case StartData():
                                print(event.dtype.names)
                            case EndData():
                                print(event.samples, event.reason)
                                break
        """
        return asyncio_data.data(
            self.host,
            self.data_port,
            self.timeout,
            self._names,
            scaled=scaled,
            flush_period=flush_period,
            timeout=timeout,
        )

    def _connected(self) -> ControlProtocol:
        if self._control is None:
            raise PandaConnectionError(f"not connected to {self.host}:{self.control_port}")
        return self._control

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _resolve(future: asyncio.Future[T], response: T | Exception) -> None:
    """Set the result of a future, unless its task was cancelled."""
    if future.done():
        return
    if isinstance(response, Exception):
        future.set_exception(response)
    else:
        future.set_result(response)
