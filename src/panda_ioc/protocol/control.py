"""Sans-IO control connection.

`send` starts a command and returns the bytes to write. `receive_bytes` accepts received bytes and returns further
bytes to write, because a command may need several round trips. `responses` yields finished commands. The server
replies in order, so commands can be pipelined.

Timeouts and reconnection are left to the caller. The class is not thread-safe.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from .connection import ConnectionState, Lifecycle, Transition
from .errors import LocalProtocolError, RemoteProtocolError
from .exchange import Command, Conversation, Expected, Reply, Request, text
from .lines import LineBuffer

#: Maximum length of a reply line in bytes. The server's own buffers are smaller, so a longer line is invalid data.
MAX_REPLY_LINE = 65536

#: Maximum size of a reply. The longest one, a full table of a PandABox as decimal numbers, has 1048576 lines of up to
#: 11 bytes.
MAX_REPLY_LINES = 4 * 1048576
MAX_REPLY_BYTES = 64 << 20

#: Maximum number of pending commands. A server that has this many to answer does not respond any more.
MAX_PENDING = 100_000


@dataclass(slots=True)
class _Batch:
    """The pending requests of one command, and the replies received so far.

    A command with an expected reply is started only if another reply arrives.
    """

    command: Command[Any]
    conversation: Conversation[Any]
    requests: Sequence[Request] = ()
    replies: list[Reply] = field(default_factory=list)
    expected: Expected[Any] | None = None


class ControlConnection:
    r"""A Sans-IO connection to the control port of a PandA. It starts in `ConnectionState.OPEN`.

    Example:
        >>> connection = ControlConnection()
        >>> to_write = connection.send(GetLine("PULSE1.DELAY"))
        >>> to_write
        b'PULSE1.DELAY?\n'
        >>> connection.receive_bytes(b"OK =0.5\n")  # more bytes to write: none
        b''
        >>> for command, response in connection.responses():
        ...     print(command, response)
        GetLine(field='PULSE1.DELAY') 0.5
    """

    def __init__(self) -> None:
        self._lifecycle = Lifecycle(ConnectionState.OPEN, "connection")
        self._buffer = LineBuffer()
        self._batches: deque[_Batch] = deque()
        self._multiline: list[bytes] | None = None
        self._multiline_bytes = 0
        self._finished: deque[tuple[Command[Any], Any]] = deque()

    @property
    def state(self) -> ConnectionState:
        """The state: OPEN, CLOSED after the end of stream, or ERROR after a protocol error."""
        return self._lifecycle.state

    @property
    def is_open(self) -> bool:
        """Whether the connection accepts commands."""
        return self.state is ConnectionState.OPEN

    def send(self, command: Command[Any], expected: Expected[Any] | None = None) -> bytes:
        """Start a command and return the bytes to write.

        If this raises, including errors within the command itself, the command is not started and the connection
        remains usable.

        Args:
            command: command to start; each pending command must be a separate object
            expected: expected reply of the command, which is then not parsed; see `Expected`

        Returns:
            bytes to write to the socket; `b""` if the command needs no request

        Raises:
            LocalProtocolError: the command cannot be sent, or the connection is not open
        """
        if not self.is_open:
            raise LocalProtocolError(f"cannot send {command!r}: {self._lifecycle.described}")
        if len(self._batches) >= MAX_PENDING:
            raise LocalProtocolError(f"cannot send {command!r}: {MAX_PENDING} commands are waiting for replies")
        if expected is not None:
            self._batches.append(_Batch(command, command.conversation(), expected=expected))
            return expected.request
        return self._advance(command, command.conversation(), None)

    def receive_bytes(self, data: bytes) -> bytes:
        """Process received bytes and return bytes to write.

        At the end of stream and after a protocol error, the response of every pending command is a
        `RemoteProtocolError`.

        Args:
            data: received bytes, split anywhere; `b""` for the end of stream

        Returns:
            bytes to write to the socket, usually `b""`

        Raises:
            RemoteProtocolError: the data violates the protocol; the state is now ERROR
            LocalProtocolError: the state is already CLOSED or ERROR
        """
        self._lifecycle.check_receiving()
        if not data:
            self._end()
            return b""
        if self._take_expected(data):
            return b""
        try:
            return self._receive_lines(data)
        except BaseException as error:  # also an interrupt: later replies could not be matched to commands
            self._lifecycle.go(Transition.FAILED, str(error) or repr(error))
            self._fail_all(self._lifecycle.reason)
            raise

    def responses(self) -> Iterator[tuple[Command[Any], Any]]:
        """Yield finished commands, each with its response, in order.

        The response of a failed command is an exception: a `PandaError`, or another one raised by an error in the
        command itself. Other commands are not affected.
        """
        while self._finished:
            yield self._finished.popleft()

    def _advance(
        self, command: Command[Any], conversation: Conversation[Any], replies: Sequence[Reply] | None
    ) -> bytes:
        """Continue a command with its replies; return the bytes to write."""
        try:
            # The first send() to a generator must pass None.
            requests = list(conversation.send(replies))  # type: ignore[arg-type]
            while not requests:  # an empty batch
                requests = list(conversation.send([]))
            to_send = b"".join(_encoded(request, command) for request in requests)
        except StopIteration as stop:
            self._finished.append((command, stop.value))
            return b""
        except Exception as error:
            if replies is None:
                raise
            # All its replies have arrived, so later replies still match their commands.
            self._finished.append((command, error))
            return b""
        self._batches.append(_Batch(command, conversation, requests))
        return to_send

    def _take_expected(self, data: bytes) -> bool:
        """Finish the first command if the received bytes are exactly its expected reply; return whether they are."""
        if not self._batches or self._multiline is not None or len(self._buffer):
            return False
        batch = self._batches[0]
        if batch.expected is None or batch.replies or data != batch.expected.answer:
            return False
        self._batches.popleft()
        self._finished.append((batch.command, batch.expected.response))
        return True

    def _first(self) -> _Batch:
        """Return the batch of the next reply, and start its command if necessary."""
        batch = self._batches[0]
        if not batch.requests:  # the reply is not the expected one
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
        """Add consecutive `!` lines to the current multi-line value; return the index of the first other line."""
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
        return RemoteProtocolError(f"the reply to {request!r} is too long: {_shown(line)}")

    def _receive_line(self, line: bytes) -> bytes:
        """Process one line. If it completes the replies to a batch, continue the command."""
        if len(line) > MAX_REPLY_LINE:
            raise _too_long(line)
        if not self._batches:
            raise RemoteProtocolError(f"the server sent {_shown(line)}, but no command is pending")
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
        """Parse a line; return the reply that it completes, or None within a multi-line value."""
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
        raise RemoteProtocolError(f"{request!r} returned {_shown(line)}, which is not a valid PandA reply")

    def _end(self) -> None:
        self._lifecycle.go(Transition.STREAM_ENDED)
        rest = f" in the middle of the line {_shown(self._buffer.unfinished)}" if len(self._buffer) else ""
        self._fail_all(f"the server closed the connection{rest}")

    def _fail_all(self, reason: str) -> None:
        while self._batches:
            batch = self._first()
            self._batches.popleft()
            asked = batch.requests[len(batch.replies)].line
            error = RemoteProtocolError(f"no reply to {asked!r}: {reason}")
            self._finished.append((batch.command, error))


def _encoded(request: object, command: Command[Any]) -> bytes:
    if not isinstance(request, Request):
        raise LocalProtocolError(f"{command!r} yielded {request!r}, which is not a Request")
    return bytes(request)


def _shown(line: bytes) -> str:
    """Return a line for an error message, shortened to 80 bytes."""
    return repr(line) if len(line) <= 80 else f"{line[:80]!r}..."


def _too_long(line: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(f"the server sent a line longer than {MAX_REPLY_LINE} bytes: {_shown(line)}")
