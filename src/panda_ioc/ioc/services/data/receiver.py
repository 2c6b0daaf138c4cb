"""The data connection of the IOC, open while the PandA is connected, so that no acquisition is missed.

Received events are passed to the capture and to the live view. While the write queue of the capture is full, the
connection is not read and the PandA buffers its samples.
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

#: Time limit for the data port to become ready, in s.
READY_TIMEOUT = 5.0

#: Duration of a connection in s after which the retry delay is reset, and after which the same loss is logged again. A
#: port that accepts each connection and closes it again must not reset the delay, nor fill the log.
_USABLE, _STABLE = 1.0, 10.0

#: What is processed after `drop`: events until none arrives for a time in s, and samples of a size in bytes at most.
#: The client queues 16 MiB.
_QUIET, _REST = 0.02, 1 << 25


@dataclass(frozen=True)
class DataConsumer:
    """The functions that process the events of the data connection.

    Attributes:
        ready: called when the connection is ready
        process: called with each event and its acquisition
        captured: returns the number of samples captured by the PandA, None if unknown; awaited after an error
        wait_room: awaited before the next event is read
        lost: called with the error that ended the connection, before the next attempt
    """

    ready: Callable[[], None]
    process: Callable[[Data, AcquisitionState], None]
    captured: Callable[[], Awaitable[int | None]]
    wait_room: Callable[[], Awaitable[None]]
    lost: Callable[[PandaError], None]


class Receiver:
    """The data connection.

    Args:
        consumer: receives the events

    Attributes:
        total: number of samples received since the start of the IOC
        total_bytes: size of these samples in bytes
    """

    def __init__(self, consumer: DataConsumer) -> None:
        self.total, self.total_bytes = 0, 0
        self._consumer = consumer
        self._acquisition: AcquisitionState | None = None
        self._task: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._begun = False
        self._dropped: PandaError | None = None
        self._rest = _REST
        self._leave = asyncio.Event()
        self._waiting: asyncio.Timeout | None = None
        self._ready = asyncio.Event()
        self._failure = ""
        self._ended = asyncio.Event()
        self._last_end: AcquisitionState | None = None

    @property
    def ready(self) -> bool:
        """Whether every acquisition that is armed from now on will be received."""
        return self._ready.is_set()

    def open(self, client: AsyncioClient) -> None:
        """Connect to the data port of a PandA, and reconnect after each loss."""
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
        """Close the connection because the PandA is lost; `open` creates a new one.

        Events that have been received are processed first. The connection is closed when none arrives for 20 ms.
        """
        task, self._task = self._task, None
        if task is None:
            return
        if not self._begun:
            task.cancel()  # it still waits for the previous connection
            return
        self._leaving, self._dropped, self._rest = task, error, _REST
        self._leave.set()
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time() + _QUIET)
        self._over()

    async def wait_ready(self) -> None:
        """Wait until the data port is ready.

        Raises:
            PandaTimeoutError: the data port was not ready within READY_TIMEOUT
        """
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await self._ready.wait()
        except TimeoutError:
            reason = self._failure or f"it was not ready within {READY_TIMEOUT:g} s"
            raise PandaTimeoutError(f"no connection to the data port: {reason}") from None

    async def wait_end(self) -> AcquisitionState | None:
        """Wait for the end of an acquisition and return it; None if the connection is lost first."""
        self._ended.clear()
        self._last_end = None
        await self._ended.wait()
        return self._last_end

    async def _keep(self, client: AsyncioClient, previous: asyncio.Task[None] | None) -> None:
        if previous is not None:
            await asyncio.wait((previous,))  # its events must not mix with new ones
        self._begun, self._dropped = True, None
        self._leave.clear()
        retry = Retry(log.warning)
        loop = asyncio.get_running_loop()
        while self._dropped is None:
            began = loop.time()
            try:
                await self._receive(client)
            except Exception as problem:  # noqa: BLE001 - logged by _bug; the loop must not end
                error = problem if isinstance(problem, PandaError) else _bug(problem)
                if self._ready.is_set():
                    _reset(retry, loop.time() - began)
                retry.failed(f"no connection to the data port: {error}")
                self._failure = str(error)
                self._over()
                self._acquisition = None
                self._consumer.lost(error)
            await retry.pause(self._leave)

    async def _receive(self, client: AsyncioClient) -> None:
        async with contextlib.aclosing(client.data(scaled=False)) as stream:
            while True:
                data = await self._next(stream)
                self._acquisition = follow(self._acquisition, data)
                if isinstance(data, EndData) and not data.good and self._acquisition is not None:
                    # The PandA may have captured more samples than its buffer could hold.
                    self._acquisition = replace(self._acquisition, captured=await self._consumer.captured())
                if isinstance(data, FrameData):
                    self.total += samples_in(data)
                    self.total_bytes += data.data.nbytes
                    self._rest -= data.data.nbytes
                if isinstance(data, ReadyData):
                    self._failure = ""
                    self._ready.set()
                    self._consumer.ready()
                elif self._acquisition is not None:
                    self._consumer.process(data, self._acquisition)
                if isinstance(data, EndData):
                    self._last_end = self._acquisition
                    self._ended.set()
                await self._consumer.wait_room()

    async def _next(self, stream: AsyncGenerator[Data, None]) -> Data:
        """Return the next event. After `drop`, return the received events, then raise the error given to it."""
        if self._dropped is not None and self._rest <= 0:
            raise self._dropped
        try:
            async with asyncio.timeout(None if self._dropped is None else _QUIET) as self._waiting:
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


def _reset(retry: Retry, lasted: float) -> None:
    """Reset the retry delay after a connection that was ready and lasted for a time in s."""
    if lasted > _STABLE:
        retry.succeeded()
    elif lasted > _USABLE:
        retry.reset_pause()


def _bug(problem: Exception) -> PandaError:
    """Log an internal error with its traceback; return the error that restarts the connection."""
    log.error("internal error while processing data of the PandA", exc_info=problem)
    return PandaError("internal error of the IOC: see its log")
