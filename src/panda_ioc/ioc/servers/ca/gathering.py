"""Monitors of many clients are told together.

EPICS has a thread for each client, and each is woken for each update, which costs more than all else of a put: with 200
clients, 10 ms. So while so many are connected, what changes within a moment is told in one go; of a record that changed
twice in it, monitors see the last value, as EPICS does it for clients that are slow. The first change is told at once.
"""

import asyncio
from collections.abc import Callable

#: Connections from which on updates are gathered, and the seconds in which they are.
CROWD, PERIOD = 16, 0.02


class Gathering:
    """Decides when monitors are told; it is made in the event loop, and called there.

    Args:
        circuits: gives the number of clients that are connected
    """

    def __init__(self, circuits: Callable[[], int]) -> None:
        self._circuits = circuits
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Callable[[], None]] = []
        self._is_open = False

    def takes(self, tell: Callable[[], None]) -> bool:
        """Return whether an update is told later, by `tell`; else it is to be told now."""
        if self._is_open:
            self._waiting.append(tell)
            return True
        self._open()
        return False

    def _open(self) -> None:
        self._is_open = self._circuits() >= CROWD
        if self._is_open:
            self._loop.call_later(PERIOD, self._close)

    def _close(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._is_open = False
        if waiting:
            self._open()
        for tell in waiting:
            tell()
