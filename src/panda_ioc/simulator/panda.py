"""The state of a simulated PandA: its fields, its metadata, and a log of changes.

This module knows nothing of commands and connections (`commands`, `session`), nor of time: `wiring` connects the fields
to simulated blocks.
"""

from collections.abc import Callable, Iterable

from ..protocol import ChangeGroup
from .attributes import Buses
from .changelog import GROUPS, ChangeLog
from .fields import Attribute, Field, Value
from .numbers import Refused
from .spec import BlockSpec, DeviceError, DeviceSpec, FieldSpec
from .tables import TableField
from .types import make_field


class Panda:
    """The fields and metadata of a PandA.

    Args:
        spec: description of the device

    Attributes:
        fields: all fields by name, "PULSE1.DELAY", in the order in which a PandA lists them
        metadata: keys of `*METADATA`
        buses: entries of the two buses
        refresh: called before anything is read, to update the fields from simulated blocks
        serial: number of the last change
        logs: changes of each group

    Raises:
        DeviceError: an initial value or a reading in the description is not valid for its field

    Example:
        >>> panda = Panda(load())
        >>> panda.field("PULSE1", "DELAY").write("0.5")
        >>> panda.field("PULSE1", "DELAY").raw
        62500000
    """

    def __init__(self, spec: DeviceSpec) -> None:
        self.spec = spec
        self.refresh: Callable[[], None] = lambda: None
        self.serial = 0
        self.logs = {group: ChangeLog() for group in GROUPS}
        self._group_of: dict[str, ChangeGroup] = {}
        self._failed: dict[str, int] = {}  # fields in error, with their values when they failed
        self.buses = Buses(spec.bus("bit_out"), spec.bus("pos_out"), spec.captures)
        self.fields: dict[str, Field] = {
            f"{instance}.{name}": self._make(f"{instance}.{name}", field)
            for block_name, block in spec.blocks.items()
            for name, field in block.fields.items()
            for instance in block.instances(block_name)
        }
        self.metadata = self._make_metadata()
        for name, value in spec.readings.items():
            self._show(name, value)

    def _show(self, name: str, value: str) -> None:
        field = self.fields.get(name)
        if field is None or field.codec is None:
            raise DeviceError(f"readings: unknown field {name}")
        try:
            field.raw = field.codec.parse(value)
        except Refused as refused:
            raise DeviceError(f"readings: invalid value {value!r} for {name}: {refused}") from refused

    def _make(self, name: str, spec: FieldSpec) -> Field:
        field: Field
        if spec.type == "table":
            field = TableField(name, spec, self.changed)
        else:
            field = make_field(name, spec, self.buses, self.changed)
        if field.group is not None:
            self._watch(field.group, name, field.report, lambda: field.in_error)
        for attribute_name, attribute in field.attributes.items():
            if attribute.reported:
                self._watch(
                    ChangeGroup.ATTR, f"{name}.{attribute_name}", _reporter(f"{name}.{attribute_name}", attribute)
                )
        return field

    def _make_metadata(self) -> dict[str, Attribute]:
        labels = [
            f"LABEL_{name}{number}" for name, block in self.spec.blocks.items() for number in range(1, block.count + 1)
        ]
        keys = self.spec.metadata
        metadata = {key: self._text_metadata(key) for key in (*labels, *keys.text)}
        metadata |= {key: self._lines_metadata(key) for key in keys.lines}
        metadata |= {key: _constant(value) for key, value in keys.fixed.items()}
        for key, attribute in metadata.items():
            if attribute.write is not None or attribute.write_lines is not None:
                self._watch(ChangeGroup.METADATA, f"*METADATA.{key}", _reporter(f"*METADATA.{key}", attribute))
        return metadata

    def _text_metadata(self, key: str) -> Attribute:
        value = ""

        def write(text: str) -> None:
            nonlocal value
            value = text
            self.changed(f"*METADATA.{key}")

        return Attribute("", lambda: value, write)

    def _lines_metadata(self, key: str) -> Attribute:
        value: list[str] = []

        def write(lines: Iterable[str]) -> None:
            nonlocal value
            value = list(lines)
            self.changed(f"*METADATA.{key}")

        return Attribute("", lambda: value, write_lines=write)

    def _watch(
        self, group: ChangeGroup, name: str, report: Callable[[], str], failed: Callable[[], bool] = lambda: False
    ) -> None:
        self.logs[group].add(name, report, failed)
        self._group_of[name] = group

    def changed(self, name: str) -> None:
        """Record a change of a field, an attribute or a metadata key, which every connection gets to see.

        Args:
            name: name as `*CHANGES` reports it, "PULSE1.DELAY" or "PULSE1.DELAY.UNITS"
        """
        self.serial += 1
        group = self._group_of.get(name)
        if group is not None:
            self.logs[group].touch(name, self.serial)

    def set_raw(self, name: str, raw: int) -> None:
        """Set the integer of a field, as its block does; this counts as a change even if the value is the same.

        Args:
            name: "PULSE1.OUT"
            raw: integer in the register

        Raises:
            KeyError: the field is unknown
        """
        self.fields[name].raw = raw
        if not self.fields[name].in_error:
            self.changed(name)

    def set_error(self, name: str, *, in_error: bool) -> None:
        """Make reads of a field fail, or succeed again.

        As on a real server, neither counts as a change: only the first, full reply to `*CHANGES?` marks a field in
        error, and a field that works again is reported only if its value differs from the one before the failure.

        Args:
            name: "INENC1.HEALTH"
            in_error: whether reads fail

        Raises:
            KeyError: the field is unknown
        """
        field = self.fields[name]
        if in_error and not field.in_error:
            self._failed[name] = field.raw
        field.in_error = in_error
        if not in_error and self._failed.pop(name, field.raw) != field.raw:
            self.changed(name)

    def kind(self, name: str) -> tuple[str, BlockSpec]:
        """Look up the type of a block, given its name with or without a number.

        Returns:
            name of the type, for example "PULSE", and its description

        Raises:
            Refused: the block is unknown
        """
        if name in self.spec.blocks:
            return name, self.spec.blocks[name]
        kind, _ = self._numbered(name)
        return kind, self.spec.blocks[kind]

    def instance(self, name: str) -> tuple[str, BlockSpec]:
        """Look up an instance of a block.

        Args:
            name: name with its number; a single instance may have the number 1 or none

        Returns:
            name of the instance as in `fields`, and the description of its type

        Raises:
            Refused: the block is unknown, or its number is missing
        """
        if name in self.spec.blocks:
            if self.spec.blocks[name].count > 1:
                raise Refused("Missing block number")
            return name, self.spec.blocks[name]
        kind, number = self._numbered(name)
        block = self.spec.blocks[kind]
        return kind if block.count == 1 else f"{kind}{number}", block

    def _numbered(self, name: str) -> tuple[str, int]:
        """Split a name into the type of block, which may itself end in digits, and the number."""
        stem = name.rstrip("0123456789")
        known = False
        for cut in range(len(stem), len(name)):
            kind, number = name[:cut], int(name[cut:])
            block = self.spec.blocks.get(kind)
            if block is not None and 1 <= number <= block.count:
                return kind, number
            known = known or block is not None
        raise Refused("Invalid block number" if known else "No such block")

    def field(self, instance: str, name: str) -> Field:
        """Return a field of an instance of a block.

        Args:
            instance: "PULSE1"
            name: "DELAY"

        Raises:
            Refused: the block or field is unknown
        """
        kept, _ = self.instance(instance)
        try:
            return self.fields[f"{kept}.{name}"]
        except KeyError:
            raise Refused("No such field") from None

    def any_field(self, block: str, name: str) -> Field:
        """Return the field of the first instance of a block; the number of the block is ignored.

        Args:
            block: "PULSE" or "PULSE1"
            name: "DELAY"

        Raises:
            Refused: the block or field is unknown
        """
        kind, spec = self.kind(block)
        return self.field(spec.instances(kind)[0], name)

    def captured(self) -> list[str]:
        """Return the fields selected for capture, in field order: "COUNTER1.OUT Value", ..."""
        lines = []
        for name, field in self.fields.items():
            if "CAPTURE" in field.attributes:
                chosen = field.attributes["CAPTURE"].read()
                if chosen != "No":
                    lines.append(f"{name} {chosen}")
        return lines


def _reporter(name: str, attribute: Attribute) -> Callable[[], str]:
    def report() -> str:
        value: Value = attribute.read()
        return f"{name}<" if isinstance(value, list) else f"{name}={value}"

    return report


def _constant(value: str) -> Attribute:
    return Attribute("", lambda: value)
