"""Calls that a disk may never answer, each in a thread of its own that nobody has to wait for.

The threads of an event loop's own pool are few, and its end waits for them; one dead disk would stop all else.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from ...capture.errors import CaptureError

T = TypeVar("T")

#: Seconds that a disk may take for a call.
DISK_TIMEOUT = 10.0


class Disk:
    """Makes calls one after the other; while one is stuck, all others are refused."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._stuck: threading.Thread | None = None

    async def call(self, what: str, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in a thread.

        Args:
            what: the disk that it is about, for messages
            function: what to call
            *arguments: what with

        Raises:
            CaptureError: it takes too long, or an earlier call still does
            Exception: whatever the function raises
        """
        async with self._turn:
            if self._stuck is not None and self._stuck.is_alive():
                raise CaptureError(f"{what}: the disk has not answered yet what it was asked before")
            loop = asyncio.get_running_loop()
            future: asyncio.Future[T] = loop.create_future()

            def run() -> None:
                try:
                    result = function(*arguments)
                except Exception as error:  # noqa: BLE001 - it is raised where the call is awaited
                    tell(future.set_exception, error)
                else:
                    tell(future.set_result, result)

            def tell(how: Callable[[Any], None], outcome: Any) -> None:
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(lambda: None if future.done() else how(outcome))

            self._stuck = threading.Thread(target=run, name="disk call", daemon=True)
            self._stuck.start()
            try:
                return await asyncio.wait_for(future, DISK_TIMEOUT)
            except TimeoutError:
                raise CaptureError(f"{what}: the disk did not answer within {DISK_TIMEOUT:g} s") from None
