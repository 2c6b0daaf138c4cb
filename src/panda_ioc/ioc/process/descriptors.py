"""File descriptors: a share for clients, and a reserve for the PandA and for files that clients cannot take.

When none is left, a server that cannot accept a connection tries again at once, for ever. So the limit of the process
is kept below the one that the system allows: clients that come all at once, however fast, reach the lower limit, and
the descriptors between the two are still there. A thread sees that, keeps clients out, and only then raises the limit
for everybody who is inside. To keep clients out, each listening socket gets a filter that drops every packet. Clients
try again by themselves; when enough descriptors are free, the limit is lowered and the filters are removed.
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
from .http import MOST_CONNECTIONS

log = logging.getLogger(__name__)

#: Descriptors that are as good as any number.
_ENOUGH = 1 << 16

#: Descriptors that clients cannot take. Besides the PandA and files, they serve connections that EPICS takes from its
#: queue after the limit was raised, and those to the HTTP server, which bounds them itself.
_OWN, _QUEUED = 24, 24
_RESERVE = _OWN + _QUEUED + MOST_CONNECTIONS

#: Clients are kept out when so few of their descriptors are free; they are let in when so many more are.
_FEW, _ROOM = 16, 32

#: Descriptors that clients must have, or nothing is reserved: an IOC without clients has about 40.
_LEAST_SHARE = 96

#: Seconds from look to look. Until a look, a server that cannot accept keeps a core busy, so clients that come and go
#: are let in again only after a multiple of that.
_PERIOD, _SHUT_AT_LEAST = 0.1, 2.0

#: Clients that may wait for a server to accept them while they are kept out.
_BACKLOG = 4

#: From linux/filter.h and asm-generic/socket.h: a program of one instruction, which returns that no byte is taken.
_RETURN_CONSTANT = 0x06
_ATTACH, _DETACH = 26, 27

#: Seconds that the end waits for the thread.
_STOP_TIMEOUT = 2.0


def raise_limit() -> int:
    """Allow as many descriptors as the system lets us; return how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
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
def descriptors_kept(bounded_port: int | None) -> Iterator[None]:
    """Keep a reserve of descriptors from clients while this lasts.

    Args:
        bounded_port: of a server that bounds its connections itself, and is left alone
    """
    limit = min(raise_limit(), _ENOUGH)
    if not Path("/proc/self/fd").is_dir():
        yield  # not Linux
        return
    if limit < _RESERVE + _LEAST_SHARE:
        log.warning(
            "only %d file descriptors are allowed, so none is reserved for the PandA and files: allow at least %d "
            "(ulimit -n)",
            limit,
            _RESERVE + _LEAST_SHARE,
        )
        yield
        return
    reserve = _Reserve(limit, bounded_port)
    try:
        yield
    finally:
        reserve.stop()


class _Reserve:
    """Keeps descriptors from clients, in a thread of its own: the event loop may be busy.

    Args:
        limit: descriptors that the system allows
        bounded_port: of a server that is left alone
    """

    def __init__(self, limit: int, bounded_port: int | None) -> None:
        self._limit = limit
        self._share = limit - _RESERVE
        self._bounded_port = bounded_port
        self._shut: list[int] = []
        self._shut_at: float | None = None
        self._news = Bounded(log.warning, lines=4, period=60)
        self._over = threading.Event()
        _allow(self._share)
        self._thread = threading.Thread(target=self._run, name="descriptors", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let everybody have all descriptors. Clients that are kept out stay so: the process ends."""
        self._over.set()
        self._thread.join(_STOP_TIMEOUT)
        _allow(self._limit)

    def _run(self) -> None:
        while not self._over.wait(_PERIOD):
            now = time.monotonic()
            if self._shut_at is None:
                if _lowest_free(self._share) >= self._share - _FEW:
                    self._shut_at = now
                    self._keep_out()
            elif now - self._shut_at >= _SHUT_AT_LEAST and self._is_room():
                self._let_in()

    def _keep_out(self) -> None:
        # Not by a list of the system, for which there may be no descriptor.
        self._shut = [each for each in range(self._share) if self._may_be_shut(each)]
        try:
            _shut(self._shut)
        except OSError as error:  # no filters: with this limit, clients take no more
            self._news.tell(f"file descriptors run out, and clients cannot be kept out: {error.strerror}")
            return
        _allow(self._limit)
        self._news.tell(
            f"clients have nearly all of their {self._share} file descriptors: no more clients are let in until some "
            f"have gone; {_RESERVE} more are reserved for the PandA, files and HTTP. Raise the limit (ulimit -n), or "
            "find out who connects"
        )

    def _let_in(self) -> None:
        _allow(self._share)
        _unshut(self._shut)
        self._shut_at = None
        self._news.tell("file descriptors are free again: clients are let in")

    def _may_be_shut(self, descriptor: int) -> bool:
        if not _is_listening(descriptor):
            return False
        with _as_socket(descriptor) as listening:
            return bool(listening.getsockname()[1] != self._bounded_port)

    def _is_room(self) -> bool:
        with suppress(OSError):
            used = sum(each < self._share for each in _descriptors())
            return self._share - used >= _FEW + _ROOM
        return False


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


def _shut(listening: Iterable[int]) -> None:
    """Have the system take no more connections for servers, and drop those that wait to be accepted.

    Raises:
        OSError: the system has no filters
    """
    instruction = ctypes.create_string_buffer(struct.pack("=HBBI", _RETURN_CONSTANT, 0, 0, 0))
    program = struct.pack("@HP", 1, ctypes.addressof(instruction))
    for descriptor in filter(_is_listening, listening):
        with _as_socket(descriptor) as server:
            server.setsockopt(socket.SOL_SOCKET, _ATTACH, program)
            if not os.get_blocking(descriptor):  # a thread that waits in accept() pauses by itself
                server.shutdown(socket.SHUT_RD)
                server.listen(_BACKLOG)


def _unshut(listening: Iterable[int]) -> None:
    for descriptor in filter(_is_listening, listening):
        with suppress(OSError), _as_socket(descriptor) as server:
            server.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
