"""Signal handling and garbage collection at the start of the IOC, before anything needs an orderly shutdown.

The package imports this module first. SIGINT and SIGTERM are requests to stop, so the process exits with 0. The start
script of the container blocks these signals (`env --block-signal`) until this module unblocks them.
"""

import gc
import os
import signal
import sys

#: Signals that stop the IOC.
SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: The commands that run the IOC.
_COMMANDS = {"run", "softioc"}


def exit_on_signals() -> None:
    """Exit with 0 immediately on a signal, until the event loop of the IOC installs its own handlers."""
    for number in SIGNALS:
        # No normal exit of Python: another thread may be loading EPICS.
        signal.signal(number, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


if _COMMANDS.intersection(sys.argv[1:]):
    exit_on_signals()
    gc.disable()  # it takes a tenth of the time of the imports; `serve` enables it again
