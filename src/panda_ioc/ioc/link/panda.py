"""The PandA of an IOC: one connection, what is known of it, why it is lost, and how it comes back."""

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
    """A command that may set something was sent, and nobody knows whether the PandA took it."""


@dataclass(frozen=True)
class Address:
    """Where a PandA is: its host, and the numbers of its two ports."""

    host: str
    control_port: int
    data_port: int


class Listener(Protocol):
    """What follows a PandA. All is called in the event loop, when the link's `known` is up to date."""

    def connected(self, *, again: bool) -> None:
        """The PandA is there; `again` if it was shown as lost before."""

    def disconnected(self) -> None:
        """The PandA is gone; the link's `lost` says why."""

    def apply(self, changes: Changes, different: Collection[str]) -> None:
        """The PandA says what has changed, and of some keys something else is known now."""

    def attempts(self, state: str, text: str) -> None:
        """Connecting begins or failed: a state of `IOC:CONNECTION`, and a text about it."""


class PandaLink:
    """The one owner of the connection to a PandA.

    Args:
        address: where the PandA is
        periods: how often each group of changes is asked for, in seconds

    Attributes:
        address: where the PandA is
        known: what it said last
        reconnects: how often it came back
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
        """Why there is no connection; "" while there is one."""
        return self.known.lost

    def another(self) -> AsyncioClient:
        """Return a client of its own for the same PandA, not connected yet."""
        return AsyncioClient(self.address.host, self.address.control_port, self.address.data_port)

    async def connect(self) -> Model:
        """Connect, and ask what the PandA has.

        Raises:
            PandaError: it is not there, or no PandA
        """
        client = self.another()
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

    def assume(self, model: Model, lost: str) -> None:
        """Take what a PandA had that is not there now."""
        self.known.is_needed = model.may_change()
        self.known.start_with(model.changes)
        self.known.lost = lost

    async def ask(self, command: Command[T]) -> T:
        """Send a command that sets nothing.

        Raises:
            PandaError: see `AsyncioClient.send`; or there is no connection
        """
        return await self._connected().send(command)

    async def send(self, command: Command[T], *, then: Callable[[], None] | None = None) -> T:
        """Send a command that sets something.

        Args:
            command: what to send
            then: see `AsyncioClient.send`

        Raises:
            PandaConnectionError: there is no connection, and nothing was sent
            OutcomeUnknownError: the connection broke, or the answer is none
            CommandError: the PandA refuses it
        """
        client = self._connected()
        try:
            return await client.send(command, then=then)
        except (PandaConnectionError, PandaTimeoutError, RemoteProtocolError) as problem:
            raise OutcomeUnknownError(f"not known whether the PandA took it: {problem}") from problem

    async def put(self, command: Command[T]) -> T:
        """Send a command that sets something; return when everything is known that the PandA says after it.

        That it is lost after it took the command, other alarms tell.

        Args:
            command: what to send, in one request: what is asked for is sent behind it, before it is answered

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
        """Wait until everything is known that the PandA says from now on.

        Raises:
            PandaConnectionError: there is no connection any more
        """
        self._connected()
        if self._poller is None:
            raise PandaConnectionError("the PandA is gone")
        await self._poller.refresh()

    async def refresh_if_there(self) -> None:
        """The same after the PandA took a command: that it is lost since, other alarms tell."""
        with contextlib.suppress(PandaConnectionError):
            await self.refresh()

    def poll_statistics(self) -> tuple[float, float]:
        """Mean seconds, since the last call, from poll to poll and that a poll took; 0 if there was none."""
        return self._poller.take_statistics() if self._poller else (0.0, 0.0)

    async def follow(
        self,
        model: Model,
        listener: Listener,
        is_same: Callable[[Model], bool],
        is_watched: Callable[[], bool] = lambda: True,
    ) -> Model:
        """Keep a listener in step, and come back after each loss; return what the PandA has once that is another one.

        Args:
            model: what the PandA has, or had
            listener: is told
            is_same: whether a PandA that came back is served as it is
            is_watched: whether anybody is there to see what changes; see `Poller`
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
                self._tell_lost(listener, self.lost)
            model = await self._reconnect(listener)
            if not is_same(model):
                return model
            self.reconnects += was_there
            log.info("the PandA is back")
            again = True

    async def close(self) -> None:
        """Disconnect; whoever still asks is told so."""
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
        log.error("lost the PandA: %s", reason)
        self._tell_lost(listener, reason)
        await self.close()

    def _tell_lost(self, listener: Listener, reason: str) -> None:
        self.known.lost = reason
        listener.disconnected()
        listener.attempts("DISCONNECTED", reason)

    async def _reconnect(self, listener: Listener) -> Model:
        """Try until the PandA answers; the pauses grow only while it does not."""
        retry = Retry(log.warning)
        while True:
            await retry.pause()
            listener.attempts("CONNECTING", f"connecting to {self.address.host}:{self.address.control_port}")
            try:
                return await self.connect()
            except PandaError as error:
                retry.failed(f"the PandA is not back: {error}")
                listener.attempts("DISCONNECTED", str(error))
