"""File descriptors: as many as there may be, and some kept for the PandA, files and whoever is here already.

When none is left, a server that cannot accept a connection tries again at once, for ever. So before that, connections
that come are dropped by the system: a filter on each listening socket takes nothing, until there is room again.
Clients try again by themselves. Those who are served are served on.
"""

import asyncio
import ctypes
import logging
import os
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..log import Repeated

log = logging.getLogger(__name__)

#: Descriptors that are as good as any number.
_ENOUGH = 1 << 16

#: Descriptors that are kept from clients, and how many more must be free for clients to be let in again. Some are held,
#: as clients that come all at once take the others before it is seen.
_KEPT, _ROOM, _HELD = 48, 16, 24

#: Seconds from look to look: clients that come at once must not take what is kept before it is seen.
_PERIOD = 0.02
_PERIOD_FULL = 0.5

#: So many free descriptors are not taken within a second, so until the next look there is that long.
_PLENTY, _PERIOD_OF_PLENTY = 4096, 1.0

#: Seconds after which servers are looked for again: to find them takes a descriptor.
_FIND_PERIOD = 2.0

#: Clients that may wait for a server to accept them.
_BACKLOG = 16

#: From linux/filter.h and asm-generic/socket.h: a program of one instruction, which returns that no byte is taken.
_RETURN_CONSTANT = 0x06
_ATTACH, _DETACH = 26, 27


def raise_limit() -> int:
    """Allow as many descriptors as the system lets us; return how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    with suppress(OSError, ValueError):  # then it stays as it is
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


@contextmanager
def descriptors_kept(bounded_port: int | None) -> Iterator[None]:
    """Keep a reserve while this lasts, in a running event loop.

    Args:
        bounded_port: of a server that bounds its connections itself, and is left alone
    """
    limit = raise_limit()
    if not Path("/proc/self/fd").is_dir() or limit <= 4 * _KEPT:
        yield  # not Linux; or so few that nothing can be kept
        return
    keeping = _Keeping(limit, bounded_port)
    try:
        yield
    finally:
        keeping.stop()


class _Keeping:
    def __init__(self, limit: int, bounded_port: int | None) -> None:
        self._limit = limit
        self._bounded_port = bounded_port
        self._listening: list[int] = []
        self._is_shut = False
        self._held: list[int] = []
        self._warning = Repeated(log.warning)
        self._loop = asyncio.get_running_loop()
        self._find_at = 0.0
        self._hold()
        self._timer: asyncio.Handle = self._loop.call_soon(self._look)

    def stop(self) -> None:
        self._timer.cancel()
        self._let_go()

    def _look(self) -> None:
        self._timer = self._loop.call_later(self._period(), self._look)
        with suppress(OSError):  # there is none left even for this; the next look may find some
            if self._is_shut:
                if self._limit - len(_descriptors()) >= _KEPT + _ROOM:
                    self._open()
            elif _lowest_free(self._limit) >= self._limit - _KEPT:
                self._close()
            elif self._loop.time() >= self._find_at:
                self._find_at = self._loop.time() + _FIND_PERIOD
                self._listening = [descriptor for descriptor in _descriptors() if self._may_be_shut(descriptor)]

    def _period(self) -> float:
        if self._is_shut:
            return _PERIOD_FULL
        with suppress(OSError):
            if _lowest_free(self._limit) < self._limit - _PLENTY:
                return _PERIOD_OF_PLENTY
        return _PERIOD

    def _may_be_shut(self, descriptor: int) -> bool:
        if not _is_listening(descriptor):
            return False
        with _as_socket(descriptor) as listening:
            return bool(listening.getsockname()[1] != self._bounded_port)

    def _close(self) -> None:
        self._is_shut = True
        for descriptor in self._listening:
            _shut(descriptor)
        self._let_go()
        self._warning.tell(
            f"fewer than {_KEPT} of {self._limit} file descriptors are left: no more clients are let in until some "
            "have gone. Raise the limit (ulimit -n), or find out who connects"
        )

    def _open(self) -> None:
        self._hold()
        for descriptor in self._listening:
            _unshut(descriptor)
        self._is_shut = False
        log.info("there are file descriptors again: clients are let in")

    def _hold(self) -> None:
        self._held = [os.open("/dev/null", os.O_RDONLY) for _ in range(_HELD)]

    def _let_go(self) -> None:
        while self._held:
            os.close(self._held.pop())


@contextmanager
def _as_socket(descriptor: int) -> Iterator[socket.socket]:
    """A descriptor that belongs to somebody else, without a new one. It must be a socket."""
    borrowed = socket.socket(fileno=descriptor)
    try:
        yield borrowed
    finally:
        borrowed.detach()


def _lowest_free(limit: int) -> int:
    """The number that the next descriptor would have; all below it are used."""
    try:
        descriptor = os.open("/dev/null", os.O_RDONLY)
    except OSError:
        return limit
    os.close(descriptor)
    return descriptor


def _descriptors() -> list[int]:
    return [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]


def _is_listening(descriptor: int) -> bool:
    try:
        with _as_socket(descriptor) as maybe:
            is_tcp = maybe.type == socket.SOCK_STREAM and maybe.family in {socket.AF_INET, socket.AF_INET6}
            return is_tcp and bool(maybe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False


def _shut(descriptor: int) -> None:
    """Have the system take no more connections for a server, and drop those that wait to be accepted."""
    instruction = ctypes.create_string_buffer(struct.pack("=HBBI", _RETURN_CONSTANT, 0, 0, 0))
    program = struct.pack("@HP", 1, ctypes.addressof(instruction))
    if not _is_listening(descriptor):
        return  # it was closed since it was found
    with suppress(OSError), _as_socket(descriptor) as listening:
        listening.setsockopt(socket.SOL_SOCKET, _ATTACH, program)
        if not os.get_blocking(descriptor):  # a thread that waits in accept() pauses by itself, and would be disturbed
            listening.shutdown(socket.SHUT_RD)
            listening.listen(_BACKLOG)


def _unshut(descriptor: int) -> None:
    with suppress(OSError), _as_socket(descriptor) as listening:
        listening.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
