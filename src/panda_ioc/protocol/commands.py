"""The commands that ask or tell one thing."""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .errors import LocalProtocolError, RemoteProtocolError
from .exchange import Command, Conversation, Request, ask, text

#: A value of one line.
Scalar = str | int | float

#: The same, with those of numpy.
_Scalar = (str, int, float, np.bool_, np.integer, np.floating)

#: Bytes of table data in a base64 line: a multiple of 3 (no padding) and of 4 (whole words, which the
#: server demands of each line), and as base64 still under the longest line that it takes.
_BASE64_CHUNK = 756

#: Bytes of an answer that an error message shows.
_SHOWN = 80


@dataclass(frozen=True)
class Raw(Command[list[str]]):
    """Send lines as they are and return the reply as the server wrote it, line by line.

    Args:
        lines: one command; for a table write, also its data and the blank line that ends it

    An `ERR` reply is returned, not raised.
    """

    lines: Sequence[str]

    def conversation(self) -> Conversation[list[str]]:
        lines = [self.lines] if isinstance(self.lines, str) else list(self.lines)
        if len(lines) == 1:
            request = Request(lines[0])
        elif lines and lines[-1] == "":
            request = Request(lines[0], lines[1:-1])
        else:
            raise LocalProtocolError(f"{lines!r} is not one command: a table write must end with an empty line")
        (reply,) = yield [request]
        if reply.error is not None:
            return [f"ERR {reply.error}"]
        if reply.lines is not None:
            return [*(f"!{text(line)}" for line in reply.lines), "."]
        return ["OK" if reply.value is None else f"OK ={text(reply.value)}"]


@dataclass(frozen=True)
class Get(Command[bytes | list[bytes]]):
    """Read a value as it was sent: `bytes`, or a list of `bytes` where it has several lines.

    Args:
        field: what to read, without `?`: "PULSE1.DELAY", "SEQ1.TABLE.B", `*IDN`
    """

    field: str

    def conversation(self) -> Conversation[bytes | list[bytes]]:
        reply = yield from ask(f"{_name(self.field)}?")
        return reply.any()


@dataclass(frozen=True)
class GetLine(Command[str]):
    """Read a value of one line, as text."""

    field: str

    def conversation(self) -> Conversation[str]:
        reply = yield from ask(f"{_name(self.field)}?")
        return reply.line()


@dataclass(frozen=True)
class GetMultiline(Command[list[str]]):
    """Read a value of several lines, as text."""

    field: str

    def conversation(self) -> Conversation[list[str]]:
        reply = yield from ask(f"{_name(self.field)}?")
        return reply.multiline()


@dataclass(frozen=True)
class Put(Command[None]):
    """Write a value.

    Args:
        field: what to write, without `=`
        value: text, a number, or True and False for 1 and 0; nothing for an action; a list of lines, or a
            one-dimensional array of numbers, for a multi-line value: `*METADATA.LAYOUT`, a table in ASCII

    Raises:
        LocalProtocolError: the value is none of these
    """

    field: str
    value: Scalar | Sequence[Scalar] | npt.NDArray[Any] = ""

    def conversation(self) -> Conversation[None]:
        name, value = _name(self.field), cast("object", self.value)
        if isinstance(value, _Scalar):
            request = Request(f"{name}={_text(value, name)}")
        elif isinstance(value, Sequence | np.ndarray) and not isinstance(value, bytes | bytearray):
            request = Request(f"{name}<", [_text(line, name) for line in value])
        else:
            raise _cannot_write(value, name)
        (reply,) = yield [request]
        reply.ok()


@dataclass(frozen=True, eq=False)
class PutTable(Command[None]):
    """Replace the content of a table.

    Args:
        field: the table, "SEQ1.TABLE"
        words: its 32-bit words, row after row; negative ones are sent in two's complement
        base64: False sends decimal numbers, which is far slower

    Raises:
        LocalProtocolError: a word is not a 32-bit integer
    """

    field: str
    words: npt.ArrayLike
    base64: bool = True

    def conversation(self) -> Conversation[None]:
        words = _as_words(self.words, self.field)
        start = f"{_name(self.field)}{self._operator()}"
        if self.base64:
            request = Request(f"{start}B", _base64_lines(words))
        else:
            request = Request(start, [str(word) for word in words.tolist()])
        (reply,) = yield [request]
        reply.ok()

    def _operator(self) -> str:
        return "<"


@dataclass(frozen=True, eq=False)
class Append(PutTable):
    """Add a buffer to a streaming table, which servers have from 4.0 on.

    Args:
        field, words, base64: as for `PutTable`
        last: nothing follows; the block ends when it has played these rows
    """

    last: bool = False

    def _operator(self) -> str:
        return "<<|" if self.last else "<<"


@dataclass(frozen=True, eq=False)
class TableContent:
    """What a table holds.

    Attributes:
        words: (n,) uint32, row after row; empty while the table streams
        mode: INIT, FIXED, STREAMING or STREAMING_LAST; "" from a server before 4.0
    """

    words: npt.NDArray[np.uint32]
    mode: str = ""


