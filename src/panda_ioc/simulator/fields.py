"""A field of a simulated PandA.

It keeps its value as an integer, as the registers of the FPGA do; what its type makes of that integer is
its codec. Which codec, access and attributes a type has is told in `types`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..protocol import ChangeGroup
from .codecs import Codec
from .numbers import Refused
from .spec import FieldSpec

Value = str | list[str]

#: Bytes of a result of one line that can be told.
MAX_RESULT = 255


def encoded(text: str) -> bytes:
    """A text as it is sent; bytes that were no text when they came are the same again."""
    return text.encode(errors="surrogateescape")


@dataclass
class Attribute:
    """Something about a field: how it is read and, if it can be, written.

    Attributes:
        description: what a real server says of it
        write_lines: the same for a value of several lines
        labels: the choices, where it has some
        reported: whether `*CHANGES` tells it
        longest: bytes of a value of one line that can be read; a longer one is refused
    """

    description: str
    read: Callable[[], Value]
    write: Callable[[str], None] | None = None
    write_lines: Callable[[Sequence[str]], None] | None = None
    labels: Sequence[str] | None = None
    reported: bool = False
    longest: int = MAX_RESULT

    def answer(self) -> Value:
        """The value for a client."""
        value = self.read()
        if isinstance(value, str) and len(encoded(value)) > self.longest:
            raise Refused("Result too long")
        return value


@dataclass
class Scaling:
    """How a position is scaled: value = raw x scale + offset, in units."""

    scale: float = 1.0
    offset: float = 0.0
    units: str = ""


@dataclass
class Field:
    """A field of one instance of a block.

    Attributes:
        name: "PULSE1.DELAY"
        group: in which `*CHANGES` tells it; None if it never does
        changed: is called with the name of what changed: of the field, or of an attribute
        raw: the value as an integer
        scaling: of a position; nothing to other types
        in_error: whether reading it fails, as when a register does not answer
        on_write: told of every write that was accepted, also of one that changes nothing
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
        """The value as text."""
        if self.codec is None or not self.readable:
            raise Refused("Field not readable")
        if self.in_error:
            raise Refused("Error reading register")
        return self.codec.format(self.raw)

    def write(self, text: str) -> None:
        """Set the value from text."""
        if self.codec is None or not self.writeable:
            raise Refused("Field not writeable")
        self.set(self.codec.parse(text))

    def set(self, raw: int) -> None:
        """Set the value, as a write does."""
        self.raw = raw
        self.changed(self.name)
        self.on_write(self)

    def report(self) -> str:
        """The line of `*CHANGES` for it."""
        return f"{self.name} (error)" if self.in_error else f"{self.name}={self.read()}"
