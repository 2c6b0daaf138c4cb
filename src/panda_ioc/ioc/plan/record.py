"""A record as it is planned: all that must be known to serve it, to draw it, to describe it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

import numpy.typing as npt

from .codecs import VERBATIM, Codec, Value

#: The numbers or the texts of an array record, or of a column of a table.
Array = npt.NDArray[Any] | Sequence[str]

#: What a PV holds: one value, an array, or a table as its columns.
Content = Value | Array | Mapping[str, Array]

#: Bytes of text that a string record holds, that a label of an mbbo holds, that a client sees of DESC, that EGU holds.
STRING_BYTES = 39
LABEL_BYTES = 25
DESC_BYTES = 39
EGU_BYTES = 15

#: Choices that an mbbo holds.
MAX_CHOICES = 16

#: Characters of a record name.
NAME_BYTES = 60

#: Bytes of a long text: a line of the control port is not longer.
TEXT_BYTES = 1024


class Kind(Enum):
    """Which record serves it: the name of the kind, the EPICS record type, its direction, and what it holds.

    Attributes:
        record_type: the EPICS record type
        is_out: whether clients may put to it
        is_text: whether its value is text
        is_long_text: whether its value is text that may be longer than a string record holds
        is_array: whether its value is an array
        is_choice: whether its value is the index of a label
    """

    AI = "ai", "ai", "in", "number"
    AO = "ao", "ao", "out", "number"
    LONGIN = "longin", "longin", "in", "number"
    LONGOUT = "longout", "longout", "out", "number"
    BI = "bi", "bi", "in", "choice"
    BO = "bo", "bo", "out", "choice"
    MBBI = "mbbi", "mbbi", "in", "choice"
    MBBO = "mbbo", "mbbo", "out", "choice"
    STRINGIN = "stringin", "stringin", "in", "text"
    STRINGOUT = "stringout", "stringout", "out", "text"
    TEXTIN = "waveform in", "waveform", "in", "long text"
    TEXTOUT = "waveform out", "waveform", "out", "long text"
    ARRAYIN = "waveform array in", "waveform", "in", "array"
    ARRAYOUT = "waveform array out", "waveform", "out", "array"

    _value_: str

    def __new__(cls, name: str, *_: str) -> Self:
        """Make a kind, whose value is its name."""
        kind = object.__new__(cls)
        kind._value_ = name
        return kind

    def __init__(self, _: str, record_type: str, direction: str, holds: str) -> None:
        self.record_type = record_type
        self.is_out = direction == "out"
        self.is_text = holds in {"text", "long text"}
        self.is_long_text = holds == "long text"
        self.is_array = holds == "array"
        self.is_choice = holds == "choice"

    # There is one object for each: as a key it need not be told by its name, which takes ten times as long.
    __hash__ = object.__hash__


class Access(Enum):
    """What a client does with it, in the letters of PVI."""

    READ = "r"
    READ_WRITE = "rw"
    WRITE = "w"
    EXECUTE = "x"


@dataclass(frozen=True)
class Record:
    """A record.

    Attributes:
        name: without the prefix: "PULSE1:DELAY"
        kind: how it is served
        description: the whole text, of any length
        codec: how its value is made of what the PandA says, and the other way round
        sources: the keys of `*CHANGES` that its value is made of; none where the IOC itself knows it
        target: what is written by a put: "PULSE1.DELAY"; None where the IOC takes it or nobody may
        access: what clients do with it
        block: the instance that it belongs to, "PULSE1"; "" for the IOC's own
        units: fixed units
        units_source: a key that says the units now
        low, high: limits
        precision: digits after the point
        labels: choices, whole
        choices_record: name of the record that lists choices which do not fit here
        aliases: other names, without the prefix
        constant: a value that never changes
        healthy: what the PandA says when all is well; anything else is a major alarm
        pulses: whether a change that is reported with the value unchanged was a pulse
        dtype: of the elements of an array record, as numpy writes it, "u2", or "str"
        length: the most elements of an array record
        staged: whether a put takes effect only with another one, so that it is no setting to be kept and restored
        service: which part of the IOC gives it values and takes puts; "" for what mirrors a field of the PandA
        at_once: whether a put is made when it comes, also while the one before it is not done; of choices alone
    """

    name: str
    kind: Kind
    description: str
    codec: Codec = VERBATIM
    sources: tuple[str, ...] = ()
    target: str | None = None
    access: Access = Access.READ
    block: str = ""
    units: str = ""
    units_source: str | None = None
    low: float | None = None
    high: float | None = None
    precision: int | None = None
    labels: tuple[str, ...] = ()
    choices_record: str | None = None
    aliases: tuple[str, ...] = ()
    constant: Value | None = None
    healthy: str | None = None
    pulses: bool = False
    dtype: str = ""
    length: int = 0
    staged: bool = False
    service: str = ""
    at_once: bool = False


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: how it is called in the table's structure: "time1"
        label: how it is shown: "TIME1"
        dtype: of its elements, as for `Record`
        choices: what its texts can be; none where any text or number can be there
        low, high: limits of its numbers
    """

    name: str
    label: str
    dtype: str
    choices: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Table:
    """A table as a PV of its own, which PV Access alone can serve: columns of one length, put as one.

    Attributes:
        name, description, access, block, service: as for `Record`
        columns: in order; none where they change: then they are those of each value, by their labels
        max_rows: the most rows
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    max_rows: int
    access: Access = Access.READ
    block: str = ""
    service: str = ""


def shorten(text: str, limit: int) -> str:
    """Cut text to a number of bytes of UTF-8 without cutting a character."""
    data = text.encode(errors="replace")
    return text if len(data) <= limit else data[:limit].decode(errors="ignore")


def short_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Labels as an mbbo holds them: cut, and told apart by a number where cutting makes them the same."""
    short: list[str] = []
    for label in labels:
        candidate = shorten(label, LABEL_BYTES)
        number = 2
        while candidate in short:
            mark = f"~{number}"
            candidate = shorten(label, LABEL_BYTES - len(mark)) + mark
            number += 1
        short.append(candidate)
    return tuple(short)