@dataclass(frozen=True)
class GetTable(Command[TableContent]):
    """Read a table: far faster than in ASCII.

    Args:
        field: the table, "SEQ1.TABLE"
    """

    field: str

    def conversation(self) -> Conversation[TableContent]:
        name = _name(self.field)
        words, mode = yield [Request(f"{name}.B?"), Request(f"{name}.MODE?")]
        lines = words.any()
        if isinstance(lines, bytes):
            raise RemoteProtocolError(f"{words.request!r} was answered with one value, not with lines: {lines[:80]!r}")
        return TableContent(_from_base64(words.request, lines), "" if mode.error is not None else mode.line())


@dataclass(frozen=True)
class Arm(Command[None]):
    """Arm PCAP. Refused while it is busy and when nothing is set to be captured."""

    def conversation(self) -> Conversation[None]:
        (yield from ask("*PCAP.ARM=")).ok()


@dataclass(frozen=True)
class Disarm(Command[None]):
    """Stop PCAP. Not an error when it is idle."""

    def conversation(self) -> Conversation[None]:
        (yield from ask("*PCAP.DISARM=")).ok()


@dataclass(frozen=True)
class Identity:
    """What a PandA says that it is. The software version is also the version of its protocol."""

    software: str
    fpga: str
    rootfs: str

    @property
    def software_version(self) -> tuple[int, ...]:
        """The leading numbers of the software version, (4, 1); empty where there are none."""
        match = re.match(r"\d{1,9}(\.\d{1,9})*", self.software)
        return tuple(map(int, match[0].split("."))) if match else ()


@dataclass(frozen=True)
class Identify(Command[Identity]):
    """Ask `*IDN?`: `PandA SW: 4.1 FPGA: 0.0.0 00000000 00000000 rootfs: ...`.

    Servers before 1.1 do not say `rootfs:`; then it is empty.
    """

    def conversation(self) -> Conversation[Identity]:
        line = (yield from ask("*IDN?")).line()
        try:
            software, rest = line.removeprefix("PandA SW: ").split(" FPGA: ")
            fpga, *more = rest.split(" rootfs: ")
            (rootfs,) = more or ("",)
        except ValueError:
            raise RemoteProtocolError(f"'*IDN?' was answered with {line[:80]!r}: this is not a PandA") from None
        return Identity(software, fpga, rootfs)


def _name(name: object) -> str:
    """Check that a name cannot be taken for another form of command."""
    if not isinstance(name, str) or not name or any(mark in name for mark in "?=<"):
        raise LocalProtocolError(f"{name!r} is not the name of a field")
    return name


def _text(value: object, field: str) -> str:
    """Write a value as a PandA reads it: no True, and no fraction where there is none, for fields of integers."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    if isinstance(value, _Scalar):
        return str(value).removesuffix(".0")
    raise _cannot_write(value, field)


def _cannot_write(value: object, field: str) -> LocalProtocolError:
    kind = type(value).__name__
    return LocalProtocolError(
        f"{field}: {repr(value)[:80]} ({kind}) cannot be written: it must be text, a number, or a list of these"
    )


def _as_words(values: npt.ArrayLike, table: str) -> npt.NDArray[np.uint32]:
    """Turn integers into 32-bit words, negative ones in two's complement."""
    array: npt.NDArray[Any] = np.asarray(values)
    if array.size == 0:
        return np.empty(0, np.uint32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise LocalProtocolError(f"{table}: words must be one row of integers, not {array.dtype} {array.shape}")
    if array.min() < -(2**31) or array.max() >= 2**32:
        raise LocalProtocolError(f"{table}: words must fit 32 bits, not {array.min()} to {array.max()}")
    return array.astype(np.uint32)


def _base64_lines(words: npt.NDArray[np.uint32]) -> list[str]:
    data = words.astype("<u4", copy=False).tobytes()
    return [
        binascii.b2a_base64(data[start : start + _BASE64_CHUNK], newline=False).decode()
        for start in range(0, len(data), _BASE64_CHUNK)
    ]


def _from_base64(request: str, lines: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    """The words in lines of base64, each of which may be padded."""
    joined = b"".join(lines)
    try:
        if b"=" in joined[:-2]:
            data = b"".join(binascii.a2b_base64(line, strict_mode=True) for line in lines)
        else:
            data = binascii.a2b_base64(joined, strict_mode=True)
    except ValueError:
        shown = joined[:_SHOWN].decode(errors="replace")
        raise RemoteProtocolError(f"{request!r} was answered with what is no base64: {shown!r}") from None
    if len(data) % 4:
        raise RemoteProtocolError(f"{request!r} was answered with {len(data)} bytes, which are no whole words")
    return np.frombuffer(data, "<u4").astype(np.uint32, copy=False)
