"""What both clients share: their defaults, and how they name things in messages."""

import os
import socket
from typing import Any

from ..protocol import Command
from .errors import PandaConnectionError

#: Seconds that a command may take, unless the caller says otherwise. The slowest thing that a real PandA
#: does, reading a full table as text, takes 0.2 s.
TIMEOUT = 5.0

#: Seconds that a server has to close its side once we closed ours. A reset instead of an orderly close can
#: kill a real PandA server, so we read until it does.
CLOSE_TIMEOUT = 1.0


#: For a connection that may be silent for days: seconds of silence until the other side is asked for a sign of
#: life, from one such question to the next, and how many go unanswered before it is taken for dead.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 2}


def keep_alive(connected: socket.socket) -> None:
    """Let the system notice within seconds that nothing is at the other end, though nobody speaks."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE.items():
        if hasattr(socket, option):  # not on every system
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def shown(command: Command[Any]) -> str:
    """A command as a message shows it: short, whatever it carries."""
    text = repr(command)
    return text if len(text) <= 80 else f"{text[:77]}..."


#: What connecting may raise: a name that is none, or a port, are told as UnicodeError, ValueError, OverflowError.
CANNOT_CONNECT = (OSError, ValueError, OverflowError)


def cannot_connect(host: str, port: int, error: Exception) -> PandaConnectionError:
    """Say which connection failed and why."""
    if isinstance(error, TimeoutError):
        reason = "no answer in time"
    elif isinstance(error, OSError):
        reason = reason_of(error)
    else:
        reason = "that is not the name and port of a host"
    return PandaConnectionError(f"cannot connect to {host}:{port}: {reason}", is_permanent=_is_permanent(error))


def reason_of(error: Exception) -> str:
    """What the operating system says of an error of a connection, without what Python adds to that."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio puts something less clear into strerror
    return getattr(error, "strerror", None) or str(error)


def _is_permanent(error: Exception) -> bool:
    """Whether a host has no such name, or is none; a name server that does not answer may do so later."""
    return not isinstance(error, OSError) or (isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN)
