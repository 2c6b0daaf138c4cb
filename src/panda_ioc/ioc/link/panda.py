"""The link to the PandA: connection, known values, loss, reconnection."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ...client import AsyncioClient, PandaConnectionError, PandaTimeoutError
from ...protocol import ChangeGroup, Changes, Command, PandaError, RemoteProtocolError
from ..plan.model import Model
from .backoff import Retry
from .introspection import introspect
from .known import Known
from .poll import Poller

log = logging.getLogger(__name__)

T = TypeVar("T")


class OutcomeUnknownError(PandaConnectionError):
    """The connection was lost after a command was sent: it is unknown whether the PandA executed it."""


@dataclass(frozen=True)
class Address:
    """The address of a PandA.

    Attributes:
        host: name or address
        control_port: TCP port of the control server
        data_port: TCP port of the data server
    """

    host: str
    control_port: int
    data_port: int


class Listener(Protocol):
    """The interface of a link listener. The link calls it in the event loop, after updating `known`."""

    def connected(self, *, again: bool) -> None:
        """Handle a connection; `again` if it follows a loss."""

    def disconnected(self) -> None:
        """Handle the loss of the PandA; `PandaLink.lost` has the reason."""

    def apply(self, changes: Changes, different: Collection[str]) -> None:
        """Handle reported changes; `different` are the keys whose known value differs from before."""

    def attempts(self, state: str, text: str) -> None:
        """Handle a connection attempt: a state of `IOC:CONNECTION` and its text."""


class PandaLink:
    """The owner of the control connection to a PandA.

    Args:
        address: the address of the PandA
        periods: poll period of each group of changes in s

    Attributes:
        address: the address of the PandA
        known: the last known values
        reconnects: number of reconnections
    """

    def __init__(self, address: Address, periods: Mapping[ChangeGroup, float]) -> None:
        self.address = address
        self.known = Known()
        self.reconnects = 0
        self._periods = periods
        self._client: AsyncioClient | None = None
        self._poller: Poller | None = None

    @property
    def lost(self) -> str:
        """The reason why there is no connection; "" while connected."""
        return self.known.lost

    def new_client(self) -> AsyncioClient:
        """Return a new client for the same PandA, not connected."""
        return AsyncioClient(self.address.host, self.address.control_port, self.address.data_port)

    async def connect(self) -> Model:
        """Connect, and return the description of the PandA.

        Raises:
            PandaError: the PandA is not reachable, or the server is not a PandA
        """
        client = self.new_client()
        try:
            await client.connect()
            model = await introspect(client)
        except BaseException:
            await client.close()
            raise
        self._client = client
        self.known.is_needed = model.may_change()
        self.known.start_with(model.changes)
        self.known.lost = ""
        return model

    def use_cached(self, model: Model, lost: str) -> None:
        """Use the cached description of an unreachable PandA; `lost` is the reason why it is unreachable."""
        self.known.is_needed = model.may_change()
        self.known.start_with(model.changes)
        self.known.lost = lost

    def check_connected(self) -> None:
        """Check that a put to the PandA can be sent.

        Raises:
            PandaConnectionError: there is no connection
        """
        self._connected()

    async def ask(self, command: Command[T]) -> T:
        """Send a query.

        Raises:
            PandaError: there is no connection; see also `AsyncioClient.send`
        """
        return await self._connected().send(command)

    async def send(self, command: Command[T], *, then: Callable[[], None] | None = None) -> T:
        """Send a command that changes settings.

        Args:
            command: the command
            then: see `AsyncioClient.send`

        Raises:
            PandaConnectionError: there is no connection, and nothing was sent
            OutcomeUnknownError: the connection was lost, or the reply is missing or invalid
            CommandError: the PandA refused the command
        """
        client = self._connected()
        try:
            return await client.send(command, then=then)
        except (PandaConnectionError, PandaTimeoutError, RemoteProtocolError) as problem:
            raise OutcomeUnknownError(f"unknown whether the PandA executed it: {problem}") from problem

    async def put(self, command: Command[T]) -> T:
        """Send a command that changes settings; return after a complete poll that follows it.

        The loss of the PandA between reply and poll is not an error here: the records go into alarm.

        Args:
            command: a command of one request; the poll is sent directly after it, before the reply

        Raises:
            PandaError: see `send`
        """
        poller = self._poller
        refreshes: list[asyncio.Future[None]] = []
        answer = await self.send(command, then=lambda: refreshes.append(poller.begin_refresh()) if poller else None)
        for refreshed in refreshes:
            with contextlib.suppress(PandaConnectionError):
                await asyncio.shield(refreshed)
        return answer

    async def refresh(self) -> None:
        """Wait for a complete poll that begins after this call.

        Raises:
            PandaConnectionError: the connection is lost
        """
        self._connected()
        if self._poller is None:
            raise PandaConnectionError("no connection to the PandA")
        await self._poller.refresh()

    async def try_refresh(self) -> None:
        """Refresh after a command; ignore the loss of the PandA, because the records go into alarm."""
        with contextlib.suppress(PandaConnectionError):
            await self.refresh()

    def poll_statistics(self) -> tuple[float, float]:
        """Return mean period and mean duration of the polls since the last call in s; 0 without polls."""
        return self._poller.take_statistics() if self._poller else (0.0, 0.0)

    async def follow(
        self,
        model: Model,
        listener: Listener,
        is_same: Callable[[Model], bool],
        is_watched: Callable[[], bool] = lambda: True,
    ) -> Model:
        """Update a listener and reconnect after each loss, until the PandA has another description; return this one.

        Args:
            model: the description of the PandA, which may come from the cache
            listener: the listener
            is_same: returns whether the served records match a description
            is_watched: returns whether any client is connected; see `Poller`
        """
        again = False
        while True:
            was_there = self._client is not None
            if self._client is not None:
                self._poller = Poller(
                    self._client,
                    lambda changes: listener.apply(changes, self.known.take(changes)),
                    self._periods,
                    model.readings(),
                    is_watched,
                )
                await self._until_lost(self._poller, listener, again=again)
            else:
                self._notify_lost(listener, self.lost)
            model = await self._reconnect(listener)
            if not is_same(model):
                return model
            self.reconnects += was_there
            log.info("reconnected to the PandA")
            again = True

    async def close(self) -> None:
        """Disconnect; pending commands fail."""
        self.known.lost = self.known.lost or "the IOC is stopping"
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _connected(self) -> AsyncioClient:
        if self._client is None or self.lost:
            raise PandaConnectionError(f"no connection to the PandA: {self.lost}")
        return self._client

    async def _until_lost(self, poller: Poller, listener: Listener, *, again: bool) -> None:
        listener.connected(again=again)
        listener.attempts("CONNECTED", f"connected to {self.address.host}:{self.address.control_port}")
        reason = await poller.run()
        log.error("lost the connection to the PandA: %s", reason)
        self._notify_lost(listener, reason)
        await self.close()

    def _notify_lost(self, listener: Listener, reason: str) -> None:
        self.known.lost = reason
        listener.disconnected()
        listener.attempts("DISCONNECTED", reason)

    async def _reconnect(self, listener: Listener) -> Model:
        """Reconnect; pauses between attempts grow."""
        retry = Retry(log.warning)
        while True:
            await retry.pause()
            listener.attempts("CONNECTING", f"connecting to {self.address.host}:{self.address.control_port}")
            try:
                return await self.connect()
            except PandaError as error:
                retry.failed(f"cannot reconnect to the PandA: {error}")
                listener.attempts("DISCONNECTED", str(error))
