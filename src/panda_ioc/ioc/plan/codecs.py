"""Codecs: convert the text that a PandA sends to the value of a record, and a put back to text.

A codec is an immutable object without state, so records can be compared and printed. Both directions handle untrusted
input: text from the PandA that does not fit raises `DecodeError`, a put that does not fit raises `Refusal`.
"""

import difflib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...protocol import Arm, Command, Disarm, Put

#: The value of a record: a number, the index of a label, or text.
Value = float | int | str


class DecodeError(ValueError):
    """The PandA sent text that the record cannot show."""


class Refusal(ValueError):  # noqa: N818 - names the outcome that the client sees
    """A put is refused; the message gives the reason."""


@dataclass(frozen=True)
class Codec:
    """The base codec: text, unchanged."""

    def decode(self, text: str) -> Value:
        """Return the value for text from the PandA.

        Raises:
            DecodeError: the text is not a valid value
        """
        return text

    def encode(self, value: Any) -> str:
        """Return the text to send for a value.

        Raises:
            Refusal: the value is not valid
        """
        text = str(value)
        if any(character in text for character in "\n\r\0"):
            raise Refusal("the text must not contain line breaks or NUL characters")
        return text

    def command(self, target: str, value: Any, current: str | None) -> Command[None] | None:
        """Return the command that puts a value.

        Args:
            target: field or attribute to write, such as "PULSE1.DELAY"
            value: value that the client put
            current: text that the PandA reported last; None if unknown

        Returns:
            the command; None if the put changes nothing, as when a client writes back the text that it read

        Raises:
            Refusal: the value is not valid
        """
        if current is not None and isinstance(value, str) and value == self.decode(current):
            return None
        return Put(target, self.encode(value))

    def precision(self, text: str, units: str) -> int | None:  # noqa: ARG002 - for subclasses
        """Return the decimal places (PREC) for a value; None to keep those of the record."""
        return None

    def after_put(self, value: Value) -> Value:
        """Return the value to show after a put to a field without readback."""
        return value


VERBATIM = Codec()

#: Maximum bytes of field name plus text that a PandA reports in `*CHANGES`: it truncates longer text, and two bytes
#: beyond that it cannot answer a query of the field either (measured on server 4.1).
MAX_REPORTED_BYTES = 254


@dataclass(frozen=True)
class TextCodec(Codec):
    """Text that is short enough for the PandA to report it in full."""

    def command(self, target: str, value: Any, current: str | None) -> Command[None] | None:
        command = super().command(target, value, current)
        if isinstance(command, Put) and isinstance(command.value, str):
            size, room = len(command.value.encode(errors="replace")), MAX_REPORTED_BYTES - len(target)
            if size > room:
                raise Refusal(f"the text is too long: it has {size} bytes, the PandA keeps at most {room}")
        return command


TEXT = TextCodec()

#: Messages show integers up to this size in full, larger ones as floats.
_MAX_SHOWN_IN_FULL = 1e16

#: Label that stands for all values without a label.
OTHER = "Other"


@dataclass(frozen=True)
class IntCodec(Codec):
    """An integer in the range low to high, both included."""

    low: int
    high: int

    def decode(self, text: str) -> Value:
        try:
            number = int(text, 0)
        except ValueError:
            raise DecodeError(f"{text[:40]!r} is not an integer") from None
        if not self.low <= number <= self.high:
            raise DecodeError(f"{number} is out of range {self.low} to {self.high}")
        return number

    def encode(self, value: Any) -> str:
        number = float(value)
        if not number.is_integer():
            raise Refusal(f"{value} is not a whole number")
        if not self.low <= number <= self.high:
            shown = int(number) if abs(number) < _MAX_SHOWN_IN_FULL else number
            raise Refusal(f"{shown} is out of range {self.low} to {self.high}")
        return str(int(number))


SIGNED = IntCodec(-(2**31), 2**31 - 1)
BIT = IntCodec(0, 1)


@dataclass(frozen=True)
class FloatCodec(Codec):
    """A finite number."""

    def decode(self, text: str) -> Value:
        try:
            return float(text)
        except ValueError:
            raise DecodeError(f"{text[:40]!r} is not a number") from None

    def encode(self, value: Any) -> str:
        number = float(value)
        if not math.isfinite(number):
            raise Refusal(f"{number} is not a finite number")
        return repr(number)


@dataclass(frozen=True)
class CoefficientCodec(FloatCodec):
    """A coefficient such as SCALE, which may be tiny: the precision follows the value, six significant digits."""

    def precision(self, text: str, units: str) -> int | None:  # noqa: ARG002 - depends on the number only
        return digits_for(_finite(text), 6)


@dataclass(frozen=True)
class TimeCodec(FloatCodec):
    """A time, 0 or more; the precision resolves one tick of the FPGA clock, 8 ns."""

    def precision(self, text: str, units: str) -> int | None:  # noqa: ARG002 - depends on the units only
        return {"min": 11, "s": 9, "ms": 6, "us": 3}.get(units, 9)

    def encode(self, value: Any) -> str:
        if float(value) < 0:
            raise Refusal(f"{value} is negative: a time must be 0 or more")
        return super().encode(value)


