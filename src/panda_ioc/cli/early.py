"""Signals in the first moments of an IOC, before anything is there that would have to be ended in order.

The package imports this before all else. An IOC that is told to stop has done as it was told, so it ends with 0, also
when it had not yet begun. A container's start script has signals wait (`env --block-signal`) until this lets them in.
"""

import os
import signal
import sys

#: Signals by which an IOC is told to stop.
SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: The commands that run an IOC.
_COMMANDS = {"run", "softioc"}


def end_when_told() -> None:
    """End with 0 at once when a signal comes; until the event loop of the IOC takes them over."""
    for number in SIGNALS:
        # Python must not come to its end in order: EPICS may be being loaded by another thread.
        signal.signal(number, lambda *_: os._exit(0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


if _COMMANDS.intersection(sys.argv[1:]):
    end_when_told()
