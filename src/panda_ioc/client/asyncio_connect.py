"""Open asyncio connections. A name server that does not answer cannot block the caller."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ..calls import NoAnswerError, SerialExecutor
from .common import CANNOT_CONNECT, cannot_connect
from .errors import PandaConnectionError

P = TypeVar("P", bound=asyncio.BaseProtocol)


def name_server(timeout: float) -> SerialExecutor:
    """Return an executor that resolves host names, each within `timeout` seconds."""
    return SerialExecutor("the name server", timeout)


async def connect(names: SerialExecutor, make: Callable[[], P], host: str, port: int, timeout: float) -> P:
    """Connect to a TCP port.

    Args:
        names: executor that resolves host names
        make: factory of the asyncio protocol
        host: name or address
        port: TCP port
        timeout: maximum duration in s

    Raises:
        PandaConnectionError: the host is unknown, refuses the connection, or does not answer in time
    """
    try:
        async with asyncio.timeout(timeout):
            addresses = await names.call(host, socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
            return await _first_of(make, addresses)
    except NoAnswerError as error:
        raise PandaConnectionError(f"cannot connect to {host}:{port}: {error}") from error
    except CANNOT_CONNECT as error:
        raise cannot_connect(host, port, error) from error


async def _first_of(make: Callable[[], P], addresses: Iterable[tuple[Any, ...]]) -> P:
    """Connect to the first reachable address of those returned by `getaddrinfo`."""
    failure = OSError("the host has no address")
    for family, _, _, _, address in addresses:
        try:
            _, protocol = await asyncio.get_running_loop().create_connection(make, *address[:2], family=family)
        except OSError as error:
            failure = error
        else:
            return protocol
    raise failure
