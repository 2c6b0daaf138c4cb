"""What changed on a PandA since this connection last asked.

The server keeps the account for each connection: the first answer is everything, later ones are what
changed, also by this connection's own writes and by writes of the same value. Refused writes and fields
that can only be written are not reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from .errors import RemoteProtocolError
from .exchange import Command, Conversation, Request, ask

#: An attribute of tables that is reported with the others in group ATTR, but that nobody can set: it counts the
#: lines that a table has yet to play.
QUEUED_LINES = "QUEUED_LINES"


class ChangeGroup(Enum):
    """Which changes are asked for.

    CONFIG is what people set, ATTR the attributes (CAPTURE, SCALE, OFFSET, UNITS, DELAY, ...), READ what
    blocks report, BITS and POSN the two buses.
    """

    ALL = ""
    CONFIG = ".CONFIG"
    BITS = ".BITS"
    POSN = ".POSN"
    READ = ".READ"
    ATTR = ".ATTR"
    TABLE = ".TABLE"
    METADATA = ".METADATA"


@dataclass(frozen=True)
class Changes:
    """What an answer says.

    Attributes:
        values: the new value of each field or attribute, by its name: {"PULSE1.DELAY": "0.1", ...}
        multiline: names of what changed and was not read: tables, multi-line metadata
        in_error: names of fields that the server could not read; it says so once
        multiline_values: the lines of what has several, by its name, if they were asked for
    """

    values: dict[str, str] = field(default_factory=dict)
    multiline: tuple[str, ...] = ()
    in_error: tuple[str, ...] = ()
    multiline_values: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class GetChanges(Command[Changes]):
    """Ask what changed, in some groups at once.

    Args:
        groups: one group or several; what they say is put together
        get_multiline: also read what has several lines, tables in decimal; a second round trip
    """

    groups: ChangeGroup | Sequence[ChangeGroup] = ChangeGroup.ALL
    get_multiline: bool = False

    def conversation(self) -> Conversation[Changes]:
        groups = [self.groups] if isinstance(self.groups, ChangeGroup) else list(self.groups)
        replies = yield [Request(f"*CHANGES{group.value}?") for group in groups]
        changes = parse_changes([line for reply in replies for line in reply.multiline()])
        if not self.get_multiline:
            return changes
        replies = yield [Request(f"{name}?") for name in changes.multiline]
        values = {name: reply.multiline() for name, reply in zip(changes.multiline, replies, strict=True)}
        return Changes(changes.values, (), changes.in_error, values)


@dataclass(frozen=True)
class ForgetChanges(Command[None]):
    """Count what changed up to now as told.

    Args:
        group: which changes
        restart: report everything again instead, as on a new connection
    """

    group: ChangeGroup = ChangeGroup.ALL
    restart: bool = False

    def conversation(self) -> Conversation[None]:
        (yield from ask(f"*CHANGES{self.group.value}={'S' if self.restart else 'E'}")).ok()


def parse_changes(lines: Sequence[str]) -> Changes:
    """Sort the lines of an answer, without their `!`.

    Raises:
        RemoteProtocolError: a line is none of `NAME=value`, `NAME<` and `NAME (error)`
    """
    values: dict[str, str] = {}
    multiline: list[str] = []
    in_error: list[str] = []
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and "<" not in name and " " not in name:
            values[name] = value
        elif line.endswith("<"):
            multiline.append(line[:-1])
        elif line.endswith(" (error)"):
            in_error.append(line.removesuffix(" (error)"))
        else:
            raise RemoteProtocolError(f"'*CHANGES?' was answered with a line that makes no sense: {line[:80]!r}")
    return Changes(values, tuple(multiline), tuple(in_error))
