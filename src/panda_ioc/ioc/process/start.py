"""The first meeting with a PandA, or with what is known of it."""

import itertools
import logging

from ...client import PandaConnectionError, PandaTimeoutError
from ..link.backoff import Retry
from ..link.panda import PandaLink
from ..plan.model import Model
from .state import State

log = logging.getLogger(__name__)


async def connect_or_cached(link: PandaLink, state: State) -> Model:
    """Connect, and return what the PandA has.

    While the PandA cannot be connected to, or is silent, what it had last time is served, if that was kept; else
    this waits for one that cannot be connected to.

    Raises:
        PandaError: what is there is no PandA; or nothing was kept, and it is silent or there is no such host
    """
    retry = Retry(log.warning)
    for attempt in itertools.count():
        try:
            return await link.connect()
        except (PandaConnectionError, PandaTimeoutError) as error:
            kept = None if attempt else await state.panda()  # it says the same each time
            if kept is not None:
                log.warning("%s; until it is there, what it had last time is shown, in alarm", error)
                link.assume(kept, "it was not there when the IOC started")
                return kept
            if isinstance(error, PandaTimeoutError) or error.is_permanent:
                raise
            retry.failed(f"{error}; waiting for it")
        await retry.pause()
    raise AssertionError  # it counts on and on
