"""Conversations with the control port as data: commands, and the replies of a real server.

A file in `conversations/` has these lines:

    # what this is about, up to the next such line
    > command               a line to send; a table write is several, up to an empty `> `
    >*1000 line             a line to send many times
    2> command              the same on a second connection
    < reply                 a line that must come; between `!` lines and `.` the order does not matter
    <~ pattern              a line that must come and match a regular expression
    <? pattern              lines that may come, where blocks run or have cards behind them
    ! EOF                   the server ends the connection; the next command is said on a new one
    ! close                 the client ends it

Bytes that are no printable text are written as in Python, `\\xc2\\xb5`; a backslash is `\\x5c`.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "conversations"

#: Seconds that a server may take for a reply.
_PATIENCE = 10

_LINE = re.compile(r"(\d?)(>\*\d+ |> ?|<[~?] |< ?|! ?|#)(.*)", re.DOTALL)


@dataclass
class Step:
    """A command, and the expected reply.

    Attributes:
        about: the last comment before it
        connection: on which it is said
        sent: the bytes
        expected: the lines of the reply: as they are, or patterns
        allowed: patterns of lines that may come beside them
        end: "EOF" if the server must end the connection, "close" if the client does, otherwise ""
    """

    about: str
    connection: str
    sent: bytes = b""
    expected: list[bytes | re.Pattern[str]] = field(default_factory=list)
    allowed: list[re.Pattern[str]] = field(default_factory=list)
    end: str = ""


def unescaped(text: str) -> bytes:
    """Return the bytes of a line."""
    return text.encode().decode("unicode_escape").encode("latin-1") if "\\x" in text else text.encode()


def steps(path: Path) -> Iterator[Step]:
    """Read a conversation from a file."""
    about = ""
    step: Step | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), 1):
        match = _LINE.fullmatch(line)
        if not match:
            raise ValueError(f"{path}:{number}: {line!r} is no line of a conversation")
        connection, kind, text = match[1] or "1", match[2].strip(), match[3]
        if kind[0] in "#>" and step is not None and (step.expected or step.end):
            yield step
            step = None
        if kind == "#":
            about = text.strip(" =")
        elif kind[0] == ">":
            step = step or Step(about, connection)
            step.sent += (unescaped(text) + b"\n") * int(kind[2:] or 1)
        elif step is None:
            raise ValueError(f"{path}:{number}: nothing was said before {line!r}")
        elif kind == "!":
            step.end = text
        elif kind == "<?":
            step.allowed.append(re.compile(text))
        else:
            step.expected.append(re.compile(text) if kind == "<~" else unescaped(text))
    if step is not None:
        yield step


class Talk:
    """Connections to one server."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._open: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def play(self, step: Step) -> str:
        """Execute a step; return the error in the reply, or an empty text."""
        if step.connection not in self._open:
            self._open[step.connection] = await asyncio.open_connection(*self._address, limit=1 << 24)
        reader, writer = self._open[step.connection]
        async with asyncio.timeout(_PATIENCE):
            _, reply = await asyncio.gather(self._send(writer, step.sent), self._reply(reader, step))
        wrong = difference(step, reply)
        if step.end:
            await self._end(step.connection)
        return wrong

    @staticmethod
    async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    @staticmethod
    async def _reply(reader: asyncio.StreamReader, step: Step) -> list[bytes]:
        """Receive a whole reply; if it does not end as expected, wait until the time limit."""
        if step.end == "EOF":
            return (await reader.read()).splitlines()
        lines: list[bytes] = []
        while step.expected and not (lines and not lines[-1].startswith(b"!")):
            line = await reader.readline()
            lines.append(line.removesuffix(b"\n"))
            if not line.endswith(b"\n"):
                break
        return lines

    async def _end(self, connection: str) -> None:
        _, writer = self._open.pop(connection)
        writer.close()
        await writer.wait_closed()

    async def close(self) -> None:
        """Close all connections."""
        for connection in list(self._open):
            await self._end(connection)


@asynccontextmanager
async def talking(host: str, port: int) -> AsyncIterator[Talk]:
    """Hold a conversation with a server."""
    talk = Talk(host, port)
    try:
        yield talk
    finally:
        await talk.close()


def difference(step: Step, reply: list[bytes]) -> str:
    """Return the error in a reply; an empty text if it is correct."""
    there = list(reply)
    missing: list[str] = []
    for wanted in sorted(step.expected, key=lambda line: isinstance(line, re.Pattern)):
        found = next((line for line in there if _fits(wanted, line)), None)
        if found is None:
            missing.append(wanted.pattern if isinstance(wanted, re.Pattern) else repr(wanted)[2:-1])
        else:
            there.remove(found)
    there = [line for line in there if not any(_fits(allowed, line) for allowed in step.allowed)]
    if not missing and not there:
        return ""
    said = repr(step.sent[:80])[2:-1]
    extra = [repr(line)[2:-1] for line in there]
    return f"{step.about}: {said}: expected {missing[:5]}, got {extra[:5]} ({len(missing)} and {len(extra)} lines)"


def _fits(wanted: bytes | re.Pattern[str], line: bytes) -> bool:
    if isinstance(wanted, bytes):
        return line == wanted
    return wanted.fullmatch(line.decode(errors="surrogateescape")) is not None
