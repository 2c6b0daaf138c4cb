"""Requests, replies, and the shape of a command.

A command is a short conversation: it yields a batch of requests, is given their replies in the same
order, may yield more, and returns its response. It is a plain generator, so commands are combined with
`yield from` and run side by side with `together`. What carries the bytes is `ControlConnection`.
"""

import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .errors import CommandError, LocalProtocolError, RemoteProtocolError

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

#: A server closes the connection, without a reply, on a longer line (measured on server 4.1).
MAX_REQUEST_LINE = 1022

_FORM = re.compile("[?=<]")


@dataclass(frozen=True, slots=True)
class Request:
    """One line for the server, and for a table write the lines that follow it.

    Args:
        line: the command, without LF
        body: the lines of a table write, without LF and without the blank line that ends it

    Raises:
        LocalProtocolError: the text would be cut, refused without a reply, or swallowed by the server
    """

    line: str
    body: Sequence[str] | None = None

    def __post_init__(self) -> None:
        form = _FORM.search(self.line)
        is_table = form is not None and form[0] == "<"
        if is_table and self.body is None:
            raise LocalProtocolError(f"{self.line!r} starts a table write but has no lines to write")
        if not is_table and self.body is not None:
            raise LocalProtocolError(f"{self.line!r} does not start a table write")
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
        raise LocalProtocolError(f"{line[:80]!r} has a line break or a NUL in it")
    # A character is at most 4 bytes: most lines are short enough to need no encoding here.
    if len(line) * 4 > MAX_REQUEST_LINE and len(line.encode(errors="replace")) > MAX_REQUEST_LINE:
        raise LocalProtocolError(
            f"{line[:80]!r}... is longer than {MAX_REQUEST_LINE} bytes, the most that a PandA accepts in a line"
        )
    if not line.isascii():
        try:
            line.encode()
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"{line[:80]!r} cannot be sent as UTF-8") from error


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the server: exactly one of value, lines and error is set, or none for a plain `OK`.

    Attributes:
        request: the line that was answered
        value: what followed `OK =`
        lines: the `!` lines of a multi-line value, without the `!`
        error: what followed `ERR`
    """

    request: str
    value: bytes | None = None
    lines: list[bytes] | None = None
    error: str | None = None

    def ok(self) -> None:
        """The reply must be a plain `OK`."""
        self.check()
        if self.value is not None or self.lines is not None:
            raise RemoteProtocolError(f"{self.request!r} was answered with a value: {self.any()!r}")

    def any(self) -> bytes | list[bytes]:
        """The value, or the lines of a multi-line value."""
        self.check()
        if self.lines is not None:
            return self.lines
        if self.value is None:
            raise RemoteProtocolError(f"{self.request!r} was answered with OK, without a value")
        return self.value

    def line(self) -> str:
        """The value as text."""
        value = self.any()
        if isinstance(value, list):
            raise RemoteProtocolError(f"{self.request!r} was answered with several lines, not one value")
        return text(value)

    def multiline(self) -> list[str]:
        """The lines as text."""
        value = self.any()
        if isinstance(value, bytes):
            raise RemoteProtocolError(f"{self.request!r} was answered with one value, not with lines: {value!r}")
        return [text(line) for line in value]

    def check(self) -> None:
        """Raise CommandError if the server said ERR."""
        if self.error is not None:
            raise CommandError(self.request, self.error)


def text(data: bytes) -> str:
    """Decode what a server sent. A byte that is not UTF-8 is shown as U+FFFD, never an error."""
    return data.decode(errors="replace")


Conversation = Generator[Sequence[Request], Sequence[Reply], T]


@dataclass(frozen=True)
class Command(Generic[T_co]):
    """Something to ask of a PandA; T_co is the type of its response."""

    def conversation(self) -> Conversation[T_co]:
        """Yield batches of requests, take their replies, return the response.

        Raises:
            CommandError: the server refused a request that the command needs
            RemoteProtocolError: a reply is of the wrong form
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Expected(Generic[T_co]):
    """The answer that a command is likely to get: if it gets exactly this, nothing has to be parsed.

    Attributes:
        request: the bytes of all requests of the command, which sends them in one round
        answer: the bytes of all replies to them
        response: the response of the command to that answer
    """

    request: bytes
    answer: bytes
    response: T_co


def ask(line: str) -> Conversation[Reply]:
    """Send one request without a body; return its reply."""
    (reply,) = yield [Request(line)]
    return reply


def together(conversations: Iterable[Conversation[T]]) -> Conversation[list[T]]:
    """Run conversations side by side, their requests in common batches; return their results in order."""
    results: dict[int, T] = {}
    running: dict[int, tuple[Conversation[T], Sequence[Request]]] = {}

    def advance(index: int, conversation: Conversation[T], replies: Sequence[Reply] | None) -> None:
        try:
            # send(None) is how a generator is started; the type of send() knows only later rounds.
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
