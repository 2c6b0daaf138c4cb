"""A field of a simulated PandA.

Its value is stored as an integer, as in the registers of the FPGA; a codec converts it from and to text. `types` lists
the codec, access and attributes of each type.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..protocol import ChangeGroup
from .codecs import Codec
from .numbers import Refused
from .spec import FieldSpec

Value = str | list[str]

#: Length limit of a one-line result, in bytes.
MAX_RESULT = 255


def encoded(text: str) -> bytes:
    """Return the bytes of a text; bytes that were not valid UTF-8 when received are restored."""
    return text.encode(errors="surrogateescape")


@dataclass
class Attribute:
    """An attribute of a field, or a metadata key.

    Attributes:
        description: reply to `*DESC`, as a real server gives it
        read: returns the value
        write: sets a value of one line; None if it cannot be written
        write_lines: sets a value of several lines; None if it cannot be written
        labels: choices of an enum; None otherwise
        reported: whether `*CHANGES` reports it
        longest: length limit for reading a value of one line, in bytes; a longer value is refused
    """

    description: str
    read: Callable[[], Value]
    write: Callable[[str], None] | None = None
    write_lines: Callable[[Sequence[str]], None] | None = None
    labels: Sequence[str] | None = None
    reported: bool = False
    longest: int = MAX_RESULT

    def answer(self) -> Value:
        """Return the value; raise Refused if it is too long."""
        value = self.read()
        if isinstance(value, str) and len(encoded(value)) > self.longest:
            raise Refused("Result too long")
        return value


@dataclass
class Scaling:
    """The scaling of a position: value = raw * scale + offset, in units."""

    scale: float = 1.0
    offset: float = 0.0
    units: str = ""


@dataclass
class Field:
    """A field of one instance of a block.

    Attributes:
        name: full name, for example "PULSE1.DELAY"
        spec: specification from the device file
        codec: conversion between text and integer; None for a field without a value
        readable, writeable: access
        group: `*CHANGES` group that reports it; None if none does
        changed: called with the name of whatever changed: the field, or an attribute
        raw: value as an integer
        attributes: attributes by name
        scaling: scaling of a position; unused by other types
        labels: choices of an enum or a mux; None otherwise
        in_error: whether reads fail, as when a register does not respond
        on_write: called after every accepted write, even if it does not change the value
    """

    name: str
    spec: FieldSpec
    codec: Codec | None
    readable: bool
    writeable: bool
    group: ChangeGroup | None
    changed: Callable[[str], None]
    raw: int = 0
    attributes: dict[str, Attribute] = field(default_factory=dict)
    scaling: Scaling = field(default_factory=Scaling)
    labels: Sequence[str] | None = None
    in_error: bool = False
    on_write: Callable[["Field"], None] = lambda _: None

    def read(self) -> Value:
        """Return the value as text; raise Refused if it cannot be read."""
        if self.codec is None or not self.readable:
            raise Refused("Field not readable")
        if self.in_error:
            raise Refused("Error reading register")
        return self.codec.format(self.raw)

    def write(self, text: str) -> None:
        """Set the value from text; raise Refused if it cannot be written."""
        if self.codec is None or not self.writeable:
            raise Refused("Field not writeable")
        self.set(self.codec.parse(text))

    def set(self, raw: int) -> None:
        """Set the value, as a client's write does."""
        self.raw = raw
        self.changed(self.name)
        self.on_write(self)

    def report(self) -> str:
        """Return its line in the reply to `*CHANGES?`."""
        return f"{self.name} (error)" if self.in_error else f"{self.name}={self.read()}"
