"""Asyncio and blocking clients that connect `panda_ioc.protocol` to sockets."""

from .asyncio_client import AsyncioClient
from .blocking_client import BlockingClient
from .errors import PandaConnectionError, PandaTimeoutError
from .repeating import Repetition

__all__ = ["AsyncioClient", "BlockingClient", "PandaConnectionError", "PandaTimeoutError", "Repetition"]
