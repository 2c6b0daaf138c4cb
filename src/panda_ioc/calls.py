"""Calls that may never be answered, by a disk or a name server, each in a thread that nobody has to wait for.

The threads of an event loop's own pool are few, and its end waits for them; one dead disk would stop all else.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from typing import Any, TypeVar

from .protocol import PandaError

T = TypeVar("T")

#: Seconds that a disk may take for a call.
DISK_TIMEOUT = 10.0


class NoAnswerError(PandaError):
    """A call that is not answered; the message says what it was about, and by whom."""


class Calls:
    """Makes calls one after the other; while one is stuck, all others are refused.

    Args:
        whom: who is to answer, for messages
        timeout: seconds that a call may take
    """

    def __init__(self, whom: str = "the disk", timeout: float = DISK_TIMEOUT) -> None:
        self._whom = whom
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._last: Future[Any] | None = None
        self._until = 0.0  # when the last call has had its time

    @property
    def pending(self) -> bool:
        """Whether a call has not been answered yet."""
        # Its thread may live on for a moment after the answer.
        return self._last is not None and not self._last.done()

    async def call(self, what: str, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread.

        Args:
            what: what it is about, for messages
            function: what to call
            *arguments: what with

        Raises:
            NoAnswerError: it takes too long, or an earlier call still does
            Exception: whatever the function raises
        """
        async with self._turn:
            await self._wait_for_abandoned()
            outcome = asyncio.wrap_future(self._started(what, function, arguments))
            try:
                # Not `wait_for`, which in Python 3.11 forgets that it was cancelled when the answer is there.
                async with asyncio.timeout(self._timeout):
                    return await outcome
            except TimeoutError:
                if outcome.done() and not outcome.cancelled():
                    raise  # by the function itself
                raise self._silent(what) from None

    async def _wait_for_abandoned(self) -> None:
        """Wait for the call of a task that was cancelled, for the time that it would have been waited for."""
        left = self._until - time.monotonic()
        if self._last is None or self._last.done() or left <= 0:
            return
        abandoned = asyncio.wrap_future(self._last)
        abandoned.add_done_callback(lambda call: call.cancelled() or call.exception())  # nobody wants it any more
        await asyncio.wait({abandoned}, timeout=left)

    def wait(self, what: str, function: Callable[..., T], *arguments: Any) -> T:
        """The same, for one thread that is no event loop's, and may wait itself, also for an earlier call."""
        if self._last is not None:
            futures.wait((self._last,), self._timeout)
        outcome = self._started(what, function, arguments)
        try:
            return outcome.result(self._timeout)
        except TimeoutError:
            if outcome.done():
                raise
            raise self._silent(what) from None

    def _started(self, what: str, function: Callable[..., T], arguments: tuple[Any, ...]) -> Future[T]:
        if self.pending:
            raise NoAnswerError(f"{what}: {self._whom} has not answered yet what it was asked before")
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # who gives up waiting does not end it
        threading.Thread(target=_run, args=(future, function, arguments), name="call", daemon=True).start()
        self._last, self._until = future, time.monotonic() + self._timeout
        return future

    def _silent(self, what: str) -> NoAnswerError:
        return NoAnswerError(f"{what}: {self._whom} did not answer within {self._timeout:g} s")


def _run(future: Future[T], function: Callable[..., T], arguments: tuple[Any, ...]) -> None:
    try:
        result = function(*arguments)
    except Exception as error:  # noqa: BLE001 - it is raised where the call is waited for
        future.set_exception(error)
    else:
        future.set_result(result)
