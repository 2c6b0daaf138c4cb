"""The one data connection of the IOC: kept while it is wanted, so that no acquisition is missed.

What it gives is handed on at once, to the capture and to the live view. It is not read while the capture has enough
to write: then the PandA buffers what it captures.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace

from ....capture.acquisition import AcquisitionState, follow, samples_in
from ....client import AsyncioClient, PandaTimeoutError
from ....protocol import Data, EndData, FrameData, PandaError, ReadyData
from ...link.backoff import Retry

log = logging.getLogger(__name__)

#: Seconds that the data port may take to say that it is ready.
READY_TIMEOUT = 5.0

#: Seconds that a connection must have lasted for the pauses before the next to start small again: a port may answer and
#: then hang up, each time.
_STABLE = 10.0


@dataclass(frozen=True)
class Taker:
    """Who is given what comes.

    Attributes:
        ready: is told that the connection is ready
        take: is given each event, with the acquisition that it is of
        captured: asks how many samples the PandA captured, None if it does not say; asked after a bad end
        room: waits until more should be given
        lost: is told why the connection ended; it is made anew
    """

    ready: Callable[[], None]
    take: Callable[[Data, AcquisitionState], None]
    captured: Callable[[], Awaitable[int | None]]
    room: Callable[[], Awaitable[None]]
    lost: Callable[[PandaError], None]


class Receiver:
    """A data connection.

    Args:
        taker: is given what comes

    Attributes:
        total, total_bytes: samples that came since the IOC started
    """

    def __init__(self, taker: Taker) -> None:
        self.total, self.total_bytes = 0, 0
        self._taker = taker
        self._acquisition: AcquisitionState | None = None
        self._task: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._begun = False
        self._dropped: PandaError | None = None
        self._leave = asyncio.Event()
        self._waiting: asyncio.Timeout | None = None
        self._ready = asyncio.Event()
        self._failure = ""
        self._ended = asyncio.Event()
        self._last_end: AcquisitionState | None = None

    @property
    def ready(self) -> bool:
        """Whether no acquisition that is armed from now on will be missed."""
        return self._ready.is_set()

    def open(self, client: AsyncioClient) -> None:
        """Connect to the data port of a PandA, and again whenever that is lost."""
        if self._task is None:
            self._begun = False
            self._task = asyncio.create_task(self._keep(client, self._leaving))

    async def close(self) -> None:
        """Disconnect."""
        tasks = [task for task in (self._task, self._leaving) if task is not None]
        self._task = self._leaving = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._over()

    def drop(self, error: PandaError) -> None:
        """Let the connection go, as what is at its other end is gone; `open` makes another.

        What was received already is taken first; what still came would be of nobody knows what.
        """
        task, self._task = self._task, None
        if task is None:
            return
        if not self._begun:
            task.cancel()  # the one before it is still leaving
            return
        self._leaving, self._dropped = task, error
        self._leave.set()
        if self._waiting is not None:
            self._waiting.reschedule(0)
        self._over()

    async def wait_ready(self) -> None:
        """Wait until the data port is ready.

        Raises:
            PandaTimeoutError: it was not in time
        """
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await self._ready.wait()
        except TimeoutError:
            reason = self._failure or f"it was not ready within {READY_TIMEOUT:g} s"
            raise PandaTimeoutError(f"there is no connection to the data port: {reason}") from None

    async def wait_end(self) -> AcquisitionState | None:
        """Wait for the end of the next acquisition that ends; None if the connection is lost before it."""
        self._ended.clear()
        self._last_end = None
        await self._ended.wait()
        return self._last_end

    async def _keep(self, client: AsyncioClient, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait((before,))  # or what came last would be mixed with what comes now
        self._begun, self._dropped = True, None
        self._leave.clear()
        retry = Retry(log.warning)
        loop = asyncio.get_running_loop()
        while self._dropped is None:
            began = loop.time()
            try:
                await self._receive(client)
            except Exception as problem:  # noqa: BLE001 - nothing may end this silently: see _bug
                error = problem if isinstance(problem, PandaError) else _bug(problem)
                if self._ready.is_set() and loop.time() - began > _STABLE:
                    retry.succeeded()
                retry.failed(f"no data: {error}")
                self._failure = str(error)
                self._over()
                self._acquisition = None
                self._taker.lost(error)
            await retry.pause(self._leave)

    async def _receive(self, client: AsyncioClient) -> None:
        async with contextlib.aclosing(client.data(scaled=False)) as stream:
            while True:
                data = await self._next(stream)
                self._acquisition = follow(self._acquisition, data)
                if isinstance(data, EndData) and not data.good and self._acquisition is not None:
                    # The PandA may have captured more than it could keep for us.
                    self._acquisition = replace(self._acquisition, captured=await self._taker.captured())
                if isinstance(data, FrameData):
                    self.total += samples_in(data)
                    self.total_bytes += data.data.nbytes
                if isinstance(data, ReadyData):
                    self._failure = ""
                    self._ready.set()
                    self._taker.ready()
                elif self._acquisition is not None:
                    self._taker.take(data, self._acquisition)
                if isinstance(data, EndData):
                    self._last_end = self._acquisition
                    self._ended.set()
                await self._taker.room()

    async def _next(self, stream: AsyncGenerator[Data, None]) -> Data:
        """Wait for what comes next; when the connection is let go, give what has come, and then why it is."""
        try:
            async with asyncio.timeout_at(None if self._dropped is None else 0) as self._waiting:
                return await anext(stream)
        except TimeoutError:
            if self._dropped is None:
                raise
            raise self._dropped from None
        finally:
            self._waiting = None

    def _over(self) -> None:
        self._ready.clear()
        self._ended.set()


def _bug(problem: Exception) -> PandaError:
    """An error of this program in what came: told in full, and the connection is made anew."""
    log.error("an error of the IOC in what the data port sent", exc_info=problem)
    return PandaError("an error of the IOC, which its log has")
