"""The first connection to the PandA, or its cached description."""

import itertools
import logging

from ...client import PandaConnectionError, PandaTimeoutError
from ..link.backoff import Retry
from ..link.panda import PandaLink
from ..plan.model import Model
from .state import StateDirectory

log = logging.getLogger(__name__)


async def connect_or_cached(link: PandaLink, state: StateDirectory) -> Model:
    """Connect to the PandA and return its description.

    If the PandA is unreachable or silent, return its cached description. Without a cached description, retry until the
    PandA accepts a connection.

    Raises:
        PandaError: the server is not a PandA; or there is no cached description, and the PandA is silent or the host
            unknown
    """
    retry = Retry(log.warning)
    for attempt in itertools.count():
        try:
            return await link.connect()
        except (PandaConnectionError, PandaTimeoutError) as error:
            cached = None if attempt else await state.cached_panda()  # the cache does not change between attempts
            if cached is not None:
                log.warning("%s; until it connects, the IOC serves its cached description, in alarm", error)
                link.use_cached(cached, "not reachable when the IOC started")
                return cached
            if isinstance(error, PandaTimeoutError) or error.is_permanent:
                raise
            retry.failed(f"{error}; retrying until it connects")
        await retry.pause()
    raise AssertionError  # count() is infinite
