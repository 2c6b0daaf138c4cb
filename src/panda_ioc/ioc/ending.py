"""How the process ends: exit codes, and an end at once where an orderly one does not come."""

import logging
import os
from typing import NoReturn

log = logging.getLogger(__name__)

#: Exit codes: of a normal end; of a start that failed, or an end that did not go well; and of an end that is to be
#: followed by a new start, as the PandA came back as another one, or somebody wants it.
EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_RESTART = 75


def end_at_once(why: str) -> NoReturn:
    """End the process without waiting for anything; the reason is logged."""
    log.critical("%s", why)
    logging.shutdown()
    os._exit(EXIT_FAILED)
