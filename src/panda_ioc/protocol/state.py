"""The whole setup of a PandA as lines of text, to be read and written back.

The lines are the very commands that restore it, so a saved file can be read, compared and edited:
`NAME=value`, and for tables and multi-line metadata `NAME<` or `NAME<B`, data, and a blank line.

A PandA prints numbers with 10 digits, and cuts a report of over 254 bytes (measured on server 4.1). So a time that
these digits do not give back is told in ticks, `NAME.RAW=ticks`, and a text that may be cut is asked for itself. SCALE
and OFFSET have no exact form.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .changes import QUEUED_LINES, ChangeGroup, Changes, parse_changes
from .errors import CommandError, LocalProtocolError
from .exchange import Command, Conversation, Reply, Request

#: Attributes come first: a time is written in the units that the saved text has.
_GROUPS = (ChangeGroup.ATTR, ChangeGroup.CONFIG, ChangeGroup.TABLE, ChangeGroup.METADATA)

#: Attributes that are told with 10 digits and in no other way.
ROUNDED_ATTRIBUTES = (".SCALE", ".OFFSET")
_DIGITS = 10

#: Bytes of a name and its value from which on the value may be cut; a character that is cut may count as three.
_MAY_BE_CUT = 250

#: Seconds of the units of a time.
_UNITS = {"min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}

#: By how many ticks a time as text may differ from its ticks: the PandA rounds it to the nearest.
_SAME_TICK = 0.25

#: Digits of the ticks of a time, at most: they have 48 bits.
_MOST_DIGITS = 20


@dataclass(frozen=True)
class State:
    """All settings of a PandA.

    Attributes:
        lines: as `SetState` takes them
        rounded: the names of settings that have more digits, or may have, than the PandA tells
        left_out: why something is not among the lines, by its name: a text is too long to be told, a table streams
    """

    lines: tuple[str, ...]
    rounded: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GetWholeState(Command[State]):
    """Ask for all settings, and for what of them cannot be told.

    What this connection has been told by `GetChanges` does not matter, but the next `GetChanges` will
    count everything up to now as told.
    """

    def conversation(self) -> Conversation[State]:
        restarts = [Request(f"*CHANGES{group.value}=S") for group in _GROUPS]
        polls = [Request(f"*CHANGES{group.value}?") for group in _GROUPS]
        replies = yield [*restarts, *polls]
        for reply in replies[: len(restarts)]:
            reply.ok()
        changes = parse_changes([line for reply in replies[len(restarts) :] for line in reply.multiline()])
        values = {name: text for name, text in changes.values.items() if not name.endswith(f".{QUEUED_LINES}")}
        left_out = dict.fromkeys(changes.in_error, "it cannot be read")
        yield from _whole_texts(values, left_out)
        ticks = yield from _ticks(values)
        lines = [f"{name}.RAW={ticks[name]}" if name in ticks else f"{name}={text}" for name, text in values.items()]
        lines += yield from _contents(changes, left_out)
        rounded = (name for name, text in values.items() if name.endswith(ROUNDED_ATTRIBUTES) and _all_digits(text))
        return State(tuple(lines), tuple(rounded), left_out)


@dataclass(frozen=True)
class GetState(Command[list[str]]):
    """Ask for all settings, as the lines that `SetState` takes. See `GetWholeState`."""

    def conversation(self) -> Conversation[list[str]]:
        state = yield from GetWholeState().conversation()
        return list(state.lines)


def _whole_texts(values: dict[str, str], left_out: dict[str, str]) -> Conversation[None]:
    """Ask for the texts that may have been cut; take out those that cannot be asked for."""
    cut = [name for name, text in values.items() if len(f"{name}{text}".encode()) >= _MAY_BE_CUT]
    replies = yield [Request(f"{name}?") for name in cut]
    for name, reply in zip(cut, replies, strict=True):
        if reply.error is None:
            values[name] = reply.line()
        else:
            left_out[name] = reply.error
            del values[name]


def _ticks(values: Mapping[str, str]) -> Conversation[dict[str, str]]:
    """The ticks of each time whose text does not give them back. Positions have units, too, but are no settings."""
    times = [name for name in values if f"{name}.UNITS" in values]
    clock, *replies = yield [Request("*CLOCK_FREQ?"), *(Request(f"{name}.RAW?") for name in times)]
    frequency = _number(clock)
    ticks: dict[str, str] = {}
    for name, reply in zip(times, replies, strict=True):
        raw = _number(reply)
        if raw is None:  # a server that has no such attribute
            continue
        told = _seconds(values[name], values[f"{name}.UNITS"]) * (frequency or math.nan)
        if not abs(told - raw) < _SAME_TICK:
            ticks[name] = str(raw)
    return ticks


def _contents(changes: Changes, left_out: dict[str, str]) -> Conversation[list[str]]:
    """The lines of what has several: a table is read as base64, metadata has only text."""
    tables = [name for name in changes.multiline if not name.startswith("*")]
    replies = yield [
        *(Request(f"{name}?" if name.startswith("*") else f"{name}.B?") for name in changes.multiline),
        *(Request(f"{name}.MODE?") for name in tables),
    ]
    modes = dict(zip(tables, replies[len(changes.multiline) :], strict=True))
    lines: list[str] = []
    for name, reply in zip(changes.multiline, replies[: len(changes.multiline)], strict=True):
        mode = modes.get(name)
        if mode is not None and mode.error is None and mode.line().startswith("STREAMING"):
            left_out[name] = "it streams"  # its rows cannot be read, and writing it would end that
        else:
            lines += [f"{name}<{'' if mode is None else 'B'}", *reply.multiline(), ""]
    return lines


def _number(reply: Reply) -> int | None:
    """The whole number of a reply; None if there is none."""
    text = "" if reply.error is not None else reply.line()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def _seconds(text: str, units: str) -> float:
    """A time in seconds; NaN if the text means none."""
    try:
        return float(text) * _UNITS[units]
    except (ValueError, KeyError):
        return math.nan


def _all_digits(text: str) -> bool:
    """Whether a number is told with as many digits as a PandA tells, so that it may have more."""
    mantissa = text.lower().partition("e")[0]
    digits = "".join(character for character in mantissa if character.isdecimal())
    return len(digits.lstrip("0")) >= _DIGITS


class StateError(CommandError):
    """Some lines of a state were refused; all others were written.

    Attributes:
        failures: each refused line, without the data of a table, with the server's reason
    """

    def __init__(self, failures: Sequence[tuple[str, str]]) -> None:
        first, reason = failures[0]
        more = f" (and {len(failures) - 1} more lines)" if len(failures) > 1 else ""
        super().__init__(first, f"{reason}{more}")
        self.failures = tuple(failures)


@dataclass(frozen=True)
class SetState(Command[None]):
    """Write lines as `GetState` gives them, all of them even if some are refused.

    Args:
        state: the lines, without LF; empty ones and those that begin with `#` between them mean nothing

    Raises:
        LocalProtocolError: a line is no assignment, or a table lacks its blank line; nothing was sent
        StateError: the server refused some lines
    """

    state: Sequence[str]

    def requests(self) -> list[Request]:
        """What is sent.

        Raises:
            LocalProtocolError: see above
        """
        return list(_requests(self.state))

    def conversation(self) -> Conversation[None]:
        replies = yield self.requests()
        failures = [(reply.request, reply.error) for reply in replies if reply.error is not None]
        if failures:
            raise StateError(failures)


def _requests(state: Sequence[str]) -> Iterable[Request]:
    lines = enumerate(state, 1)
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        mark = _mark(line)
        if not mark:
            raise LocalProtocolError(f"line {number}: {line[:80]!r} is neither an assignment nor the start of a table")
        if mark == "=":
            yield Request(line)
            continue
        body = []
        for _, data in lines:
            if not data:
                break
            body.append(data)
        else:
            raise LocalProtocolError(f"line {number}: the data of {line[:80]!r} does not end with a blank line")
        yield Request(line, body)


def _mark(line: str) -> str:
    """What tells a line's kind: "=" of an assignment, "<" of a table, "" if it is neither."""
    first = next((character for character in line if character in "=<?"), "")
    return first.replace("?", "")
