"""Defaults, socket options and error messages shared by both clients."""

import os
import socket
from typing import Any

from ..protocol import Command
from .errors import PandaConnectionError

#: Default timeout of a command in s. The slowest command of a real PandA, reading a full table as text, takes 0.2 s.
TIMEOUT = 5.0

#: Time in s for the server to close its side after the client closed its own. A reset instead of an orderly close can
#: crash a real PandA server, so the client reads until the server has closed.
CLOSE_TIMEOUT = 1.0


#: TCP keep-alive: idle time and probe interval in s, and number of lost probes after which the connection is lost.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 2}


def keep_alive(connected: socket.socket) -> None:
    """Enable TCP keep-alive, so that the loss of an idle connection is detected within seconds."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE.items():
        if hasattr(socket, option):  # not all platforms have it
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def shown(command: Command[Any]) -> str:
    """Return a command for an error message, shortened to 80 characters."""
    text = repr(command)
    return text if len(text) <= 80 else f"{text[:77]}..."


#: Errors raised when connecting. Invalid names and ports raise UnicodeError, ValueError or OverflowError.
CANNOT_CONNECT = (OSError, ValueError, OverflowError)


def cannot_connect(host: str, port: int, error: Exception) -> PandaConnectionError:
    """Convert an error of connecting to a `PandaConnectionError` with the address and the reason."""
    if isinstance(error, TimeoutError):
        reason = "no answer in time"
    elif isinstance(error, OSError):
        reason = reason_of(error)
    else:
        reason = "invalid host name or port"
    return PandaConnectionError(f"cannot connect to {host}:{port}: {reason}", is_permanent=_is_permanent(error))


def reason_of(error: Exception) -> str:
    """Return the operating system's text for a connection error."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio's own strerror is less clear
    return getattr(error, "strerror", None) or str(error)


def _is_permanent(error: Exception) -> bool:
    """Whether a retry is useless: the host does not exist or its name is invalid. A name server may recover."""
    return not isinstance(error, OSError) or (isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN)
