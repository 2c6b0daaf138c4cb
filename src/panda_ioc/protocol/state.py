"""Save and restore all settings of a PandA as lines of text.

The lines are the commands that restore the settings, so saved files can be read, compared and edited: `NAME=value`,
and for tables and multi-line metadata `NAME<` or `NAME<B`, data lines and an empty line.

A PandA prints numbers with 10 digits and truncates report lines to 254 bytes (measured on server 4.1). Therefore a
time that needs more digits is saved in ticks, `NAME.RAW=ticks`, and a text that may be truncated is read on its own.
SCALE and OFFSET have no exact form.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .changes import QUEUED_LINES, ChangeGroup, Changes, parse_changes
from .errors import CommandError, LocalProtocolError
from .exchange import Command, Conversation, Reply, Request

#: Attributes come first, so that UNITS are restored before the times that use them.
_GROUPS = (ChangeGroup.ATTR, ChangeGroup.CONFIG, ChangeGroup.TABLE, ChangeGroup.METADATA)

#: Attributes that can only be read with 10 digits.
ROUNDED_ATTRIBUTES = (".SCALE", ".OFFSET")
_DIGITS = 10

#: Length in bytes of a name and its value from which the value may be truncated. A truncated character decodes to
#: U+FFFD, which has three bytes.
_MAY_BE_CUT = 250

#: Time units in seconds.
_UNITS = {"min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}

#: Maximum difference, in ticks, between a time as text and its exact value. The PandA rounds to the nearest tick.
_SAME_TICK = 0.25

#: Maximum number of digits of a time in ticks, which has 48 bits.
_MOST_DIGITS = 20


@dataclass(frozen=True)
class State:
    """All settings of a PandA, returned by `GetWholeState`.

    Attributes:
        lines: commands that restore the settings; the argument of `SetState`
        rounded: names of settings that may have more digits than the PandA prints
        left_out: reason for each setting that cannot be saved, by name: a text is too long to read, a table streams
    """

    lines: tuple[str, ...]
    rounded: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GetWholeState(Command[State]):
    """Read all settings, and list those that cannot be saved exactly. The response is a `State`.

    Earlier change reports on this connection do not matter. The next `GetChanges` on it reports only later changes.

    Raises:
        CommandError: the server refuses a request
        RemoteProtocolError: a reply cannot be parsed
    """

    def conversation(self) -> Conversation[State]:
        restarts = [Request(f"*CHANGES{group.value}=S") for group in _GROUPS]
        polls = [Request(f"*CHANGES{group.value}?") for group in _GROUPS]
        replies = yield [*restarts, *polls]
        for reply in replies[: len(restarts)]:
            reply.ok()
        changes = parse_changes([line for reply in replies[len(restarts) :] for line in reply.multiline()])
        values = {name: text for name, text in changes.values.items() if not name.endswith(f".{QUEUED_LINES}")}
        left_out = dict.fromkeys(changes.in_error, "the PandA cannot read it")
        yield from _whole_texts(values, left_out)
        ticks = yield from _ticks(values)
        lines = [f"{name}.RAW={ticks[name]}" if name in ticks else f"{name}={text}" for name, text in values.items()]
        lines += yield from _contents(changes, left_out)
        rounded = (name for name, text in values.items() if name.endswith(ROUNDED_ATTRIBUTES) and _all_digits(text))
        return State(tuple(lines), tuple(rounded), left_out)


@dataclass(frozen=True)
class GetState(Command[list[str]]):
    """Read all settings. The response is a list of lines for `SetState`; see `GetWholeState`."""

    def conversation(self) -> Conversation[list[str]]:
        state = yield from GetWholeState().conversation()
        return list(state.lines)


def _whole_texts(values: dict[str, str], left_out: dict[str, str]) -> Conversation[None]:
    """Read the texts that may have been truncated; remove those that cannot be read."""
    cut = [name for name, text in values.items() if len(f"{name}{text}".encode()) >= _MAY_BE_CUT]
    replies = yield [Request(f"{name}?") for name in cut]
    for name, reply in zip(cut, replies, strict=True):
        if reply.error is None:
            values[name] = reply.line()
        else:
            left_out[name] = reply.error
            del values[name]


def _ticks(values: Mapping[str, str]) -> Conversation[dict[str, str]]:
    """Return the ticks of each time whose text is not exact. Positions also have units but are not settings."""
    times = [name for name in values if f"{name}.UNITS" in values]
    clock, *replies = yield [Request("*CLOCK_FREQ?"), *(Request(f"{name}.RAW?") for name in times)]
    frequency = _number(clock)
    ticks: dict[str, str] = {}
    for name, reply in zip(times, replies, strict=True):
        raw = _number(reply)
        if raw is None:  # the server does not have this attribute
            continue
        printed = _seconds(values[name], values[f"{name}.UNITS"]) * (frequency or math.nan)
        if not abs(printed - raw) < _SAME_TICK:
            ticks[name] = str(raw)
    return ticks


def _contents(changes: Changes, left_out: dict[str, str]) -> Conversation[list[str]]:
    """Read multi-line values: tables in base64, metadata as text."""
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
            left_out[name] = "it is streaming"  # its rows cannot be read, and a write would stop it
        else:
            lines += [f"{name}<{'' if mode is None else 'B'}", *reply.multiline(), ""]
    return lines


def _number(reply: Reply) -> int | None:
    """Return the integer of a reply; None if it has none."""
    text = "" if reply.error is not None else reply.line()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def _seconds(text: str, units: str) -> float:
    """Return a time in seconds; NaN if the text or the units are invalid."""
    try:
        return float(text) * _UNITS[units]
    except (ValueError, KeyError):
        return math.nan


def _all_digits(text: str) -> bool:
    """Whether a number has all the digits that a PandA prints, so that its value may have more."""
    mantissa = text.lower().partition("e")[0]
    digits = "".join(character for character in mantissa if character.isdecimal())
    return len(digits.lstrip("0")) >= _DIGITS


class StateError(CommandError):
    """A failed `SetState`: the server refused some lines. All other lines were written.

    Attributes:
        failures: (line, reason given by the server) for each refused line; the line excludes table data
    """

    def __init__(self, failures: Sequence[tuple[str, str]]) -> None:
        first, reason = failures[0]
        more = f" (and {len(failures) - 1} more lines)" if len(failures) > 1 else ""
        super().__init__(first, f"{reason}{more}")
        self.failures = tuple(failures)


@dataclass(frozen=True)
class SetState(Command[None]):
    """Write settings as returned by `GetState`. If the server refuses some lines, the others are still written.

    Args:
        state: lines without LF. Empty lines and lines starting with `#` are ignored, except within table data

    Raises:
        LocalProtocolError: a line is not an assignment, or table data has no final empty line; nothing was sent
        StateError: the server refused some lines

    Example:
        >>> SetState(["# my settings", "PULSE1.DELAY=1", "SEQ1.TABLE<", "1", "2", "3", "4", ""]).requests()
        [Request(line='PULSE1.DELAY=1', body=None), Request(line='SEQ1.TABLE<', body=['1', '2', '3', '4'])]
    """

    state: Sequence[str]

    def requests(self) -> list[Request]:
        """Return the requests to send.

        Raises:
            LocalProtocolError: a line is invalid; the message has its number
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
            raise LocalProtocolError(f"line {number}: {line[:80]!r} is neither NAME=value nor the start of a table")
        if mark == "=":
            yield Request(line)
            continue
        body = []
        for _, data in lines:
            if not data:
                break
            body.append(data)
        else:
            raise LocalProtocolError(f"line {number}: the data of {line[:80]!r} does not end with an empty line")
        yield Request(line, body)


def _mark(line: str) -> str:
    """Return the operator of a line: "=" for an assignment, "<" for a table, "" for neither."""
    first = next((character for character in line if character in "=<?"), "")
    return first.replace("?", "")
