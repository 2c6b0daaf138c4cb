"""Values as a PandA writes them and as a record holds them: one codec for each kind of value.

Pure functions in objects that can be compared and printed. Both directions meet input from outside: what a
PandA says may be anything (`DecodeError`), and so may what a client puts (`Refusal`).
"""

import difflib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...protocol import Arm, Command, Disarm, Put

#: What a record holds: a number, an index of a label, or text.
Value = float | int | str


class DecodeError(ValueError):  # noqa: N818 - read as what happened
    """The PandA said something that this record cannot show."""


class Refusal(ValueError):  # noqa: N818 - read as what happened
    """A client put something that makes no sense here; the message says why."""


@dataclass(frozen=True)
class Codec:
    """Text as it is: for units, names, and whatever this library does not know."""

    def decode(self, text: str) -> Value:
        """The value that a PandA's text means.

        Raises:
            DecodeError: it means none
        """
        return text

    def encode(self, value: Any) -> str:
        """The text to send for a value.

        Raises:
            Refusal: the value is not one that may be sent
        """
        text = str(value)
        if any(character in text for character in "\n\r\0"):
            raise Refusal("line breaks cannot be sent")
        return text

    def command(self, target: str, value: Any, current: str | None) -> Command[None] | None:
        """The command that puts a value.

        Args:
            target: what is written
            value: what the client put
            current: what the PandA says now, if it is known

        Returns:
            None if there is nothing to do: text that is put as it is read, whatever it is, stays as it is

        Raises:
            Refusal: the value is not one that may be sent
        """
        if current is not None and isinstance(value, str) and value == self.decode(current):
            return None
        return Put(target, self.encode(value))

    def precision(self, text: str, units: str) -> int | None:  # noqa: ARG002 - for those that need them
        """Digits after the point that a value needs; None if the record's own are right for all."""
        return None

    def after_put(self, value: Value) -> Value:
        """What is shown after a put of something that cannot be read back."""
        return value


VERBATIM = Codec()

#: Bytes of a field's name and its text together that a PandA tells in `*CHANGES`: it cuts what is longer, and from
#: two more on it cannot be asked for either (measured on server 4.1).
MAX_REPORTED_BYTES = 254


@dataclass(frozen=True)
class TextCodec(Codec):
    """Any text that a PandA gives back whole."""

    def command(self, target: str, value: Any, current: str | None) -> Command[None] | None:
        command = super().command(target, value, current)
        if isinstance(command, Put) and isinstance(command.value, str):
            size, room = len(command.value.encode(errors="replace")), MAX_REPORTED_BYTES - len(target)
            if size > room:
                raise Refusal(f"the text has {size} bytes, and the PandA has room for {room}: it would cut it")
        return command


TEXT = TextCodec()

#: Whole numbers up to here are shown in full.
_MOST_DIGITS = 1e16

#: How a choice without a label is shown.
OTHER = "Other"


@dataclass(frozen=True)
class IntCodec(Codec):
    """An integer from low to high, both included."""

    low: int
    high: int

    def decode(self, text: str) -> Value:
        try:
            number = int(text, 0)
        except ValueError:
            raise DecodeError(f"{text[:40]!r} is not an integer") from None
        if not self.low <= number <= self.high:
            raise DecodeError(f"{number} is not from {self.low} to {self.high}")
        return number

    def encode(self, value: Any) -> str:
        number = float(value)
        if not number.is_integer():
            raise Refusal(f"{value} is not a whole number")
        if not self.low <= number <= self.high:
            shown = int(number) if abs(number) < _MOST_DIGITS else number
            raise Refusal(f"{shown} is not from {self.low} to {self.high}")
        return str(int(number))


SIGNED = IntCodec(-(2**31), 2**31 - 1)
BIT = IntCodec(0, 1)


@dataclass(frozen=True)
class FloatCodec(Codec):
    """A number."""

    def decode(self, text: str) -> Value:
        try:
            return float(text)
        except ValueError:
            raise DecodeError(f"{text[:40]!r} is not a number") from None

    def encode(self, value: Any) -> str:
        number = float(value)
        if not math.isfinite(number):
            raise Refusal(f"{number} is not a number that can be set")
        return repr(number)


@dataclass(frozen=True)
class CoefficientCodec(FloatCodec):
    """A number of any size, such as SCALE: six digits of it are shown, however small it is."""

    def precision(self, text: str, units: str) -> int | None:  # noqa: ARG002 - the number alone matters
        return digits_for(_finite(text), 6)


@dataclass(frozen=True)
class TimeCodec(FloatCodec):
    """A time: a number that is not negative; its digits show a tick of the FPGA clock, 8 ns."""

    def precision(self, text: str, units: str) -> int | None:  # noqa: ARG002 - the units alone matter
        return {"min": 11, "s": 9, "ms": 6, "us": 3}.get(units, 9)

    def encode(self, value: Any) -> str:
        if float(value) < 0:
            raise Refusal(f"{value} is negative")
        return super().encode(value)


