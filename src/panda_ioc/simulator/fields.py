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


@dataclass
class Attribute:
    """Something about a field: how it is read and, if it can be, written.

    Attributes:
        write_lines: the same for a value of several lines
        labels: the choices, where it has some
        reported: whether `*CHANGES` tells it
    """

    read: Callable[[], Value]
    write: Callable[[str], None] | None = None
    write_lines: Callable[[Sequence[str]], None] | None = None
    labels: Sequence[str] | None = None
    reported: bool = False


@dataclass
class Field:
    """A field of one instance of a block.

    Attributes:
        name: "PULSE1.DELAY"
        group: in which `*CHANGES` tells it; None if it never does
        changed: is called with the name of what changed: of the field, or of an attribute
        raw: the value as an integer
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
        self.raw = self.codec.parse(text)
        self.changed(self.name)
        self.on_write(self)

    def report(self) -> str:
        """The line of `*CHANGES` for it."""
        return f"{self.name} (error)" if self.in_error else f"{self.name}={self.read()}"
