"""A Python prompt with the commands of the EPICS shell, on the terminal of the IOC: `dbl()`, `dbpr("PV")`."""

import code
import logging
import threading

from softioc import softioc

log = logging.getLogger(__name__)

_BANNER = "Commands of EPICS: dbl(), dbgrep('*WIDTH'), dbpr('PV', 2), casr(1). Ctrl-D ends the prompt, Ctrl-C the IOC."


def start() -> None:
    """Read commands from standard input from now on, in a thread; where that ends, the IOC serves on."""
    threading.Thread(target=_prompt, name="console", daemon=True).start()


def _prompt() -> None:
    # Not its `exit`, which would end the process in the middle of a capture.
    commands = {name: getattr(softioc, name) for name in softioc.command_names if name != "exit"}
    try:
        code.interact(_BANNER, local=commands, exitmsg="")
    except SystemExit:
        pass
    except (OSError, ValueError, RuntimeError) as error:  # there is no standard input
        log.warning("there is no console: %s", error)
        return
    log.info("the console has ended; the IOC serves on")
