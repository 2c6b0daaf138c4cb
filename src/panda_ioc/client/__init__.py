"""Clients for a PandA: the protocol of `panda_ioc.protocol` over real sockets."""

from .asyncio_client import AsyncioClient
from .blocking_client import BlockingClient
from .errors import PandaConnectionError, PandaTimeoutError

__all__ = ["AsyncioClient", "BlockingClient", "PandaConnectionError", "PandaTimeoutError"]
