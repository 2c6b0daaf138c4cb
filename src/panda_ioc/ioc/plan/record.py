"""Planned records and tables: everything that the servers, PVI and the screens need to know about a PV."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

import numpy.typing as npt

from .codecs import VERBATIM, Codec, Value

#: The value of an array record, or of a table column: numbers or texts.
Array = npt.NDArray[Any] | Sequence[str]

#: The value of a PV: a scalar, an array, or a table as its columns by name.
Content = Value | Array | Mapping[str, Array]

#: Maximum bytes of text, without the NUL, in a string record, an mbbo state string, DESC (as clients see it), EGU.
STRING_BYTES = 39
LABEL_BYTES = 25
DESC_BYTES = 39
EGU_BYTES = 15

#: Maximum choices of an mbbo.
MAX_CHOICES = 16

#: Maximum length of a record name.
NAME_BYTES = 60

#: Size of a long text in bytes; a line of the PandA's control port is not longer.
TEXT_BYTES = 1024


class Kind(Enum):
    """The kind of a record: EPICS record type, direction and type of the value.

    Attributes:
        record_type: EPICS record type
        is_out: True for output records, to which clients may put
        is_text: True if the value is text
        is_long_text: True if the value is text that may exceed a string record
        is_array: True if the value is an array
        is_choice: True if the value is the index of a label
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
        """Create a member whose value is its name."""
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

    # Members are singletons: hashing by identity is ten times as fast as by name.
    __hash__ = object.__hash__


class Access(Enum):
    """The access that clients have, as the letters of PVI."""

    READ = "r"
    READ_WRITE = "rw"
    WRITE = "w"
    EXECUTE = "x"


@dataclass(frozen=True)
class Record:
    """A planned record.

    Attributes:
        name: name without the prefix: "PULSE1:DELAY"
        kind: kind of the record
        description: full description, of any length
        codec: converts between the text of the PandA and the value
        sources: keys of `*CHANGES` that the value is computed from; empty if the value comes from the IOC
        target: field or attribute that a put writes, "PULSE1.DELAY"; None if puts go to a service, or are not allowed
        access: access that clients have
        block: block instance that it belongs to, "PULSE1"; "" for the records of the IOC
        units: fixed engineering units (EGU)
        units_source: key of `*CHANGES` that has the current units
        low, high: limits
        precision: decimal places
        labels: full texts of the choice labels
        choices_record: name of the record that lists the choices, if they do not fit here
        aliases: other names, without the prefix
        constant: value that never changes
        healthy: the only text that is not an alarm; any other text is a MAJOR alarm
        pulses: True if a reported change to the same value means that there was a pulse
        dtype: element type of an array record: a numpy type such as "u2", or "str"
        length: maximum elements of an array record
        staged: True if a put takes effect only with a later put, such as SUBMIT, so the value is not a setting to save
        service: name of the service that owns the record; "" for a mirror of a field of the PandA
        at_once: True if a put is handled on arrival, even while an earlier put is pending; for choices only
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
        name: member name in the PVA structure: "time1"
        label: heading: "TIME1"
        dtype: element type, as for `Record`
        choices: allowed texts; empty if any text or number is allowed
        low, high: limits of numbers
    """

    name: str
    label: str
    dtype: str
    choices: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True)
class Table:
    """A planned table: an NTTable PV, over PV Access only; a put writes all columns together.

    Attributes:
        name, description, access, block, service: as for `Record`
        columns: columns in order; empty if they change at run time, then each value brings its own
        max_rows: maximum number of rows
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    max_rows: int
    access: Access = Access.READ
    block: str = ""
    service: str = ""


def shorten(text: str, limit: int) -> str:
    """Return text cut to a maximum number of UTF-8 bytes, at a character boundary."""
    data = text.encode(errors="replace")
    return text if len(data) <= limit else data[:limit].decode(errors="ignore")


def short_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return labels cut to the size of an mbbo state string; a number distinguishes those that become equal."""
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
