"""The tables of a simulated PandA: rows of 32-bit words that are written whole, or streamed.

A table is INIT while empty, FIXED once written, STREAMING while buffers are added with `<<`, and
STREAMING_LAST after `<<|`; an empty write brings it back to INIT from anywhere.
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

#: Bytes in each line of a table that is read as base64.
_BASE64_LINE = 48

#: What may follow the `<` of a table write: is it added to a stream, is it the last, is it base64.
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
        words: what it holds; empty while it streams
        mode: INIT, FIXED, STREAMING or STREAMING_LAST
        writer: who is in the middle of writing it
        on_rows: is given every buffer with the mode that it leads to, before it is accepted; it may refuse
        count_queued: how many lines of a stream wait to be played
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
        """All words as decimal numbers."""
        return [str(word) for word in self.words.tolist()]

    def report(self) -> str:
        """Only that it changed: a table must be read on its own."""
        return f"{self.name}<"

    def _read_base64(self) -> Value:
        data = self.words.astype("<u4").tobytes()
        return [
            binascii.b2a_base64(data[start : start + _BASE64_LINE], newline=False).decode()
            for start in range(0, len(data), _BASE64_LINE)
        ]

    def put(self, form: str, lines: Sequence[str]) -> None:
        """Take the lines of a table write.

        Args:
            form: what stood after `<`, one of FORMATS
            lines: the data
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
    """Numbers separated by single spaces or new lines; spaces may lead but not trail."""
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
            # A line may lack its padding, but nothing else.
            chunk = binascii.a2b_base64((line + "=" * (-len(line) % 4)).encode(), strict_mode=True)
        except ValueError:
            raise Refused("Malformed base64 string") from None
        if len(chunk) % 4:
            raise Refused("Invalid data length")
        data += chunk
        if len(data) > max_length * 4:
            raise Refused("Input string too long for output buffer")
    return np.frombuffer(bytes(data), "<u4").astype(np.uint32)
