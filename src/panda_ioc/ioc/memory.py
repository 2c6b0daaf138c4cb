"""Limits for the memory that glibc keeps after it was freed; other C libraries need none.

glibc creates up to eight arenas per core for threads, and it raises the mmap threshold (the size from which freed
memory goes back to the system) to the largest block freed so far. Frames, chunks and tables of many sizes pass through
short-lived threads, so the arenas would keep about 100 MB, too much for a small container.
"""

import asyncio
import ctypes
from collections.abc import Callable

#: From malloc.h.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8

#: Two arenas are enough for threads that mostly wait. The threshold is the size of a file chunk.
_ARENAS, _THRESHOLD = 2, 1 << 17

#: Interval in seconds between checks for disconnected clients.
_TRIM_PERIOD = 10.0

#: Delays in s after the release of large objects. Threads of the servers may hold copies a little longer, for example
#: until a client has received them, so the second one returns what the first one could not.
_TRIM_DELAYS = (0.1, 2.0)

_libc = ctypes.CDLL(None)


def keep_arenas_few() -> None:
    """Limit the number of arenas and fix the mmap threshold; call this before any thread starts."""
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)


async def trim_after_clients(clients: Callable[[], int]) -> None:
    """Return free memory to the system, now and when clients have disconnected.

    glibc would keep what the start of the IOC needed only once, and what p4p used for the clients.

    Args:
        clients: function that returns the number of connected clients
    """
    await asyncio.to_thread(trim)
    before = 0
    while True:
        await asyncio.sleep(_TRIM_PERIOD)
        now = clients()
        if now < before:
            await asyncio.to_thread(trim)
        before = now


def trim_soon() -> None:
    """Return the memory of large objects to the system, soon after their release; call this in the event loop."""
    for delay in _TRIM_DELAYS:
        asyncio.get_running_loop().call_later(delay, trim)


def trim() -> None:
    """Return free memory to the system; this takes some milliseconds."""
    malloc_trim = getattr(_libc, "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
