"""The first meeting with a PandA, or with what is known of it."""

import asyncio
import logging

from ...client import AsyncioClient, PandaConnectionError, PandaTimeoutError
from ..link.backoff import delays
from ..link.introspect import introspect
from ..log import Repeated
from ..plan.model import Model
from .config import Config
from .state import State

log = logging.getLogger(__name__)


def new_client(config: Config) -> AsyncioClient:
    """A client for the PandA of a configuration, not connected yet."""
    return AsyncioClient(config.panda.host, config.panda.control_port, config.panda.data_port)


async def meet(config: Config, state: State) -> tuple[AsyncioClient | None, Model]:
    """Connect and ask what there is.

    While the PandA cannot be connected to, or is silent, what it had last time is served, if that was kept; else
    this waits for one that cannot be connected to.

    Returns:
        the client, None if it is not connected; and what the PandA has, or had

    Raises:
        PandaError: what is there is no PandA; or nothing was kept, and it is silent or there is no such host
    """
    client = new_client(config)
    warning = Repeated(log.warning)
    for attempt, pause in enumerate(delays()):
        try:
            await client.connect()
            return client, await introspect(client)
        except (PandaConnectionError, PandaTimeoutError) as error:
            await client.close()
            kept = None if attempt else await state.panda()  # it says the same each time
            if kept is not None:
                log.warning("%s; until it is there, what it had last time is shown, in alarm", error)
                return None, kept
            if isinstance(error, PandaTimeoutError) or error.is_permanent:
                raise
            warning.tell(f"{error}; waiting for it")
        except BaseException:
            await client.close()
            raise
        await asyncio.sleep(pause)
    raise AssertionError  # the delays never end
