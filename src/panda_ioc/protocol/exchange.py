"""Requests, replies and the base class of commands.

A command is a generator: it yields a batch of requests, receives their replies in the same order, may yield more
batches, and returns its response. Commands are combined with `yield from`; `together` runs several concurrently.
`ControlConnection` encodes the requests and decodes the replies.
"""

import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .errors import CommandError, LocalProtocolError, RemoteProtocolError

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

#: Maximum length of a command line in bytes. The server closes the connection without a reply on a longer line
#: (measured on server 4.1).
MAX_REQUEST_LINE = 1022

_FORM = re.compile("[?=<]")


@dataclass(frozen=True, slots=True)
class Request:
    r"""A command line and, for a table write, its data lines. `bytes(request)` is the encoded request.

    Args:
        line: command, without LF
        body: data lines of a table write, without LF and without the final empty line; None for other commands

    Raises:
        LocalProtocolError: the text is too long, contains a line break or NUL, or is not one complete request

    Example:
        >>> bytes(Request("PULSE1.DELAY=1"))
        b'PULSE1.DELAY=1\n'
        >>> bytes(Request("SEQ1.TABLE<", ["1", "2", "3", "4"]))
        b'SEQ1.TABLE<\n1\n2\n3\n4\n\n'
    """

    line: str
    body: Sequence[str] | None = None

    def __post_init__(self) -> None:
        form = _FORM.search(self.line)
        is_table = form is not None and form[0] == "<"
        if is_table and self.body is None:
            raise LocalProtocolError(f"{self.line!r} starts a table write but has no data lines")
        if not is_table and self.body is not None:
            raise LocalProtocolError(f"{self.line!r} has data lines but does not start a table write")
        for line in (self.line, *(self.body or ())):
            _check_line(line)
        if self.body is not None and "" in self.body:
            raise LocalProtocolError(f"{self.line!r}: an empty line would end the table write early")

    def __bytes__(self) -> bytes:
        if self.body is None:
            return f"{self.line}\n".encode()
        return "\n".join((self.line, *self.body, "", "")).encode()


