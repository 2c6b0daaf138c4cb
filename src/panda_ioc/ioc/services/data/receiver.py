"""The one data connection of the IOC: kept while it is wanted, so that no acquisition is missed.

What it gives is handed on at once, to the capture and to the live view; neither ever makes it wait.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from ....client import AsyncioClient, PandaTimeoutError
from ....protocol import Data, EndData, FrameData, PandaError, ReadyData, StartData
from ...link.backoff import STABLE, delays
from ...log import Repeated

log = logging.getLogger(__name__)

#: Seconds that the data port may take to say that it is ready.
READY_TIMEOUT = 5.0


class Receiver:
    """A data connection.

    Args:
        take: is given all that comes
        lost: is told why the connection ended; it is made anew

    Attributes:
        start: the beginning of the acquisition under way; None between acquisitions
        samples: how many of it came so far
        total, total_bytes: samples that came since the IOC started
    """

    def __init__(self, take: Callable[[Data], None], lost: Callable[[PandaError], None]) -> None:
        self.start: StartData | None = None
        self.samples = 0
        self.total, self.total_bytes = 0, 0
        self._take = take
        self._lost = lost
        self._client: AsyncioClient | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._failure = ""
        self._ended = asyncio.Event()
        self._last_end: EndData | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether no acquisition that is armed from now on will be missed."""
        return self._ready.is_set()

    def open(self, client: AsyncioClient) -> None:
        """Connect to the data port of a PandA, and again whenever that is lost."""
        self._client = client
        if self._task is None:
            self._task = asyncio.create_task(self._keep(client))

    async def close(self) -> None:
        """Disconnect."""
        task, self._task = self._task, None
        self._client = None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        self._over()

    def drop(self, error: PandaError) -> None:
        """Let the connection go, as what is at its other end is gone; `open` makes another."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
            self._over()
            self._lost(error)

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

    async def wait_end(self) -> EndData | None:
        """Wait for the end of the next acquisition that ends; None if the connection is lost before it."""
        self._ended.clear()
        self._last_end = None
        await self._ended.wait()
        return self._last_end

    async def _keep(self, client: AsyncioClient) -> None:
        pauses = delays()
        warning = Repeated(log.warning)
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self._receive(client)
            except Exception as problem:  # noqa: BLE001 - nothing may end this silently: see _bug
                error = problem if isinstance(problem, PandaError) else _bug(problem)
                if self._ready.is_set() and loop.time() - began > STABLE:
                    pauses, warning = delays(), Repeated(log.warning)
                warning.tell(f"no data: {error}")
                self._failure = str(error)
                self._over()
                self._lost(error)
            await asyncio.sleep(next(pauses))

    async def _receive(self, client: AsyncioClient) -> None:
        async with contextlib.aclosing(client.data(scaled=False)) as stream:
            async for data in stream:
                match data:
                    case ReadyData():
                        self._failure = ""
                        self._ready.set()
                    case StartData():
                        self.start, self.samples = data, 0
                    case FrameData():
                        self.samples += len(data.data)
                        self.total += len(data.data)
                        self.total_bytes += data.data.nbytes
                    case EndData():
                        self.start = None
                self._take(data)
                if isinstance(data, EndData):
                    self._last_end = data
                    self._ended.set()

    def _over(self) -> None:
        self._ready.clear()
        self.start = None
        self._ended.set()


def _bug(problem: Exception) -> PandaError:
    """An error of this program in what came: told in full, and the connection is made anew."""
    log.error("an error of the IOC in what the data port sent", exc_info=problem)
    return PandaError("an error of the IOC, which its log has")
