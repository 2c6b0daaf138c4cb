"""Return freed memory to the system, where the C library is glibc; others have no such habits.

glibc gives each thread an arena of its own, up to eight for a core, and raises the size from which memory is
mapped, and so given back, to that of the largest it has seen freed. Frames, chunks and full tables pass through here
in many shapes, in threads that come and go: each arena would keep some, 100 MB in all, which is more than a container
may have.
"""

import asyncio
import ctypes
from collections.abc import Callable

#: From malloc.h.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8

#: Two arenas are enough for threads that mostly wait; a chunk of a file is as large as this.
_ARENAS, _THRESHOLD = 2, 1 << 17

#: Seconds from look to look whether clients have gone.
_TRIM_PERIOD = 10.0

_libc = ctypes.CDLL(None)


def keep_arenas_few() -> None:
    """Limit the arenas, and the size up to which they keep memory; call it before there are threads."""
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)


async def trim_after_clients(clients: Callable[[], int]) -> None:
    """Return memory whenever clients have gone: what p4p held for them stays with the C library else.

    Args:
        clients: gives the number of clients that are connected
    """
    before = 0
    while True:
        await asyncio.sleep(_TRIM_PERIOD)
        now = clients()
        if now < before:
            await asyncio.to_thread(trim)
        before = now


def trim() -> None:
    """Return what is free now; it takes some milliseconds."""
    malloc_trim = getattr(_libc, "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