def _check_line(line: str) -> None:
    if "\n" in line or "\r" in line or "\0" in line:
        raise LocalProtocolError(f"{line[:80]!r} contains a line break or a NUL character")
    # A character has at most 4 bytes in UTF-8, so most lines need not be encoded to check their length.
    if len(line) * 4 > MAX_REQUEST_LINE and len(line.encode(errors="replace")) > MAX_REQUEST_LINE:
        raise LocalProtocolError(
            f"{line[:80]!r}... is longer than {MAX_REQUEST_LINE} bytes, the maximum line length of a PandA"
        )
    if not line.isascii():
        try:
            line.encode()
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"{line[:80]!r} cannot be encoded in UTF-8") from error


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to one request. At most one of `value`, `lines` and `error` is set; none is for a plain `OK`.

    Attributes:
        request: command line of the request
        value: text after `OK =`
        lines: lines of a multi-line value, without the leading "!"
        error: text after `ERR`

    Example:
        >>> Reply("PULSE1.DELAY?", value=b"0.5").line()
        '0.5'
        >>> Reply("PULSE1.DELAY=x", error="Unable to parse number").ok()
        Traceback (most recent call last):
        panda_ioc.protocol.errors.CommandError: 'PULSE1.DELAY=x' was refused: Unable to parse number
    """

    request: str
    value: bytes | None = None
    lines: list[bytes] | None = None
    error: str | None = None

    def ok(self) -> None:
        """Check that the reply is a plain `OK`.

        Raises:
            CommandError: the server refused the request
            RemoteProtocolError: the reply has a value
        """
        self.check()
        if self.value is not None or self.lines is not None:
            raise RemoteProtocolError(f"{self.request!r} returned a value instead of OK: {self.any()!r}")

    def any(self) -> bytes | list[bytes]:
        """Return the value, or the lines of a multi-line value, as bytes.

        Raises:
            CommandError: the server refused the request
            RemoteProtocolError: the reply has no value
        """
        self.check()
        if self.lines is not None:
            return self.lines
        if self.value is None:
            raise RemoteProtocolError(f"{self.request!r} returned OK without a value")
        return self.value

    def line(self) -> str:
        """Return a one-line value as text.

        Raises:
            CommandError: the server refused the request
            RemoteProtocolError: the reply is not one value
        """
        value = self.any()
        if isinstance(value, list):
            raise RemoteProtocolError(f"{self.request!r} returned several lines, not one value")
        return text(value)

    def multiline(self) -> list[str]:
        """Return the lines of a multi-line value as text.

        Raises:
            CommandError: the server refused the request
            RemoteProtocolError: the reply is not a multi-line value
        """
        value = self.any()
        if isinstance(value, bytes):
            raise RemoteProtocolError(f"{self.request!r} returned one value, not lines: {value!r}")
        return [text(line) for line in value]

    def check(self) -> None:
        """Raise `CommandError` if the server refused the request."""
        if self.error is not None:
            raise CommandError(self.request, self.error)


def text(data: bytes) -> str:
    """Decode UTF-8 from the server. Invalid bytes become U+FFFD."""
    return data.decode(errors="replace")


#: A command in progress: yields batches of requests, receives their replies, returns the response.
Conversation = Generator[Sequence[Request], Sequence[Reply], T]


@dataclass(frozen=True)
class Command(Generic[T_co]):
    r"""Base class of all commands; `T_co` is the type of the response.

    Derive from it to define a custom command.

    Example:
        >>> class GetModel(Command[str]):
        ...     def conversation(self):
        ...         (reply,) = yield [Request("*METADATA.LABEL1?")]
        ...         return reply.line()
        >>> connection = ControlConnection()
        >>> connection.send(GetModel())
        b'*METADATA.LABEL1?\n'
        >>> connection.receive_bytes(b"OK =Beamline PandA\n")
        b''
        >>> [response for command, response in connection.responses()]
        ['Beamline PandA']
    """

    def conversation(self) -> Conversation[T_co]:
        """Yield batches of requests, receive their replies, and return the response.

        Raises:
            CommandError: the server refused a required request
            RemoteProtocolError: a reply has an unexpected form
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Expected(Generic[T_co]):
    """The expected reply to a command with one batch of requests. If exactly this arrives, it is not parsed.

    Attributes:
        request: encoded requests of the command
        answer: bytes of all expected replies
        response: response of the command to these replies
    """

    request: bytes
    answer: bytes
    response: T_co


def ask(line: str) -> Conversation[Reply]:
    """Send one request without data lines and return its reply."""
    (reply,) = yield [Request(line)]
    return reply


def together(conversations: Iterable[Conversation[T]]) -> Conversation[list[T]]:
    """Run conversations concurrently, with their requests in common batches; return their results in order."""
    results: dict[int, T] = {}
    running: dict[int, tuple[Conversation[T], Sequence[Request]]] = {}

    def advance(index: int, conversation: Conversation[T], replies: Sequence[Reply] | None) -> None:
        try:
            # send(None) starts a generator; the declared type of send() excludes None.
            requests = conversation.send(replies)  # type: ignore[arg-type]
        except StopIteration as stop:
            results[index] = stop.value
        else:
            running[index] = conversation, requests

    for index, conversation in enumerate(conversations):
        advance(index, conversation, None)
    while running:
        turn, running = running, {}
        replies: Sequence[Any] = yield [request for _, batch in turn.values() for request in batch]
        position = 0
        for index, (conversation, batch) in turn.items():
            advance(index, conversation, replies[position : position + len(batch)])
            position += len(batch)
    return [results[index] for index in sorted(results)]


def field_name(name: object) -> str:
    """Check that a name cannot change the form of the command."""
    if not isinstance(name, str) or not name or any(mark in name for mark in "?=<"):
        raise LocalProtocolError(f"invalid field name {name!r}: it must be text without '?', '=' and '<'")
    return name
