"""Commands that read and write tables."""

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import LocalProtocolError, RemoteProtocolError
from .exchange import Command, Conversation, Request, field_name

#: Bytes of table data per base64 line. A multiple of 3, so that lines need no padding, and of 4, because the server
#: requires whole words in each line. The encoded line is shorter than the server's limit.
_BASE64_CHUNK = 756

#: Maximum number of bytes of a reply quoted in an error message.
_SHOWN = 80


@dataclass(frozen=True, eq=False)
class PutTable(Command[None]):
    r"""Replace the content of a table. The response is `None`.

    Args:
        field: table name: "SEQ1.TABLE"
        words: (n,) integers from -2**31 to 2**32 - 1, row after row; negative values are sent in two's complement.
            `columns_to_words` makes them from columns
        base64: False sends decimal numbers, which is much slower

    Raises:
        LocalProtocolError: `words` is not a one-dimensional array of 32-bit integers
        CommandError: the server refuses the table, for example because it has too many rows

    Example:
        >>> connection = ControlConnection()
        >>> connection.send(PutTable("SEQ1.TABLE", [1, 2, 3, 4]))
        b'SEQ1.TABLE<B\nAQAAAAIAAAADAAAABAAAAA==\n\n'
    """

    field: str
    words: npt.ArrayLike
    base64: bool = True

    def conversation(self) -> Conversation[None]:
        words = _as_words(self.words, self.field)
        start = f"{field_name(self.field)}{self._operator()}"
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
    """Append rows to a streaming table. Requires server 4.0 or later. The response is `None`.

    Args:
        field: table name: "SEQ1.TABLE"
        words: (n,) 32-bit integers, as for `PutTable`
        base64: False sends decimal numbers
        last: marks the last rows; the block stops after playing them

    Raises:
        LocalProtocolError: `words` is not a one-dimensional array of 32-bit integers
        CommandError: the server refuses the rows
    """

    last: bool = False

    def _operator(self) -> str:
        return "<<|" if self.last else "<<"


@dataclass(frozen=True, eq=False)
class TableContent:
    """The content of a table, returned by `GetTable`.

    Attributes:
        words: (n,) uint32, row after row; `words_to_columns` splits them into columns. Empty while the table streams
        mode: "INIT", "FIXED", "STREAMING" or "STREAMING_LAST"; "" from servers before 4.0
    """

    words: npt.NDArray[np.uint32]
    mode: str = ""


@dataclass(frozen=True)
class GetTable(Command[TableContent]):
    """Read a table in base64, which is much faster than decimal numbers. The response is a `TableContent`.

    Args:
        field: table name: "SEQ1.TABLE"

    Raises:
        CommandError: the server refuses the name
        RemoteProtocolError: the reply is not base64 or not whole 32-bit words
    """

    field: str

    def conversation(self) -> Conversation[TableContent]:
        name = field_name(self.field)
        words, mode = yield [Request(f"{name}.B?"), Request(f"{name}.MODE?")]
        lines = words.any()
        if isinstance(lines, bytes):
            raise RemoteProtocolError(f"{words.request!r} returned one value, not lines: {lines[:80]!r}")
        return TableContent(_from_base64(words.request, lines), "" if mode.error is not None else mode.line())


def _as_words(values: npt.ArrayLike, table: str) -> npt.NDArray[np.uint32]:
    """Convert integers to 32-bit words, negative ones in two's complement."""
    array: npt.NDArray[Any] = np.asarray(values)
    if array.size == 0:
        return np.empty(0, np.uint32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise LocalProtocolError(
            f"{table}: words must be a one-dimensional array of integers, not {array.dtype} {array.shape}"
        )
    if array.min() < -(2**31) or array.max() >= 2**32:
        raise LocalProtocolError(f"{table}: words must fit in 32 bits, not {array.min()} to {array.max()}")
    return array.astype(np.uint32)


def _base64_lines(words: npt.NDArray[np.uint32]) -> list[str]:
    data = words.astype("<u4", copy=False).tobytes()
    return [
        binascii.b2a_base64(data[start : start + _BASE64_CHUNK], newline=False).decode()
        for start in range(0, len(data), _BASE64_CHUNK)
    ]


def _from_base64(request: str, lines: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    """Decode lines of base64, each of which may be padded."""
    joined = b"".join(lines)
    try:
        if b"=" in joined[:-2]:
            data = b"".join(binascii.a2b_base64(line, strict_mode=True) for line in lines)
        else:
            data = binascii.a2b_base64(joined, strict_mode=True)
    except ValueError:
        shown = joined[:_SHOWN].decode(errors="replace")
        raise RemoteProtocolError(f"{request!r} returned invalid base64: {shown!r}") from None
    if len(data) % 4:
        raise RemoteProtocolError(f"{request!r} returned {len(data)} bytes, which is not a multiple of 4")
    return np.frombuffer(data, "<u4").astype(np.uint32, copy=False)
