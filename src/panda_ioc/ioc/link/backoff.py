"""Trying again to connect: one way for the control port, the data port and the first meeting."""

import asyncio
import contextlib
import random
from collections.abc import Callable

from ..log import Repeated

#: Seconds: the first pause, and the longest.
_SHORTEST, _LONGEST = 0.5, 10.0


class Retry:
    """Pauses between attempts, which grow only while they fail, and a warning for each new reason.

    Args:
        warn: takes a line for the log
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self.succeeded()

    def succeeded(self) -> None:
        """Begin with a short pause after the next failure, and with a warning."""
        self._delay = _SHORTEST
        self._warning = Repeated(self._warn)

    def failed(self, why: str) -> None:
        """Say why an attempt failed."""
        self._warning.tell(why)

    async def pause(self, unless: asyncio.Event | None = None) -> None:
        """Wait before the next attempt: twice as long as before, less a random part of up to a half.

        Args:
            unless: ends the pause when it is set
        """
        delay = self._delay * random.uniform(0.5, 1)
        self._delay = min(2 * self._delay, _LONGEST)
        if unless is None:
            await asyncio.sleep(delay)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await unless.wait()
