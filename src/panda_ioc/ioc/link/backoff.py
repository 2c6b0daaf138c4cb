"""Pauses between connection attempts, for the control port, the data port and the first connection."""

import asyncio
import contextlib
import random
from collections.abc import Callable

from ..log import Repeated

#: First and maximum pause in s.
_FIRST, _MAX = 0.5, 10.0


class Retry:
    """Pauses that grow while attempts fail, and a warning for each new reason.

    Args:
        warn: logs a line
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self.succeeded()

    def succeeded(self) -> None:
        """Reset the pause and the warning."""
        self.reset_pause()
        self._warning = Repeated(self._warn)

    def reset_pause(self) -> None:
        """Reset the pause only, so that a repeated reason is still not logged again."""
        self._delay = _FIRST

    def failed(self, why: str) -> None:
        """Log the reason of a failed attempt, unless it is the same as before."""
        self._warning.tell(why)

    async def pause(self, unless: asyncio.Event | None = None) -> None:
        """Wait before the next attempt; the pause doubles each time and is reduced by a random part of up to half.

        Args:
            unless: an event that ends the pause
        """
        delay = self._delay * random.uniform(0.5, 1)
        self._delay = min(2 * self._delay, _MAX)
        if unless is None:
            await asyncio.sleep(delay)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await unless.wait()
