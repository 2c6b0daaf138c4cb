"""Opening files while file descriptors are short for a moment.

Clients that come all at once may take every descriptor that a process allows. An IOC keeps them out within a fraction
of a second, and has a reserve for its files; until then, whoever opens a file tries again.
"""

import errno
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

#: Times that a file is tried, with a pause in s: longer than an IOC takes to keep clients out.
_TRIES, _PAUSE = 25, 0.1


def opened(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Call a function that opens a file and does nothing else; where no descriptor is left, try again for some seconds.

    The calling thread waits meanwhile: no event loop may call this.

    Raises:
        OSError: whatever the function raises, in the end also that no descriptor is left
    """
    for _ in range(_TRIES - 1):
        try:
            return function(*arguments, **named)
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE}:
                raise
        time.sleep(_PAUSE)
    return function(*arguments, **named)