@dataclass(frozen=True)
class ChoiceCodec(Codec):
    """One of some labels, as its index."""

    labels: tuple[str, ...]

    def decode(self, text: str) -> Value:
        try:
            return self.labels.index(text)
        except ValueError:
            raise DecodeError(f"{text[:40]!r} is none of the choices") from None

    def encode(self, value: Any) -> str:
        index = int(value)
        if not 0 <= index < len(self.labels):
            raise Refusal(f"there is no choice {index}, only 0 to {len(self.labels) - 1}")
        return self.labels[index]


@dataclass(frozen=True)
class CaptureChoiceCodec(ChoiceCodec):
    """A way to capture. Those without a label show as one more choice, which when put changes nothing.

    Which way that is, is told and can be set as text (`CapturesCodec`).
    """

    def decode(self, text: str) -> Value:
        return self.labels.index(text) if text in self.labels else len(self.labels)

    def command(self, target: str, value: Any, current: str | None) -> Command[None] | None:
        if int(value) == len(self.labels):
            if current in {None, *self.labels}:
                raise Refusal(f"{OTHER!r} only shows what has no label: put what to capture to the text beside it")
            return None
        return super().command(target, value, current)


@dataclass(frozen=True)
class LabelCodec(Codec):
    """One of some labels, as text. A name that is not among them is refused with what may have been meant."""

    labels: tuple[str, ...]

    def encode(self, value: Any) -> str:
        text = super().encode(value)
        if text not in self.labels:
            raise Refusal(f"{text!r} is none of the {len(self.labels)} choices{near_matches(text, self.labels)}")
        return text


@dataclass(frozen=True)
class CapturesCodec(Codec):
    """Ways to capture, as text: any of the single ways, with spaces between, or No."""

    labels: tuple[str, ...]

    def encode(self, value: Any) -> str:
        text = " ".join(super().encode(value).split())
        options = {option for label in self.labels for option in label.split()}
        for word in text.split():
            if word not in options or (word == "No" and text != word):
                raise Refusal(f"{word!r} is no way to capture{near_matches(word, sorted(options))}")
        return text


def all_captures(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels of ways to capture, then all other combinations that a PandA takes."""
    options = list(dict.fromkeys(option for label in labels for option in label.split() if option != "No"))
    known = {frozenset(label.split()) for label in labels}
    sets = itertools.chain.from_iterable(itertools.combinations(options, size) for size in range(1, len(options) + 1))
    return (*labels, *(" ".join(words) for words in sets if frozenset(words) not in known))


@dataclass(frozen=True)
class ActionCodec(Codec):
    """An action: 1 does it, 0 does nothing, so that settings can be read and written back without harm."""

    def command(self, target: str, value: Any, current: str | None) -> Command[None] | None:  # noqa: ARG002
        return Put(target) if value else None

    def after_put(self, value: Value) -> Value:  # noqa: ARG002 - it is done, and can be done again
        return 0


@dataclass(frozen=True)
class ArmCodec(Codec):
    """Whether PCAP is armed, from why it ended last: `*PCAP.COMPLETION?` says Busy from arming to the end."""

    def decode(self, text: str) -> Value:
        return int(text == "Busy")

    def command(self, target: str, value: Any, current: str | None) -> Command[None] | None:  # noqa: ARG002
        if value and current is not None and self.decode(current):
            return None
        return Arm() if value else Disarm()


@dataclass(frozen=True)
class BlockLabelCodec(TextCodec):
    """The label of a block; while it has none, what it is."""

    default: str

    def decode(self, text: str) -> Value:
        return text or self.default

    def encode(self, value: Any) -> str:
        text = super().encode(value)
        return "" if text == self.default else text


@dataclass(frozen=True)
class ScaledCodec(Codec):
    """raw x scale + offset; the three texts come with line breaks between."""

    def decode(self, text: str) -> Value:
        try:
            raw, scale, offset = map(float, text.split("\n"))
        except ValueError:
            raise DecodeError(f"{text[:40]!r} are not three numbers") from None
        return raw * scale + offset

    def precision(self, text: str, units: str) -> int | None:  # noqa: ARG002 - the scale alone matters
        return digits_for(_finite(text.split("\n")[1]), 2)


def digits_for(number: float, significant: int) -> int:
    """Digits after the point that show so many significant digits of a number: 5 to 15."""
    if not number or not math.isfinite(number):
        return 5
    return min(max(5, significant - 1 - math.floor(math.log10(abs(number)))), 15)


def _finite(text: str) -> float:
    """A number; 0 for what is none."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def near_matches(text: str, labels: Sequence[str]) -> str:
    """What may have been meant by a name, as the end of a message: empty where nothing is near."""
    by_lower = {label.lower(): label for label in labels}
    near = [by_lower[match] for match in difflib.get_close_matches(text.lower(), by_lower, n=4, cutoff=0.5)]
    return f"; did you mean {', '.join(near)}?" if near else ""
