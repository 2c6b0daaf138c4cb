"""The session of a control connection: bytes in, bytes out, no sockets.

A table write reads lines until a blank one, whatever they contain, and is answered only then. If its first line was
refused, the lines are discarded and the refusal is the reply.
"""

from collections.abc import Iterator

from ..protocol import LineBuffer
from .commands import TableWrite, assign, begin_write, query
from .fields import MAX_RESULT, Value, encoded
from .numbers import Refused
from .system import Context

#: Length limit of a line in bytes; a longer line closes the connection without a reply.
MAX_LINE = 1022

_MALFORMED = "Malformed UTF-8 encoding"

#: Limit of the lines that are kept of one table write: more cannot fit any table.
_MAX_TABLE_LINES = 1 << 22


class LineTooLong(Exception):  # noqa: N818 - a condition, not an error of the program
    """A line over the length limit: the connection must be closed."""


class Session:
    """The state of a connection.

    Args:
        context: PandA and capture that the commands work on
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._buffer = LineBuffer()
        self._write: TableWrite | Refused | None = None
        self._lines: list[str] = []
        self._malformed = False  # whether the table write contains bytes that are not UTF-8

    def receive(self, data: bytes) -> Iterator[bytes]:
        """Process received bytes; yield the reply to each complete line, which is empty within a table write.

        Raises:
            LineTooLong: a line is too long; raised after the replies to earlier lines
        """
        for line in self._buffer.feed(data):
            if len(line) > MAX_LINE:
                raise LineTooLong
            text, malformed = _decoded(line.partition(b"\0")[0])
            reply = self._line(text, malformed=malformed)
            yield b"" if reply is None else encoded(reply)
        if len(self._buffer) > MAX_LINE:
            raise LineTooLong

    def close(self) -> None:
        """End the session; a table write in progress has no effect."""
        self._end_write()

    def _line(self, line: str, *, malformed: bool) -> str | None:
        if self._write is not None:
            self._malformed |= malformed
            return self._table_line(line)
        form, name, value = _split(line)
        try:
            if form == "<":
                self._malformed = malformed
                self._begin_write(name, value)
                return None
            if malformed:
                raise Refused(_MALFORMED)  # noqa: TRY301 - one place makes the reply
            if form == "?":
                if value:
                    raise Refused("Unexpected text after command")  # noqa: TRY301 - one place makes the reply
                return _formatted(query(self._context, name))
            if form == "=":
                assign(self._context, name, value)
                return "OK\n"
        except Refused as refused:
            return f"ERR {refused}\n"
        return "ERR Unknown command\n"

    def _begin_write(self, name: str, form: str) -> None:
        try:
            self._write = begin_write(self._context, name, form)
        except Refused as refused:
            self._write = refused
        else:
            if self._write.table is not None:
                self._write.table.writer = self

    def _table_line(self, line: str) -> str | None:
        if line:
            if len(self._lines) < _MAX_TABLE_LINES:
                self._lines.append(line)
            return None
        write, lines = self._write, self._lines
        self._end_write()
        try:
            if self._malformed:
                raise Refused(_MALFORMED)  # noqa: TRY301 - one place makes the reply
            if isinstance(write, Refused):
                raise write
            if len(lines) == _MAX_TABLE_LINES:
                raise Refused("Too many points for table")  # noqa: TRY301 - one place makes the reply
            if write is not None:
                write.put(lines)
        except Refused as refused:
            return f"ERR {refused}\n"
        return "OK\n"

    def _end_write(self) -> None:
        if isinstance(self._write, TableWrite) and self._write.table is not None:
            self._write.table.writer = None
        self._write, self._lines = None, []


def _split(line: str) -> tuple[str, str, str]:
    """Split a command at the first of `?`, `=` and `<`; return that character, the name and the rest."""
    for position, character in enumerate(line):
        if character in "?=<":
            return character, line[:position], line[position + 1 :]
    return "", line, ""


def _decoded(line: bytes) -> tuple[str, bool]:
    """Return a line as text, and whether it was malformed."""
    try:
        return line.decode(), False
    except UnicodeDecodeError:
        return line.decode(errors="surrogateescape"), True


def _formatted(value: Value) -> str:
    if isinstance(value, str):
        if len(encoded(value)) > MAX_RESULT:
            raise Refused("Result too long")
        return f"OK ={value}\n"
    return "".join([*(f"!{line}\n" for line in value), ".\n"])
