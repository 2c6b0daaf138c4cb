"""Open files during a temporary shortage of file descriptors.

Many simultaneous clients can use up the file descriptors of a process. An IOC refuses further clients within a fraction
of a second and has a reserve for its files; until then, opening a file is retried.
"""

import errno
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

#: Number of attempts, and the pause between them in s. In total longer than an IOC needs to refuse further clients.
_TRIES, _PAUSE = 25, 0.1


def opened(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Call a function that only opens a file; retry for some seconds while no file descriptor is available.

    Blocks the calling thread: do not call it from an event loop.

    Args:
        function: function that opens a file
        *arguments: its arguments
        **named: its keyword arguments

    Raises:
        OSError: error of the function, including that no descriptor became available
    """
    for _ in range(_TRIES - 1):
        try:
            return function(*arguments, **named)
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE}:
                raise
        time.sleep(_PAUSE)
    return function(*arguments, **named)
