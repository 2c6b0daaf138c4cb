"""Fewer and larger reads of a fast stream.

The kernel wakes a reader for every few packets. At gigabytes per second, these wake-ups cost both sides more than
copying the data.
"""

import socket
import sys
from typing import Protocol

#: Size of a read in bytes that shows that the stream is fast.
_FAST = 1 << 17

#: Number of bytes to wait for while the stream is fast, and number of bytes that the sender may send meanwhile.
_ENOUGH, _ROOM = 1 << 19, 1 << 22


class Socket(Protocol):
    """The sockets of both clients: a socket, or what asyncio gives for it."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """Set a socket option."""


class Coalescing:
    """The number of bytes that make a socket readable: 512 KiB while the stream is fast, otherwise 1.

    While `active`, fewer bytes wait in the kernel. If nothing is received for `PERIOD`, the caller must call `stop`,
    because these may be the last ones. The end of the stream always makes a socket readable.

    Args:
        connected: connected socket

    Attributes:
        active: whether the socket waits for more than 1 byte
    """

    #: Time in s for which received bytes may wait in the kernel.
    PERIOD = 0.002

    def __init__(self, connected: Socket) -> None:
        self.active = False
        self._socket = connected

    def received(self, count: int) -> bool:
        """Start if a read of `count` bytes shows that the stream is fast; return whether it started now."""
        if count < _FAST or self.active or sys.platform != "linux":
            return False
        try:
            self._set(_ROOM)  # Linux makes room for that many bytes, and keeps it
            self._set(_ENOUGH)
        except OSError:  # a sandbox without this option: reads remain small
            return False
        self.active = True
        return True

    def stop(self) -> None:
        """Make the socket readable at the first byte."""
        if self.active:
            self.active = False
            self._set(1)

    def _set(self, count: int) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
