"""Calls that a disk may never answer, each in a thread of its own that nobody has to wait for.

The threads of an event loop's own pool are few, and its end waits for them; one dead disk would stop all else.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from .protocol import PandaError

T = TypeVar("T")

#: Seconds that a disk may take for a call.
DISK_TIMEOUT = 10.0


class DiskError(PandaError):
    """A disk that does not answer; the message says about what."""


class Disk:
    """Makes calls one after the other; while one is stuck, all others are refused.

    Args:
        timeout: seconds that a call may take
    """

    def __init__(self, timeout: float = DISK_TIMEOUT) -> None:
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._last: Future[Any] | None = None

    async def call(self, what: str, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread.

        Args:
            what: the disk that it is about, for messages
            function: what to call
            *arguments: what with

        Raises:
            DiskError: it takes too long, or an earlier call still does
            Exception: whatever the function raises
        """
        async with self._turn:
            outcome = asyncio.wrap_future(self._started(what, function, arguments))
            try:
                return await asyncio.wait_for(outcome, self._timeout)
            except TimeoutError:
                raise self._silent(what) from None

    def wait(self, what: str, function: Callable[..., T], *arguments: Any) -> T:
        """The same, for one thread that is no event loop's, and may wait itself."""
        outcome = self._started(what, function, arguments)
        try:
            return outcome.result(self._timeout)
        except TimeoutError:
            raise self._silent(what) from None

    def _started(self, what: str, function: Callable[..., T], arguments: tuple[Any, ...]) -> Future[T]:
        # Its thread may live on for a moment after the answer.
        if self._last is not None and not self._last.done():
            raise DiskError(f"{what}: the disk has not answered yet what it was asked before")
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # who gives up waiting does not end it
        threading.Thread(target=_run, args=(future, function, arguments), name="disk call", daemon=True).start()
        self._last = future
        return future

    def _silent(self, what: str) -> DiskError:
        return DiskError(f"{what}: the disk did not answer within {self._timeout:g} s")


def _run(future: Future[T], function: Callable[..., T], arguments: tuple[Any, ...]) -> None:
    try:
        result = function(*arguments)
    except Exception as error:  # noqa: BLE001 - it is raised where the call is waited for
        future.set_exception(error)
    else:
        future.set_result(result)
