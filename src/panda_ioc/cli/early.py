"""Signal handling and garbage collection at the start of the IOC, before anything needs an orderly shutdown.

The package imports this module first. SIGINT and SIGTERM are requests to stop, so the process exits with 0. The start
script of the container blocks these signals (`env --block-signal`) until this module unblocks them.
"""

import atexit
import gc
import os
import signal
import sys
from collections.abc import Iterable

#: Signals that stop the IOC.
SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: Interval in s of the interruptions of blocking system calls. Python checks for signals before a call; a signal that
#: arrives between the check and the call would wait for the end of the call, such as a read of a pipe.
_INTERRUPTIONS = 0.2

#: The commands that run the IOC.
_COMMANDS = {"run", "softioc"}


def exit_on_signals() -> None:
    """Exit with 0 immediately on a signal, until the event loop of the IOC installs its own handlers."""
    for number in SIGNALS:
        # No normal exit of Python: another thread may be loading EPICS.
        signal.signal(number, lambda *_: os._exit(0))
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, _INTERRUPTIONS, _INTERRUPTIONS)
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)  # at exit, Python removes the handler of SIGALRM
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _command(arguments: Iterable[str]) -> str:
    """Return the first argument that is neither an option nor the value of --log-level: "save HOST run" is a save."""
    left = iter(arguments)
    for argument in left:
        if argument == "--log-level":
            next(left, None)
        elif not argument.startswith("-"):
            return argument
    return ""


if _command(sys.argv[1:]) in _COMMANDS:
    exit_on_signals()
    gc.disable()  # it takes a tenth of the time of the imports; `serve` enables it again
