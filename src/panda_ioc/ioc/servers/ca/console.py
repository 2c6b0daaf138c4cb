"""A Python console with the commands of the EPICS shell on the terminal of the IOC: `dbl()`, `dbpr("PV")`."""

import code
import logging
import threading

from softioc import softioc

log = logging.getLogger(__name__)

_BANNER = "Commands of EPICS: dbl(), dbgrep('*WIDTH'), dbpr('PV', 2), casr(1). Ctrl-D ends the console, Ctrl-C the IOC."


def start() -> None:
    """Start a thread that executes commands from standard input; the IOC continues after the end of the input."""
    threading.Thread(target=_prompt, name="console", daemon=True).start()


def _prompt() -> None:
    # The command `exit` would end the process without closing files.
    commands = {name: getattr(softioc, name) for name in softioc.command_names if name != "exit"}
    try:
        code.interact(_BANNER, local=commands, exitmsg="")
    except SystemExit:
        pass
    except (OSError, ValueError, RuntimeError) as error:  # standard input is closed
        log.warning("the console is not available: %s", error)
        return
    log.info("the console has ended; the IOC continues")
