"""Run panda-ioc with a disk that is stuck for some seconds of each minute.

python stalling.py SECONDS [arguments of panda-ioc]

The writer thread waits before it writes or flushes, as it does in the kernel if a disk or a network file system is
stuck. Everything else continues.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from panda_ioc.capture.hdf import HdfFile
from panda_ioc.cli.main import main

PERIOD = 60.0


def stalling(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """Make a function wait at the end of each period."""
    began = time.monotonic()

    def stalled(*arguments: Any) -> Any:
        into = (time.monotonic() - began) % PERIOD
        if into > PERIOD - seconds:
            time.sleep(PERIOD - into)
        return function(*arguments)

    return stalled


if __name__ == "__main__":
    duration = float(sys.argv.pop(1))
    HdfFile.write = stalling(HdfFile.write, duration)  # type: ignore[method-assign]
    HdfFile.flush = stalling(HdfFile.flush, duration)  # type: ignore[method-assign]
    main()
