"""Calls that may never return, to a disk or a name server: each runs in a thread for which nothing has to wait.

The thread pool of an event loop is small, and shutdown waits for its threads: one dead disk would block everything.
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

#: Default time limit of a call, in s.
DISK_TIMEOUT = 10.0


class NoAnswerError(PandaError):
    """A call that was not answered in time; the message names its subject and who did not answer."""


class SerialExecutor:
    """An executor of one call at a time; while a call is stuck, it refuses others.

    Args:
        whom: who answers the calls, for messages
        timeout: time limit of a call, in s
    """

    def __init__(self, whom: str = "the disk", timeout: float = DISK_TIMEOUT) -> None:
        self._whom = whom
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._last: Future[Any] | None = None
        self._until = 0.0  # deadline of the last call

    @property
    def pending(self) -> bool:
        """Whether the last call is not answered yet."""
        # The thread may live on for a moment after the answer.
        return self._last is not None and not self._last.done()

    async def call(self, what: str, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread, after earlier calls.

        Args:
            what: subject of the call, for messages
            function: function to call
            *arguments: its arguments

        Raises:
            NoAnswerError: the call, or an earlier one, exceeds the time limit
            Exception: any exception of the function
        """
        async with self._turn:
            await self._wait_for_abandoned()
            outcome = asyncio.wrap_future(self._started(what, function, arguments))
            try:
                # Not `wait_for`: in Python 3.11 it ignores a cancellation that coincides with the answer.
                async with asyncio.timeout(self._timeout):
                    return await outcome
            except TimeoutError:
                if outcome.done() and not outcome.cancelled():
                    raise  # raised by the function itself
                raise self._silent(what) from None

    async def _wait_for_abandoned(self) -> None:
        """Wait for the call of a task that was cancelled, until its deadline."""
        left = self._until - time.monotonic()
        if self._last is None or self._last.done() or left <= 0:
            return
        abandoned = asyncio.wrap_future(self._last)
        abandoned.add_done_callback(lambda call: call.cancelled() or call.exception())  # discard its exception
        await asyncio.wait({abandoned}, timeout=left)

    def wait(self, what: str, function: Callable[..., T], *arguments: Any) -> T:
        """Do the same from a thread without an event loop; it blocks, and also waits for an earlier call.

        Args:
            what: subject of the call, for messages
            function: function to call
            *arguments: its arguments

        Raises:
            NoAnswerError: the call, or an earlier one, exceeds the time limit
            Exception: any exception of the function
        """
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
            raise NoAnswerError(f"{what}: {self._whom} has not answered yet: an earlier call is still pending")
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # a caller that stops waiting cannot cancel the call
        threading.Thread(target=_run, args=(future, function, arguments), name="call", daemon=True).start()
        self._last, self._until = future, time.monotonic() + self._timeout
        return future

    def _silent(self, what: str) -> NoAnswerError:
        return NoAnswerError(f"{what}: {self._whom} did not answer within {self._timeout:g} s")


def _run(future: Future[T], function: Callable[..., T], arguments: tuple[Any, ...]) -> None:
    try:
        result = function(*arguments)
    except Exception as error:  # noqa: BLE001 - raised again where the result is awaited
        future.set_exception(error)
    else:
        future.set_result(result)
