"""Change reports of a PandA (`*CHANGES?`).

The server tracks changes for each connection. The first report contains every value; later reports contain the values
written since the previous one, including this connection's own writes and writes of an unchanged value. Refused
writes and write-only fields are not reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from .errors import RemoteProtocolError
from .exchange import Command, Conversation, Request, ask

#: Read-only attribute of tables, reported in group ATTR: the number of table lines still to be played.
QUEUED_LINES = "QUEUED_LINES"


class ChangeGroup(Enum):
    """A group of values in change reports.

    Attributes:
        ALL: all groups
        CONFIG: settings: fields of type param, time, bit_mux and pos_mux
        BITS: values of the bit bus
        POSN: values of the position bus
        READ: read-only fields
        ATTR: attributes: CAPTURE, SCALE, OFFSET, UNITS, DELAY, ...
        TABLE: tables, by name only
        METADATA: `*METADATA` keys
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
    """A change report.

    Attributes:
        values: new value of each changed field or attribute, by name: {"PULSE1.DELAY": "0.1", ...}
        multiline: names of changed tables and multi-line metadata whose content was not read
        in_error: names of fields that the server failed to read. The server reports each failure once
        multiline_values: lines of each changed multi-line value, by name; empty unless requested with
            `GetChanges(get_multiline=True)`
    """

    values: dict[str, str] = field(default_factory=dict)
    multiline: tuple[str, ...] = ()
    in_error: tuple[str, ...] = ()
    multiline_values: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class GetChanges(Command[Changes]):
    """Get the changes since the previous report on this connection. The response is a `Changes`.

    Args:
        groups: one group or several, whose reports are merged
        get_multiline: also read the changed multi-line values, tables as decimal numbers; costs a second round trip

    Raises:
        CommandError: the server does not support a group
        RemoteProtocolError: the report cannot be parsed

    Example:
        >>> GetChanges([ChangeGroup.CONFIG, ChangeGroup.ATTR])
        GetChanges(groups=[<ChangeGroup.CONFIG: '.CONFIG'>, <ChangeGroup.ATTR: '.ATTR'>], get_multiline=False)
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
    """Discard the pending changes of a group, or report all its values again.

    Args:
        group: group to act on
        restart: False discards the changes up to now (`*CHANGES=E`). True makes the next report contain every value,
            as on a new connection (`*CHANGES=S`)
    """

    group: ChangeGroup = ChangeGroup.ALL
    restart: bool = False

    def conversation(self) -> Conversation[None]:
        (yield from ask(f"*CHANGES{self.group.value}={'S' if self.restart else 'E'}")).ok()


def parse_changes(lines: Sequence[str]) -> Changes:
    """Parse the lines of a change report, without their leading `!`.

    Raises:
        RemoteProtocolError: a line is not of the form `NAME=value`, `NAME<` or `NAME (error)`
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
            raise RemoteProtocolError(f"invalid line in the reply to '*CHANGES?': {line[:80]!r}")
    return Changes(values, tuple(multiline), tuple(in_error))
