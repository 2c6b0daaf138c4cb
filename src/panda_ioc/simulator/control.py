"""A connection to the control port of a simulated PandA."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from .capture import iso_now
from .faults import Faults
from .running import Runner
from .session import LineTooLong, Session

#: Seconds of work on the commands of one connection before others get their turn.
_TURN = 0.005


def client_line(port: str, peer: Any) -> str:
    """Return a line of the reply to `*WHO?`: connection time, port, and address of the client."""
    return f"{iso_now()} {port} {':'.join(map(str, peer[:2]))}"


class ControlPort(asyncio.Protocol):
    """A connection, which passes received bytes to a session and sends its replies.

    If many commands arrive together, it processes them in short turns, so that the event loop serves other connections
    in between.

    Args:
        session: computes the replies
        runner: advances the simulation before each batch of commands, and is scheduled after it
        faults: faults to inject
        connections: all connections; the connection adds and removes itself

    Attributes:
        client: line of the reply to `*WHO?`
    """

    def __init__(self, session: Session, runner: Runner, faults: Faults, connections: "set[ControlPort]") -> None:
        self._session = session
        self._runner = runner
        self._faults = faults
        self._connections = connections
        self.client = ""
        self._transport: asyncio.Transport | None = None
        self._held: set[str] = set()  # reasons why reading is paused
        self._replies: Iterator[bytes] | None = None  # to commands that were received and not processed yet
        self._later: dict[str, asyncio.Handle] = {}  # timers that end a reason

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - guaranteed by asyncio
        self._transport = transport
        self.client = client_line("config", transport.get_extra_info("peername"))
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._work(self._session.receive(data))

    def close(self) -> None:
        """Close the connection after its replies are sent; abort it if the client does not read them."""
        if self._transport is not None:
            (self._transport.abort if self._transport.get_write_buffer_size() else self._transport.close)()

    def abort(self) -> None:
        """Abort the connection."""
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        """Stop reading commands while the client does not read its replies."""
        self._hold("full")

    def resume_writing(self) -> None:
        self._release("full")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the cause does not matter
        for handle in self._later.values():
            handle.cancel()
        self._session.close()
        self._connections.discard(self)

    def _work(self, replies: Iterator[bytes]) -> None:
        """Process received commands for one turn."""
        self._runner.sync()
        done: list[bytes] = []
        too_long = False
        self._replies = None
        end = time.monotonic() + _TURN
        try:
            for reply in replies:
                done.append(reply)
                if time.monotonic() >= end:
                    self._replies = replies
                    break
        except LineTooLong:
            too_long = True
        loop = asyncio.get_running_loop()
        if self._replies is not None:
            self._hold("turn")
            self._later["turn"] = loop.call_soon(self._release, "turn")
        delay = self._faults.reply_delay
        if delay:
            self._hold("slow")  # so that replies stay in order and do not pile up
            self._later["slow"] = loop.call_later(delay, self._send_late, b"".join(done), too_long)
        else:
            self._send(b"".join(done), too_long)
        self._runner.schedule()

    def _send(self, replies: bytes, too_long: bool) -> None:  # noqa: FBT001 - also called by the event loop
        if self._transport is not None:
            self._transport.write(replies)
            if too_long:
                self._transport.close()

    def _send_late(self, replies: bytes, too_long: bool) -> None:  # noqa: FBT001 - called by the event loop
        self._send(replies, too_long)
        self._release("slow")

    def _hold(self, why: str) -> None:
        self._held.add(why)
        if self._transport is not None:
            self._transport.pause_reading()

    def _release(self, why: str) -> None:
        """Remove a reason to pause; when none is left, process what was received, then resume reading."""
        self._held.discard(why)
        if self._held or self._transport is None or self._transport.is_closing():
            return
        if self._replies is not None:
            self._work(self._replies)
        if not self._held:
            self._transport.resume_reading()
