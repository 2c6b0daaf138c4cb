"""Commands that are repeated while their replies are as expected.

An idle IOC sends 25 polls a second that report nothing new. Waking up twice for each, and passing it through all
layers, costs several times as much as the system calls. A `Repetition` does little more than these calls. The socket
counts as readable (SO_RCVLOWAT) only when more than the expected reply has arrived, so the event loop does not wake up
for the expected reply, which is read when the next command is due.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..protocol import Command, Expected

#: A command and its expected reply.
Exchange = tuple[Command[Any], Expected[Any]]


class Repetition:
    """Commands that are sent one a period, each after the expected reply to the one before.

    It ends when a reply is late or not the expected one, when `stop` is called, and after the last command. The last
    reply is not read.

    Args:
        transport: a connection without pending commands and with nothing left to write
        exchanges: the commands and their replies, at least one
        period: time between commands in s
        ended: called with what was read in place of the expected reply, when that ends the repetition

    Attributes:
        sent: number of commands sent so far
        sent_at: time of the last of them, by `time.monotonic`, which is the clock of the event loop
    """

    def __init__(
        self, transport: asyncio.Transport, exchanges: Sequence[Exchange], period: float, ended: Callable[[bytes], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._socket = transport.get_extra_info("socket")
        self._descriptor = self._socket.fileno()
        self._exchanges = exchanges
        self._period = period
        self._ended = ended
        self._answer, self._low_water = b"", 1
        self._timer: asyncio.TimerHandle | None = None
        self.sent, self.sent_at = 0, time.monotonic()
        self._send_next()

    @property
    def current(self) -> Exchange:
        """The last command sent, and its expected reply."""
        return self._exchanges[self.sent - 1]

    def read(self) -> bytes:
        """Return what has arrived, at most one byte more than the expected reply."""
        try:
            return os.read(self._descriptor, self._low_water)
        except OSError:
            return b""  # nothing yet; the event loop reports the loss of the connection

    def stop(self) -> None:
        """Stop sending; the event loop wakes up for all that arrives or has arrived."""
        if self._timer is not None:
            self._timer.cancel()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def _send_next(self) -> None:
        expected = self._exchanges[self.sent][1]
        self.sent += 1
        if len(expected.answer) + 1 != self._low_water:
            self._low_water = len(expected.answer) + 1
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, self._low_water)
        self._answer = expected.answer
        self._write(expected.request)
        if self.sent < len(self._exchanges):
            self._timer = self._loop.call_at(self.sent_at + self._period, self._on_time)

    def _write(self, request: bytes) -> None:
        try:
            sent = os.write(self._descriptor, request)
        except OSError:
            sent = 0  # the transport waits, or reports the loss of the connection
        if sent < len(request):
            self._transport.write(request[sent:])

    def _on_time(self) -> None:
        data = self.read()
        if data == self._answer:
            self.sent_at = time.monotonic()
            self._send_next()
        else:
            self._ended(data)