@dataclass(frozen=True)
class ChoiceCodec(Codec):
    """One of several labels, as its index."""

    labels: tuple[str, ...]

    def decode(self, text: str) -> Value:
        try:
            return self.labels.index(text)
        except ValueError:
            raise DecodeError(f"{text[:40]!r} is not one of the choices") from None

    def encode(self, value: Any) -> str:
        index = int(value)
        if not 0 <= index < len(self.labels):
            raise Refusal(f"choice {index} does not exist: valid choices are 0 to {len(self.labels) - 1}")
        return self.labels[index]


@dataclass(frozen=True)
class CaptureChoiceCodec(ChoiceCodec):
    """Capture options as the index of a label; combinations without a label show as one more choice, `OTHER`.

    A put of `OTHER` changes nothing. The companion record `:TEXT` shows and sets every combination (`CapturesCodec`).
    """

    def decode(self, text: str) -> Value:
        return self.labels.index(text) if text in self.labels else len(self.labels)

    def command(self, target: str, value: Any, current: str | None) -> Command[None] | None:
        if int(value) == len(self.labels):
            if current in {None, *self.labels}:
                raise Refusal(f"{OTHER!r} cannot be set: put the capture options to the record CAPTURE:TEXT")
            return None
        return super().command(target, value, current)


@dataclass(frozen=True)
class LabelCodec(Codec):
    """One of several labels, as text; the refusal of an unknown label suggests similar ones."""

    labels: tuple[str, ...]

    def encode(self, value: Any) -> str:
        text = super().encode(value)
        if text not in self.labels:
            raise Refusal(f"{text!r} is not one of the {len(self.labels)} choices{near_matches(text, self.labels)}")
        return text


@dataclass(frozen=True)
class CapturesCodec(Codec):
    """Capture options as text: one or more words, separated by spaces, or "No"."""

    labels: tuple[str, ...]

    def encode(self, value: Any) -> str:
        text = " ".join(super().encode(value).split())
        options = {option for label in self.labels for option in label.split()}
        for word in text.split():
            if word not in options or (word == "No" and text != word):
                raise Refusal(f"{word!r} is not a valid capture option{near_matches(word, sorted(options))}")
        return text


def all_captures(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of the capture options, then every other combination that a PandA accepts."""
    options = list(dict.fromkeys(option for label in labels for option in label.split() if option != "No"))
    known = {frozenset(label.split()) for label in labels}
    sets = itertools.chain.from_iterable(itertools.combinations(options, size) for size in range(1, len(options) + 1))
    return (*labels, *(" ".join(words) for words in sets if frozenset(words) not in known))


@dataclass(frozen=True)
class ActionCodec(Codec):
    """An action: 1 triggers it; 0 does nothing, so restoring saved settings triggers nothing."""

    def command(self, target: str, value: Any, current: str | None) -> Command[None] | None:  # noqa: ARG002
        return Put(target) if value else None

    def after_put(self, value: Value) -> Value:  # noqa: ARG002 - back to 0, ready for the next put
        return 0


@dataclass(frozen=True)
class ArmCodec(Codec):
    """The armed state of PCAP, from `*PCAP.COMPLETION?`, which is Busy from arming until the acquisition ends."""

    def decode(self, text: str) -> Value:
        return int(text == "Busy")

    def command(self, target: str, value: Any, current: str | None) -> Command[None] | None:  # noqa: ARG002
        if value and current is not None and self.decode(current):
            return None
        return Arm() if value else Disarm()


@dataclass(frozen=True)
class BlockLabelCodec(TextCodec):
    """The label of a block; an empty label shows as the default, the description of the block."""

    default: str

    def decode(self, text: str) -> Value:
        return text or self.default

    def encode(self, value: Any) -> str:
        text = super().encode(value)
        return "" if text == self.default else text


@dataclass(frozen=True)
class ScaledCodec(Codec):
    """A scaled position, raw x scale + offset, from the three texts joined by line breaks."""

    def decode(self, text: str) -> Value:
        try:
            raw, scale, offset = map(float, text.split("\n"))
        except ValueError:
            raise DecodeError(f"raw, scale and offset {text[:40]!r} are not three numbers") from None
        return raw * scale + offset

    def precision(self, text: str, units: str) -> int | None:  # noqa: ARG002 - depends on the scale only
        return digits_for(_finite(text.split("\n")[1]), 2)


def digits_for(number: float, significant: int) -> int:
    """Return the decimal places, 5 to 15, that show a number with the given count of significant digits."""
    if not number or not math.isfinite(number):
        return 5
    return min(max(5, significant - 1 - math.floor(math.log10(abs(number)))), 15)


def _finite(text: str) -> float:
    """Return text as a finite number; 0 if it is not one."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def near_matches(text: str, labels: Sequence[str]) -> str:
    """Return "; did you mean ...?" with labels similar to the text, to end a message; "" if none is similar."""
    by_lower = {label.lower(): label for label in labels}
    near = [by_lower[match] for match in difflib.get_close_matches(text.lower(), by_lower, n=4, cutoff=0.5)]
    return f"; did you mean {', '.join(near)}?" if near else ""
