"""The commands that start with `*`: identity, descriptions, changes, capture, metadata.

`SYSTEM` lists them. Each command parses the rest of its name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..protocol import ChangeGroup
from .changelog import GROUPS
from .fields import MAX_RESULT, Attribute, Field, Value, encoded
from .numbers import CLOCK, Refused, parse_integer
from .panda import Panda
from .scanner import Scanner
from .spec import BlockSpec, ColumnSpec, FieldSpec


class Capture(Protocol):
    """The part of PCAP that the control port uses."""

    def arm(self) -> None:
        """Start an acquisition; raise Refused if that is not possible."""

    def disarm(self) -> None:
        """Stop the acquisition; do nothing when idle."""

    @property
    def status(self) -> str:
        """Reply to `*PCAP.STATUS?`."""

    @property
    def captured(self) -> int:
        """Number of captured samples."""

    @property
    def completion(self) -> str:
        """Reason why the last acquisition ended, or Busy."""


@dataclass
class Context:
    """The state that commands work on.

    Attributes:
        panda: the PandA, shared by all connections
        capture: its PCAP
        drive: executes a step of a scenario, `*DRIVE=`; no real PandA has such a command
        clients: returns a line for each connection
        seen: serial number of the last change that this connection has seen, for each group
    """

    panda: Panda
    capture: Capture
    drive: Callable[[str], None] | None = None
    clients: Callable[[], list[str]] = list
    seen: dict[ChangeGroup, int] = field(default_factory=lambda: dict.fromkeys(GROUPS, -1))


@dataclass(frozen=True)
class System:
    """A command that starts with `*`: its query and its assignment; each gets the rest of the name."""

    query: Callable[[Context, Scanner], Value] | None = None
    assign: Callable[[Context, Scanner, str], None] | None = None


def system_command(name: str) -> tuple[System, Scanner]:
    """Look up `*NAME`; return the command, and the rest of the name."""
    scanner = Scanner(name[1:])
    command = SYSTEM.get(scanner.name())
    if command is None:
        raise Refused("Unknown command")
    return command, scanner


def _constant(read: Callable[[Context], Value]) -> Callable[[Context, Scanner], Value]:
    def answer(context: Context, scanner: Scanner) -> Value:
        scanner.end()
        return read(context)

    return answer


def _save_state(_context: Context, scanner: Scanner, value: str) -> None:
    scanner.end()
    if value:
        raise Refused("Unexpected character after input")


def _be_verbose(_context: Context, scanner: Scanner, value: str) -> None:
    scanner.end()
    parse_integer(value)


def _identity(context: Context) -> str:
    spec = context.panda.spec
    return f"PandA SW: {spec.software} FPGA: {spec.fpga} rootfs: {spec.rootfs}"


def _echo(_context: Context, scanner: Scanner) -> Value:
    scanner.expect(" ")
    return scanner.rest()


def _describe(context: Context, scanner: Scanner) -> Value:
    scanner.expect(".")
    block_name = scanner.name()
    _, block = context.panda.kind(block_name)
    if not scanner.accept("."):
        scanner.end()
        return _described(block.description, "block")
    field_name = scanner.name()
    spec = _field_spec(block, field_name)
    if scanner.accept("[]"):
        return _column(spec, scanner).description
    if scanner.accept("."):
        return _attribute(context.panda.any_field(block_name, field_name), scanner).description
    scanner.end()
    return _described(spec.description, "field")


def _described(description: str, what: str) -> str:
    if not description:
        raise Refused(f"No description set for {what}")
    return description


def _enums(context: Context, scanner: Scanner) -> Value:
    scanner.expect(".")
    block_name = scanner.name()
    _, block = context.panda.kind(block_name)
    if not scanner.accept("."):
        raise Refused("Missing field name")
    field_name = scanner.name()
    spec = _field_spec(block, field_name)
    if scanner.accept("[]"):
        return _labels(_column(spec, scanner).labels, "Table sub-field")
    first = context.panda.any_field(block_name, field_name)
    if scanner.accept("."):
        return _labels(_attribute(first, scanner).labels, "Attribute")
    scanner.end()
    return _labels(first.labels, "Field")


def _labels(labels: Sequence[str] | None, what: str) -> list[str]:
    if not labels:
        raise Refused(f"{what} is not an enumeration")
    return list(labels)


def _field_spec(block: BlockSpec, name: str) -> FieldSpec:
    spec = block.fields.get(name)
    if spec is None:
        raise Refused("No such field")
    return spec


def _attribute(field: Field, scanner: Scanner) -> Attribute:
    attribute = field.attributes.get(scanner.name())
    scanner.end()
    if attribute is None:
        raise Refused("No such attribute")
    return attribute


def _column(spec: FieldSpec, scanner: Scanner) -> ColumnSpec:
    if not spec.columns:
        raise Refused("Not a table")
    scanner.expect(".")
    column = spec.columns.get(scanner.name())
    scanner.end()
    if column is None:
        raise Refused("No such table sub-field")
    return column


def _changes_groups(scanner: Scanner) -> Sequence[ChangeGroup]:
    if not scanner.accept("."):
        scanner.end()
        return GROUPS
    name = scanner.name()
    scanner.end()
    for group in GROUPS:
        if group.name == name:
            return [group]
    raise Refused("Unknown changes selection")


def _changes(context: Context, scanner: Scanner) -> Value:
    lines: list[str] = []
    for group in _changes_groups(scanner):
        lines += map(_cut, context.panda.logs[group].since(context.seen[group]))
        context.seen[group] = context.panda.serial
    return lines


def _cut(line: str) -> str:
    """Truncate a line of changes to the length limit of a result, even within a character, as a real server does."""
    return line if 4 * len(line) <= MAX_RESULT else encoded(line)[:MAX_RESULT].decode(errors="surrogateescape")


def _reset_changes(context: Context, scanner: Scanner, value: str) -> None:
    groups = _changes_groups(scanner)
    if value[:1] not in {"", "E", "S"}:
        raise Refused("Invalid reset option")
    if len(value) > 1:
        raise Refused("Unexpected character after input")
    for group in groups:
        context.seen[group] = -1 if value == "S" else context.panda.serial


def _capture(context: Context, scanner: Scanner) -> Value:
    panda = context.panda
    if not scanner.accept("."):
        scanner.end()
        return panda.captured()
    if scanner.accept("*"):
        scanner.end()
        return [name for name, field in panda.fields.items() if "CAPTURE" in field.attributes]
    option = scanner.name()
    scanner.end()
    if option == "OPTIONS":
        return list(panda.buses.captures)
    if option == "ENUMS":
        return panda.buses.capture_labels
    raise Refused("Invalid *CAPTURE option")


def _reset_capture(context: Context, scanner: Scanner, value: str) -> None:
    scanner.end()
    if value:
        raise Refused("Unexpected character after input")
    for block_field in context.panda.fields.values():
        attribute = block_field.attributes.get("CAPTURE")
        if attribute is not None and attribute.write is not None and attribute.read() != "No":
            attribute.write("No")


def metadata_key(panda: Panda, scanner: Scanner) -> Attribute:
    """Look up `.KEY` of `*METADATA`."""
    scanner.expect(".")
    key = scanner.name()
    scanner.end()
    attribute = panda.metadata.get(key)
    if attribute is None:
        raise Refused(f"Metadata key {key} not found")
    return attribute


def _metadata(context: Context, scanner: Scanner) -> Value:
    if scanner.accept(".*"):
        scanner.end()
        return list(context.panda.metadata)
    return metadata_key(context.panda, scanner).answer()


def _set_metadata(context: Context, scanner: Scanner, value: str) -> None:
    attribute = metadata_key(context.panda, scanner)
    if attribute.write is None:
        raise Refused("Cannot write to this field")
    attribute.write(value)


def _pcap(context: Context, scanner: Scanner) -> Value:
    scanner.expect(".")
    name = scanner.name()  # a real server ignores whatever follows
    if name == "STATUS":
        return context.capture.status
    if name == "CAPTURED":
        return str(context.capture.captured)
    if name == "COMPLETION":
        return context.capture.completion
    raise Refused("Invalid *PCAP field")


def _act_on_pcap(context: Context, scanner: Scanner, value: str) -> None:
    scanner.expect(".")
    name = scanner.name()
    scanner.end()
    if name not in {"ARM", "DISARM"}:
        raise Refused("Invalid *PCAP field")
    if value:
        raise Refused("Unexpected character after input")
    if name == "ARM":
        context.capture.arm()
    else:
        context.capture.disarm()


def _drive(context: Context, scanner: Scanner, value: str) -> None:
    if context.drive is None:
        raise Refused("Unknown command")
    scanner.end()
    context.drive(value)


SYSTEM: dict[str, System] = {
    "IDN": System(_constant(_identity)),
    "ECHO": System(_echo),
    "WHO": System(_constant(lambda context: context.clients())),
    "CLOCK_FREQ": System(_constant(lambda _: str(CLOCK))),
    "BLOCKS": System(
        _constant(lambda context: [f"{name} {block.count}" for name, block in context.panda.spec.blocks.items()])
    ),
    "DESC": System(_describe),
    "ENUMS": System(_enums),
    "CHANGES": System(_changes, _reset_changes),
    "CAPTURE": System(_capture, _reset_capture),
    "POSITIONS": System(_constant(lambda context: list(context.panda.buses.positions))),
    "BITS": System(_constant(lambda context: list(context.panda.buses.bits))),
    "METADATA": System(_metadata, _set_metadata),
    "PCAP": System(_pcap, _act_on_pcap),
    "SAVESTATE": System(assign=_save_state),
    "VERBOSE": System(assign=_be_verbose),
    "DRIVE": System(assign=_drive),
}
