"""The commands of the control port.

A command is a name in one of three forms: a query, an assignment, a table write. Names that start with `*` are handled
in `system`; all others name a block, a field or an attribute. The result of a query is the text of a value, or a list
of lines; `Refused` becomes an ERR reply.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .fields import Attribute, Field, Value
from .numbers import Refused
from .panda import Panda
from .scanner import Scanner
from .system import Context, metadata_key, system_command
from .tables import FORMATS, TableField


def query(context: Context, name: str) -> Value:
    """Return the result of `name?`."""
    context.panda.refresh()
    if name.startswith("*"):
        command, scanner = system_command(name)
        if command.query is None:
            raise Refused("Command not readable")
        return command.query(context, scanner)
    scanner = Scanner(name)
    block = _block(context.panda, scanner)
    if scanner.accept("*"):
        scanner.end()
        return _list_fields(context.panda, block)
    field_name = scanner.name()
    if scanner.accept(".*"):
        scanner.end()
        return list(context.panda.any_field(block, field_name).attributes)
    block_field = context.panda.field(block, field_name)
    if scanner.accept("."):
        return _attribute(block_field, scanner).answer()
    scanner.end()
    return block_field.read()


def assign(context: Context, name: str, value: str) -> None:
    """Execute `name=value`."""
    if name.startswith("*"):
        command, scanner = system_command(name)
        if command.assign is None:
            raise Refused("Command not writeable")
        command.assign(context, scanner, value)
        return
    scanner = Scanner(name)
    block_field = context.panda.field(_block(context.panda, scanner), scanner.name())
    if not scanner.accept("."):
        scanner.end()
        block_field.write(value)
        return
    attribute = _attribute(block_field, scanner)
    if attribute.write is None:
        raise Refused("Attribute not writeable")
    attribute.write(value)


@dataclass
class TableWrite:
    """A table write in progress.

    Attributes:
        put: called with the lines when the write is complete
        table: the table; None if the lines are for a metadata key
    """

    put: Callable[[Sequence[str]], None]
    table: TableField | None = None


def begin_write(context: Context, name: str, form: str) -> TableWrite:
    """Begin `name<form`: return where the lines go, or raise Refused."""
    scanner = Scanner(name)
    if scanner.accept("*"):
        return _begin_system_write(context, scanner, form)
    block_field = context.panda.field(_block(context.panda, scanner), scanner.name())
    if scanner.accept("."):
        raise Refused("Field not a table")
    scanner.end()
    if not isinstance(block_field, TableField):
        raise Refused("Field is not a table")
    if form not in FORMATS:
        raise Refused("Unexpected character after input")
    if block_field.writer is not None:
        raise Refused("Table currently being written")
    return TableWrite(lambda lines: block_field.put(form, lines), block_field)


def _begin_system_write(context: Context, scanner: Scanner, form: str) -> TableWrite:
    if scanner.name() != "METADATA":
        raise Refused("Unknown command")
    attribute = metadata_key(context.panda, scanner)
    if attribute.write_lines is None:
        raise Refused("Not a multi-line field")
    if form:
        raise Refused("Binary writes not supported" if form == "B" else "Streaming mode not supported")
    return TableWrite(attribute.write_lines)


def _block(panda: Panda, scanner: Scanner) -> str:
    """Read a block name, with or without its number; a field name must follow."""
    name = scanner.name()
    panda.kind(name)
    if not scanner.accept("."):
        raise Refused("Missing field name")
    return name


def _attribute(block_field: Field, scanner: Scanner) -> Attribute:
    attribute = block_field.attributes.get(scanner.name())
    scanner.end()
    if attribute is None:
        raise Refused("No such attribute")
    return attribute


def _list_fields(panda: Panda, name: str) -> list[str]:
    _, block = panda.kind(name)
    fields = block.fields
    return [f"{field} {index} {spec.type}" for index, (field, spec) in enumerate(fields.items())]
