"""Let memory that is freed go back to the system.

glibc gives each thread an arena of its own, up to eight for a core, and raises the size from which memory is
mapped, and so given back, to that of the largest it has seen freed. Frames and chunks of captured data come and go by
the hundred in threads that come and go, and each arena would keep some.
"""

import ctypes

#: From malloc.h.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8

#: Two arenas are enough for threads that mostly wait; a chunk of a file is as large as this.
_ARENAS, _THRESHOLD = 2, 1 << 17


def give_back() -> None:
    """Tell the C library, if it is glibc; others have no such habits."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)
