"""Memory for received data, reused as soon as no frame refers to it.

Fresh memory is expensive: the kernel clears each page of it at the first access.
"""

import weakref
from collections import deque

import numpy as np
import numpy.typing as npt

#: Size of a block in bytes. It holds many frames, so few are split between two blocks and must be copied.
BLOCK = 1 << 21

#: Maximum number of unused blocks to keep.
_MAX_UNUSED = 4


class BlockPool:
    """The blocks of one receive buffer."""

    def __init__(self) -> None:
        self._unused: deque[memoryview] = deque(maxlen=_MAX_UNUSED)

    def take(self, size: int) -> tuple[memoryview, npt.NDArray[np.uint8]]:
        """Return a block of at least a size in bytes: as memory to write to, and as a read-only array.

        The memory is reused once the array and all its views are deleted, in any thread.
        """
        block = self._unused.pop() if size <= BLOCK and self._unused else memoryview(bytearray(max(size, BLOCK)))
        # numpy makes this array the base of all its views, because its own base is not an array. They keep it alive.
        array = np.frombuffer(block, np.uint8)
        array.flags.writeable = False
        if len(block) == BLOCK:
            weakref.finalize(array, self._unused.append, block).atexit = False
        return block, array
