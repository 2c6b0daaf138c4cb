"""The control port as a machine that eats and makes bytes.

`ControlConnection` knows no sockets. Commands go in by `send`, which returns the bytes to write; what the
server answers goes in by `receive_bytes`, which returns more bytes to write (a command may need several
rounds); `responses` gives what is finished. Replies come strictly in order, so any number of commands may
be under way at once.

It does not know: time limits, reconnecting, which thread it is in. It is not safe to share between threads.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .connection import ConnectionState, Lifecycle, Transition
from .errors import LocalProtocolError, RemoteProtocolError
from .exchange import Command, Conversation, Expected, Reply, Request, text
from .lines import LineBuffer

#: No server says a longer line: its own buffers are smaller. More is garbage, and is not collected.
MAX_REPLY_LINE = 65536

#: The longest reply, a full table of a PandABox in ASCII, has 1048576 lines of 11 bytes at most.
MAX_REPLY_LINES = 4 * 1048576
MAX_REPLY_BYTES = 64 << 20

#: Commands under way. A server that answers none of so many will answer no more.
MAX_UNDER_WAY = 100_000


@dataclass(slots=True)
class _Batch:
    """Requests of one command that are on their way, and the replies to them so far.

    The conversation of a command with an expected answer begins when another one comes.
    """

    command: Command[Any]
    conversation: Conversation[Any]
    requests: Sequence[Request] = ()
    replies: list[Reply] = field(default_factory=list)
    expected: Expected[Any] | None = None


class ControlConnection:
    """One conversation with the control port of a PandA. It begins OPEN; see `ConnectionState`."""

    def __init__(self) -> None:
        self._lifecycle = Lifecycle(ConnectionState.OPEN, "connection")
        self._buffer = LineBuffer()
        self._batches: deque[_Batch] = deque()
        self._multiline: list[bytes] | None = None
        self._multiline_bytes = 0
        self._finished: deque[tuple[Command[Any], Any]] = deque()

    @property
    def state(self) -> ConnectionState:
        """OPEN, CLOSED after the end of stream, or ERROR after a reply that is none."""
        return self._lifecycle.state

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self.state is ConnectionState.OPEN

    def send(self, command: Command[Any], expected: Expected[Any] | None = None) -> bytes:
        """Begin a command; return the bytes to write.

        Whatever it raises, also by a mistake in the command, nothing has begun, and the connection goes on.

        Args:
            command: what to send
            expected: the answer that it is likely to get

        Raises:
            LocalProtocolError: the command cannot be sent, or the connection is over
        """
        if not self.is_open:
            raise LocalProtocolError(f"cannot send {command!r}: {self._lifecycle.described}")
        if len(self._batches) >= MAX_UNDER_WAY:
            raise LocalProtocolError(f"cannot send {command!r}: {MAX_UNDER_WAY} commands wait for their answers")
        if expected is not None:
            self._batches.append(_Batch(command, command.conversation(), expected=expected))
            return expected.request
        return self._advance(command, command.conversation(), None)

    def receive_bytes(self, data: bytes) -> bytes:
        """Take what the server sent, `b""` for its end of stream; return bytes to write, often none.

        At the end of stream, and when the server breaks the protocol, every unfinished command gets a
        `RemoteProtocolError` as its response.

        Raises:
            RemoteProtocolError: what came is not the PandA protocol; the connection is in ERROR from then on
            LocalProtocolError: the connection is CLOSED or in ERROR already
        """
        self._lifecycle.check_receiving()
        if not data:
            self._end()
            return b""
        if self._take_expected(data):
            return b""
        try:
            return self._receive_lines(data)
        except BaseException as error:  # also an interrupt: what follows could not be matched any more
            self._lifecycle.go(Transition.FAILED, str(error) or repr(error))
            self._fail_all(self._lifecycle.reason)
            raise

    def responses(self) -> Iterator[tuple[Command[Any], Any]]:
        """Give each finished command with its response, or with the exception that ended it.

        That is a `PandaError`, or whatever a mistake in the command raised; other commands go on.
        """
        while self._finished:
            yield self._finished.popleft()

    def _advance(
        self, command: Command[Any], conversation: Conversation[Any], replies: Sequence[Reply] | None
    ) -> bytes:
        """Let a command go on; return what it wants to send."""
        try:
            # The first send() to a generator must be of None.
            requests = list(conversation.send(replies))  # type: ignore[arg-type]
            while not requests:  # a round with nothing to ask
                requests = list(conversation.send([]))
            to_send = b"".join(_encoded(request, command) for request in requests)
        except StopIteration as stop:
            self._finished.append((command, stop.value))
            return b""
        except Exception as error:
            if replies is None:
                raise
            # All its replies have come, so what follows is matched as before.
            self._finished.append((command, error))
            return b""
        self._batches.append(_Batch(command, conversation, requests))
        return to_send

    def _take_expected(self, data: bytes) -> bool:
        """Take the answer that the first command is likely to get, if it is all that came."""
        if not self._batches or self._multiline is not None or len(self._buffer):
            return False
        batch = self._batches[0]
        if batch.expected is None or batch.replies or data != batch.expected.answer:
            return False
        self._batches.popleft()
        self._finished.append((batch.command, batch.expected.response))
        return True

    def _first(self) -> _Batch:
        """Return the batch whose replies come now."""
        batch = self._batches[0]
        if not batch.requests:  # its answer is not the expected one
            batch.requests = list(next(batch.conversation))
        return batch

    def _receive_lines(self, data: bytes) -> bytes:
        to_send = bytearray()
        lines = self._buffer.feed(data)
        position = 0
        while position < len(lines):
            position = self._collect(lines, position)
            if position < len(lines):
                to_send += self._receive_line(lines[position])
                position += 1
        if len(self._buffer) > MAX_REPLY_LINE:
            raise _too_long(self._buffer.unfinished)
        return bytes(to_send)

    def _collect(self, lines: list[bytes], start: int) -> int:
        """Take what goes on with a multi-line value, many lines at once; return where it stopped."""
        if self._multiline is None:
            return start
        end = start
        while end < len(lines) and lines[end][:1] == b"!":
            end += 1
        if end > start:
            more = lines[start:end]
            self._multiline_bytes += sum(map(len, more))
            longest = max(more, key=len)
            if len(longest) > MAX_REPLY_LINE:
                raise _too_long(longest)
            self._multiline += [line[1:] for line in more]
            if len(self._multiline) > MAX_REPLY_LINES or self._multiline_bytes > MAX_REPLY_BYTES:
                raise self._endless(more[-1])
        return end

    def _endless(self, line: bytes) -> RemoteProtocolError:
        batch = self._first()
        request = batch.requests[len(batch.replies)].line
        return RemoteProtocolError(f"the reply to {request!r} has no end: {_shown(line)}")

    def _receive_line(self, line: bytes) -> bytes:
        """Take one line; when it completes the replies to a batch, let its command go on."""
        if len(line) > MAX_REPLY_LINE:
            raise _too_long(line)
        if not self._batches:
            raise RemoteProtocolError(f"the server said {_shown(line)} although nothing was asked")
        batch = self._first()
        reply = self._parse(line, batch.requests[len(batch.replies)].line)
        if reply is None:
            return b""
        batch.replies.append(reply)
        if len(batch.replies) < len(batch.requests):
            return b""
        self._batches.popleft()
        return self._advance(batch.command, batch.conversation, batch.replies)

    def _parse(self, line: bytes, request: str) -> Reply | None:
        """Turn a line into the reply that it completes, if it does."""
        if self._multiline is not None:
            if line == b".":
                reply = Reply(request, lines=self._multiline)
                self._multiline = None
                return reply
        elif line == b"OK":
            return Reply(request)
        elif line.startswith(b"OK ="):
            return Reply(request, value=line[4:])
        elif line.startswith(b"!"):
            self._multiline, self._multiline_bytes = [line[1:]], len(line)
            return None
        elif line == b".":
            return Reply(request, lines=[])
        elif line.startswith(b"ERR "):
            return Reply(request, error=text(line[4:]))
        raise RemoteProtocolError(f"the server answered {request!r} with {_shown(line)}, which is no PandA reply")

    def _end(self) -> None:
        self._lifecycle.go(Transition.STREAM_ENDED)
        rest = f" in the middle of the line {_shown(self._buffer.unfinished)}" if len(self._buffer) else ""
        self._fail_all(f"the server closed the connection{rest}")

    def _fail_all(self, reason: str) -> None:
        while self._batches:
            batch = self._first()
            self._batches.popleft()
            asked = batch.requests[len(batch.replies)].line
            error = RemoteProtocolError(f"{asked!r} got no answer: {reason}")
            self._finished.append((batch.command, error))


def _encoded(request: object, command: Command[Any]) -> bytes:
    if not isinstance(request, Request):
        raise LocalProtocolError(f"{command!r} asked with {request!r}, which is not a Request")
    return bytes(request)


def _shown(line: bytes) -> str:
    """A line as an error message shows it: never so long that it hides the rest."""
    return repr(line) if len(line) <= 80 else f"{line[:80]!r}..."


def _too_long(line: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(f"the server sent a line of over {MAX_REPLY_LINE} bytes: {_shown(line)}")
