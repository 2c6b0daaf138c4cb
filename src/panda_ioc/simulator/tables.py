"""The tables of a simulated PandA: rows of 32-bit words, written as a whole or streamed.

A table is INIT while empty, FIXED once written, STREAMING while buffers are added with `<<`, and STREAMING_LAST after
`<<|`. An empty write returns it to INIT from any mode.
"""

import binascii
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ..protocol import ChangeGroup
from .fields import Attribute, Field, Value
from .numbers import Refused, parse_integer
from .spec import FieldSpec

Words = npt.NDArray[np.uint32]

#: Bytes in each line of a table that is read in base64.
_BASE64_LINE = 48

#: What may follow the `<` of a table write: whether it adds to a stream, is the last buffer, is in base64.
FORMATS = {
    "": (False, False, False),
    "B": (False, False, True),
    "<": (True, False, False),
    "<B": (True, False, True),
    "<|": (True, True, False),
    "<|B": (True, True, True),
}


class TableField(Field):
    """A table of one instance of a block.

    Attributes:
        words: content, shape (words,), dtype uint32; empty while it streams
        mode: INIT, FIXED, STREAMING or STREAMING_LAST
        writer: the session that is writing it at the moment; None otherwise
        on_rows: called with every buffer and the mode that results, before it is accepted; may raise Refused
        count_queued: returns the number of queued lines of a stream
    """

    def __init__(self, name: str, spec: FieldSpec, changed: Callable[[str], None]) -> None:
        super().__init__(name, spec, None, True, False, ChangeGroup.TABLE, changed)  # noqa: FBT003
        self.words: Words = np.empty(0, np.uint32)
        self.mode = "INIT"
        self.writer: object | None = None
        self.on_rows: Callable[[TableField, Words, str], None] = lambda *_: None
        self.count_queued: Callable[[], int] = lambda: 0
        self.attributes = {
            "MAX_LENGTH": Attribute("Maximum number of entries in table", lambda: str(spec.max_length)),
            "LENGTH": Attribute("Number of entries in table", lambda: str(len(self.words))),
            "B": Attribute("Table in base-64 representation", self._read_base64),
            "FIELDS": Attribute(
                "List of sub-fields for this table",
                lambda: [f"{column.bits} {name} {column.type}" for name, column in spec.columns.items()],
            ),
            "ROW_WORDS": Attribute("Number of words per table row", lambda: str(spec.row_words)),
            "QUEUED_LINES": Attribute("Number of lines scheduled", lambda: str(self.count_queued()), reported=True),
            "MODE": Attribute("Current table mode", lambda: self.mode),
            "INFO": Attribute("Class information for field", lambda: "table"),
        }

    def read(self) -> Value:
        """Return all words as decimal numbers."""
        return [str(word) for word in self.words.tolist()]

    def report(self) -> str:
        """Report only that it changed; clients read the content with a query."""
        return f"{self.name}<"

    def _read_base64(self) -> Value:
        data = self.words.astype("<u4").tobytes()
        return [
            binascii.b2a_base64(data[start : start + _BASE64_LINE], newline=False).decode()
            for start in range(0, len(data), _BASE64_LINE)
        ]

    def put(self, form: str, lines: Sequence[str]) -> None:
        """Apply a table write.

        Args:
            form: text after the first `<`, a key of FORMATS
            lines: lines of data

        Raises:
            Refused: the data or the mode does not allow it; the table stays as it was
        """
        add, last, base64 = FORMATS[form]
        words = _from_base64(lines, self.spec.max_length) if base64 else _from_text(lines)
        if len(words) % self.spec.row_words:
            raise Refused("Table write is not a whole number of rows")
        if len(words) > self.spec.max_length:
            raise Refused("Too many points for table")
        mode = self._next_mode(len(words), add=add, last=last)
        self.on_rows(self, words, mode)
        self.mode = mode
        self.words = np.empty(0, np.uint32) if add else words
        self.changed(self.name)

    def _next_mode(self, length: int, *, add: bool, last: bool) -> str:
        if add and not length:
            raise Refused("Streaming table must have data")
        if not add and not length:
            return "INIT"
        if self.mode == "STREAMING_LAST":
            raise Refused("Last streaming table was sent")
        if add:
            return "STREAMING_LAST" if last else "STREAMING"
        if self.mode == "STREAMING":
            raise Refused("Table is in streaming mode")
        return "FIXED"


def _from_text(lines: Sequence[str]) -> Words:
    """Parse numbers separated by single spaces or newlines; spaces may lead but not trail."""
    words = [word for line in lines for word in line.lstrip(" ").split(" ")]
    if not all(map(str.isdecimal, words)):
        words = [str(_number(word)) for word in words]
    return np.array([int(word) & 0xFFFFFFFF for word in words], np.uint32)


def _number(word: str) -> int:
    try:
        return parse_integer(word)
    except Refused:
        raise Refused("Number missing") from None


def _from_base64(lines: Sequence[str], max_length: int) -> Words:
    data = bytearray()
    for line in lines:
        try:
            # Padding may be missing; strict mode refuses anything else.
            chunk = binascii.a2b_base64((line + "=" * (-len(line) % 4)).encode(), strict_mode=True)
        except ValueError:
            raise Refused("Malformed base64 string") from None
        if len(chunk) % 4:
            raise Refused("Invalid data length")
        data += chunk
        if len(data) > max_length * 4:
            raise Refused("Input string too long for output buffer")
    return np.frombuffer(bytes(data), "<u4").astype(np.uint32)
