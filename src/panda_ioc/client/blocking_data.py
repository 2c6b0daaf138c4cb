"""The data port of the blocking client. The socket receives directly into the buffer of a `DataConnection`."""

import contextlib
import socket
import time
from collections.abc import Generator

from ..protocol import Data, DataConnection, RemoteProtocolError
from .coalescing import Coalescing
from .common import CANNOT_CONNECT, CLOSE_TIMEOUT, cannot_connect, keep_alive, reason_of
from .errors import PandaConnectionError, PandaTimeoutError


def data(
    host: str, port: int, connect_timeout: float, *, scaled: bool, timeout: float | None
) -> Generator[Data, None, None]:
    """Connect to a data port and yield its events; see `BlockingClient.data`."""
    address = f"{host}:{port}"
    try:
        connected = socket.create_connection((host, port), connect_timeout)
    except CANNOT_CONNECT as error:
        raise cannot_connect(host, port, error) from error
    connection, coalescing = DataConnection(), Coalescing(connected)
    try:
        keep_alive(connected)
        connected.sendall(connection.connect(scaled))
        connected.settimeout(timeout)
        while True:
            count = _receive(connected, connection.get_buffer(), coalescing, timeout)
            if not count:
                yield from _closed(connection, address)
            yield from connection.buffer_updated(count)
    except TimeoutError as error:
        raise PandaTimeoutError(f"{address} sent nothing for {timeout:g} s") from error
    except OSError as error:
        raise PandaConnectionError(f"lost the data connection to {address}: {reason_of(error)}") from error
    finally:
        coalescing.stop()  # unread bytes in the kernel would turn the close into a reset
        end(connected)


def _receive(connected: socket.socket, buffer: memoryview, coalescing: Coalescing, timeout: float | None) -> int:
    """Receive into a buffer; return the number of bytes, or 0 at the end of the stream."""
    while True:
        try:
            count = connected.recv_into(buffer)
        except TimeoutError:
            if not coalescing.active:
                raise
            coalescing.stop()
            connected.settimeout(timeout)
            continue
        if coalescing.received(count):
            connected.settimeout(coalescing.PERIOD)
        return count


def _closed(connection: DataConnection, address: str) -> Generator[Data, None, None]:
    try:
        yield from connection.receive_bytes(b"")
    except RemoteProtocolError as error:
        raise PandaConnectionError(f"{address}: {error}") from error


def end(connected: socket.socket) -> None:
    """Close our side, and read until the server has closed its own: a reset can crash a real PandA server."""
    deadline = time.monotonic() + CLOSE_TIMEOUT
    with contextlib.closing(connected), contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_WR)
        connected.settimeout(CLOSE_TIMEOUT)
        scratch = bytearray(1 << 18)
        while connected.recv_into(scratch) and time.monotonic() < deadline:
            pass
