"""File descriptors: a share for clients, and a reserve for the PandA and for files.

Without free descriptors, a server that cannot accept a connection retries in a busy loop. Therefore the soft limit of
the process is lower than the limit that the system allows: a burst of clients reaches the soft limit, and the reserve
above it stays free. A thread detects this, blocks new clients, and then raises the soft limit for the rest of the
process. To block clients, it attaches a filter that drops every packet to each listening socket. Clients retry
automatically. When enough descriptors are free, the thread lowers the soft limit and removes the filters.
"""

import ctypes
import errno
import logging
import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..log import Bounded
from .http import MAX_CONNECTIONS

log = logging.getLogger(__name__)

#: The soft limit if the system allows more.
_MAX_LIMIT = 1 << 16

#: Descriptors in the reserve: for the PandA and files; for connections that EPICS accepts from its queue after the
#: limit was raised; for the HTTP server, which limits its connections itself.
_OWN, _QUEUED = 24, 24
_RESERVE = _OWN + _QUEUED + MAX_CONNECTIONS

#: New clients are blocked at this number of free descriptors in their share; they are accepted at the sum of both.
_BLOCK_AT, _HYSTERESIS = 16, 32

#: Minimum share of clients; with less, there is no reserve. An IOC without clients has about 40 descriptors.
_MIN_SHARE = 96

#: Minimum and maximum check period, and minimum blocking time in s. Until a check, a server that cannot accept keeps a
#: core busy; the blocking time limits how often this happens.
_MIN_PERIOD, _MAX_PERIOD, _MIN_BLOCKED = 0.1, 1.0, 2.0

#: Maximum number of connections that servers accept a second, from which the check period follows.
_MAX_ACCEPTED = 10_000

#: Backlog of a listening socket while clients are blocked.
_BACKLOG = 4

#: From linux/filter.h and asm-generic/socket.h: a filter program of one instruction, which drops every packet.
_RETURN_CONSTANT = 0x06
_ATTACH, _DETACH = 26, 27

#: Time limit for the end of the thread, in s.
_STOP_TIMEOUT = 2.0


def raise_limit() -> int:
    """Raise the soft limit as far as the system allows; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_LIMIT if hard == resource.RLIM_INFINITY else min(hard, _MAX_LIMIT)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    return wanted if _allow(wanted) else soft


def _allow(limit: int) -> bool:
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    except (OSError, ValueError):
        return False
    return True


@contextmanager
def descriptors_reserved(bounded_port: int | None) -> Iterator[None]:
    """Reserve descriptors for the PandA and files within the context.

    Args:
        bounded_port: the port of a server that limits its connections itself and is not blocked
    """
    limit = min(raise_limit(), _MAX_LIMIT)
    if not Path("/proc/self/fd").is_dir():
        yield  # not Linux
        return
    if limit < _RESERVE + _MIN_SHARE:
        log.warning(
            "the limit of %d file descriptors is too low to reserve some for the PandA and files: allow at least %d "
            "(ulimit -n)",
            limit,
            _RESERVE + _MIN_SHARE,
        )
        yield
        return
    reserve = _Reserve(limit, bounded_port)
    try:
        yield
    finally:
        reserve.stop()


class _Reserve:
    """A thread that blocks new clients while descriptors are short, also if the event loop is busy.

    Args:
        limit: the number of descriptors that the system allows
        bounded_port: the port of a server that is not blocked
    """

    def __init__(self, limit: int, bounded_port: int | None) -> None:
        self._limit = limit
        self._share = limit - _RESERVE
        self._bounded_port = bounded_port
        self._blocked: list[int] = []
        self._blocked_at: float | None = None
        self._warning = Bounded(log.warning, lines=4, period=60)
        self._stopping = threading.Event()
        _allow(self._share)
        self._thread = threading.Thread(target=self._run, name="descriptors", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and release the reserve; blocked clients stay blocked, because the process ends."""
        self._stopping.set()
        self._thread.join(_STOP_TIMEOUT)
        _allow(self._limit)

    def _run(self) -> None:
        period = _MIN_PERIOD
        while not self._stopping.wait(period):
            now = time.monotonic()
            if self._blocked_at is None:
                free = self._share - _lowest_free(self._share)
                period = min(max(free / _MAX_ACCEPTED, _MIN_PERIOD), _MAX_PERIOD)
                if free <= _BLOCK_AT:
                    self._blocked_at = now
                    self._block_clients()
            elif now - self._blocked_at >= _MIN_BLOCKED and self._has_room():
                self._accept_clients()

    def _block_clients(self) -> None:
        # Not from /proc/self/fd: reading it needs a descriptor.
        self._blocked = [each for each in range(self._share) if self._may_be_blocked(each)]
        try:
            _block(self._blocked)
        except OSError as error:  # no filters: the soft limit stays, which protects the reserve
            self._warning.tell(f"file descriptors run out, and new clients cannot be blocked: {error.strerror}")
            return
        _allow(self._limit)
        self._warning.tell(
            f"clients use nearly all of their {self._share} file descriptors: new connections are refused until some "
            f"are closed; {_RESERVE} more are reserved for the PandA, files and HTTP. Raise the limit (ulimit -n), or "
            "find the clients that connect"
        )

    def _accept_clients(self) -> None:
        _allow(self._share)
        _unblock(self._blocked)
        self._blocked_at = None
        self._warning.tell("file descriptors are free again: new connections are accepted")

    def _may_be_blocked(self, descriptor: int) -> bool:
        if not _is_listening(descriptor):
            return False
        with _as_socket(descriptor) as listening:
            return bool(listening.getsockname()[1] != self._bounded_port)

    def _has_room(self) -> bool:
        with suppress(OSError):
            used = sum(each < self._share for each in _descriptors())
            return self._share - used >= _BLOCK_AT + _HYSTERESIS
        return False


@contextmanager
def _as_socket(descriptor: int) -> Iterator[socket.socket]:
    """Wrap the descriptor of a socket without duplicating or closing it."""
    borrowed = socket.socket(fileno=descriptor)
    try:
        yield borrowed
    finally:
        borrowed.detach()


def _lowest_free(limit: int) -> int:
    """Return the lowest free descriptor, or the limit if all are used."""
    try:
        descriptor = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            return limit
        return 0
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


def _block(listening: Iterable[int]) -> None:
    """Block new connections to listening sockets, and drop the connections in their backlogs.

    Raises:
        OSError: the system does not support socket filters
    """
    instruction = ctypes.create_string_buffer(struct.pack("=HBBI", _RETURN_CONSTANT, 0, 0, 0))
    program = struct.pack("@HP", 1, ctypes.addressof(instruction))
    for descriptor in filter(_is_listening, listening):
        with _as_socket(descriptor) as server:
            server.setsockopt(socket.SOL_SOCKET, _ATTACH, program)
            if not os.get_blocking(descriptor):  # a thread that blocks in accept() is not a busy loop
                server.shutdown(socket.SHUT_RD)
                server.listen(_BACKLOG)


def _unblock(listening: Iterable[int]) -> None:
    for descriptor in filter(_is_listening, listening):
        with suppress(OSError), _as_socket(descriptor) as server:
            server.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
