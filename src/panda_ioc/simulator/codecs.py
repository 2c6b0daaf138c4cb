"""Codecs between the text of a value and its integer: one for each kind of value that a PandA has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from . import lut
from .numbers import (
    CLOCK,
    TICK,
    TIME_UNITS,
    Refused,
    format_float,
    parse_float,
    parse_integer,
    to_integer,
    wrap_signed,
    wrap_unsigned,
)


class Codec(Protocol):
    """A conversion between the text of a value and the integer in its register."""

    def parse(self, text: str) -> int:
        """Return the integer; raise Refused if the text is not valid."""

    def format(self, raw: int) -> str:
        """Return the text."""


@dataclass
class Unsigned:
    """A uint: the number wraps at 32 bits, then must not exceed the maximum."""

    maximum: int = 2**32 - 1
    too_large: str = "Number out of range"

    def parse(self, text: str) -> int:
        value = wrap_unsigned(parse_integer(text))
        if value > self.maximum:
            raise Refused(self.too_large)
        return value

    def format(self, raw: int) -> str:
        return str(raw)


@dataclass
class Signed:
    """An int: the number wraps at 32 bits."""

    def parse(self, text: str) -> int:
        return wrap_signed(parse_integer(text))

    def format(self, raw: int) -> str:
        return str(raw)


@dataclass
class Bit:
    """A bit: exactly the character 0 or 1."""

    def parse(self, text: str) -> int:
        if text[:1] not in {"0", "1"}:
            raise Refused("Invalid bit value")
        if len(text) > 1:
            raise Refused("Unexpected character after input")
        return int(text)

    def format(self, raw: int) -> str:
        return str(raw)


@dataclass
class Scalar:
    """A float with a scale and an offset, stored as a signed 32-bit integer."""

    scale: float
    offset: float

    def parse(self, text: str) -> int:
        return wrap_signed(to_integer((parse_float(text) - self.offset) / self.scale))

    def format(self, raw: int) -> str:
        return format_float(raw * self.scale + self.offset)


@dataclass
class Choice:
    """A label, stored as its index."""

    labels: Sequence[str]
    unknown: str = "Invalid enumeration value"

    def parse(self, text: str) -> int:
        try:
            return self.labels.index(text)
        except ValueError:
            raise Refused(self.unknown) from None

    def format(self, raw: int) -> str:
        return self.labels[raw] if 0 <= raw < len(self.labels) else "?"


_BAD_TIME = "Time setting out of range"


@dataclass
class Time:
    """A time in ticks, shown in selectable units; a change of units does not change the time."""

    maximum: int
    units: str = "s"

    def parse(self, text: str) -> int:
        seconds = parse_float(text) * TIME_UNITS[self.units]
        if not 0 <= seconds <= self.maximum / CLOCK:
            raise Refused(_BAD_TIME)
        return self._checked(to_integer(seconds * CLOCK))

    def format(self, raw: int) -> str:
        return format_float(raw * TICK / TIME_UNITS[self.units])

    def parse_raw(self, text: str) -> int:
        """Return a time given in ticks: exact, while the scaled text has only 10 digits."""
        return self._checked(parse_integer(text))

    def _checked(self, ticks: int) -> int:
        if not 0 <= ticks <= self.maximum:
            raise Refused(_BAD_TIME)
        return ticks


@dataclass
class Lut:
    """A logic function: the integer is its truth table, the text reads back as it was written."""

    text: str = "0x00000000"

    def parse(self, text: str) -> int:
        table = lut.table(text)
        self.text = text
        return table

    def format(self, raw: int) -> str:  # noqa: ARG002 - the text reads back as written
        return self.text


@dataclass
class Action:
    """An action, which is written without a value."""

    def parse(self, text: str) -> int:
        if text:
            raise Refused("Unexpected text after command")
        return 0

    def format(self, raw: int) -> str:
        """Raise NotImplementedError: an action cannot be read."""
        raise NotImplementedError
