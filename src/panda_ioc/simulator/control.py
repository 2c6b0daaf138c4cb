"""One connection to the control port of a simulated PandA."""

import asyncio

from .faults import Faults
from .running import Runner
from .session import LineTooLong, Session


class ControlPort(asyncio.Protocol):
    """One connection: what comes in goes to a session, and its replies go out.

    Args:
        session: answers
        runner: is told before and after each batch of commands
        faults: what the port is to do wrong
        connections: all connections; it enters itself
    """

    def __init__(self, session: Session, runner: Runner, faults: Faults, connections: "set[ControlPort]") -> None:
        self._session = session
        self._runner = runner
        self._faults = faults
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._held: set[str] = set()  # why no commands are read
        self._reply: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's promise, not input
        self._transport = transport
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._runner.sync()
        replies: list[bytes] = []
        too_long = False
        try:
            replies += self._session.receive(data)
        except LineTooLong:
            too_long = True
        delay = self._faults.reply_delay
        if delay:
            self._hold("slow")  # so that replies do not pile up, and stay in order
            loop = asyncio.get_running_loop()
            self._reply = loop.call_later(delay, self._send_late, b"".join(replies), too_long)
        else:
            self._send(b"".join(replies), too_long)
        self._runner.schedule()

    def close(self) -> None:
        """End the connection in an orderly way."""
        if self._transport is not None:
            self._transport.close()

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
        if self._reply is not None:
            self._reply.cancel()
        self._session.close()
        self._connections.discard(self)

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
        self._held.discard(why)
        if self._transport is not None and not self._held:
            self._transport.resume_reading()
