"""One connection to the control port of a simulated PandA."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from .capture import iso_now
from .faults import Faults
from .running import Runner
from .session import LineTooLong, Session

#: Seconds of work on the commands of one connection, until others have their turn.
_TURN = 0.005


def client_line(port: str, peer: Any) -> str:
    """A line of `*WHO?`: since when, which port, and the address of the client."""
    return f"{iso_now()} {port} {':'.join(map(str, peer[:2]))}"


class ControlPort(asyncio.Protocol):
    """One connection: what comes in goes to a session, and its replies go out.

    However many commands come at once, it works on them for a moment only, and goes on when the event loop was
    everywhere else.

    Args:
        session: answers
        runner: is told before and after each batch of commands
        faults: what the port is to do wrong
        connections: all connections; it enters itself

    Attributes:
        client: what `*WHO?` tells of it
    """

    def __init__(self, session: Session, runner: Runner, faults: Faults, connections: "set[ControlPort]") -> None:
        self._session = session
        self._runner = runner
        self._faults = faults
        self._connections = connections
        self.client = ""
        self._transport: asyncio.Transport | None = None
        self._held: set[str] = set()  # why no commands are read
        self._replies: Iterator[bytes] | None = None  # to what was received and is not done yet
        self._later: dict[str, asyncio.Handle] = {}  # what ends the reasons that end by themselves

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise, not input
        self._transport = transport
        self.client = client_line("config", transport.get_extra_info("peername"))
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._work(self._session.receive(data))

    def close(self) -> None:
        """End the connection in an orderly way, unless its replies are not read: it would never end."""
        if self._transport is not None:
            (self._transport.abort if self._transport.get_write_buffer_size() else self._transport.close)()

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        """The client does not read its replies: take no more commands until it does."""
        self._hold("full")

    def resume_writing(self) -> None:
        self._release("full")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended does not matter
        for handle in self._later.values():
            handle.cancel()
        self._session.close()
        self._connections.discard(self)

    def _work(self, replies: Iterator[bytes]) -> None:
        """Do what was received, for a moment."""
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
            self._hold("slow")  # so that replies do not pile up, and stay in order
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
        """One reason less to wait: go on with what was received, then with what comes."""
        self._held.discard(why)
        if self._held or self._transport is None or self._transport.is_closing():
            return
        if self._replies is not None:
            self._work(self._replies)
        if not self._held:
            self._transport.resume_reading()
