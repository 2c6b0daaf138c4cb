"""Exit codes of the IOC, and immediate exit when an orderly shutdown is not possible."""

import logging
import os
from typing import NoReturn

log = logging.getLogger(__name__)

#: Exit codes: normal stop; failed start or failed shutdown; stop that requires a restart, because the PandA came back
#: with other blocks or firmware, or because a client put to IOC:RESTART.
EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_RESTART = 75


def end_at_once(why: str) -> NoReturn:
    """Log the reason and exit the process immediately with `EXIT_FAILED`."""
    log.critical("%s", why)
    logging.shutdown()
    os._exit(EXIT_FAILED)
