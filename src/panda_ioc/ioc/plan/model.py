"""A picture of a PandA: what it has and what it was set to when it was asked. Plain immutable data."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ...protocol import BlockInfo, Changes, FieldInfo, Identity, TableContent

#: The name of a field that can be asked for: in others a mark may mean something else to the PandA.
_ASKABLE = re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_]+")

#: Attributes of which changes are reported and matter to somebody here.
ATTRIBUTES = frozenset({"CAPTURE", "DELAY", "OFFSET", "SCALE", "UNITS"})


@dataclass(frozen=True)
class Block:
    """A kind of block with its fields, in display order."""

    name: str
    info: BlockInfo
    fields: Mapping[str, FieldInfo]

    def instances(self) -> list[str]:
        """What its instances are called on the PandA: a single one has no number."""
        if self.info.number == 1:
            return [self.name]
        return [f"{self.name}{number}" for number in range(1, self.info.number + 1)]


@dataclass(frozen=True)
class Model:
    """A PandA.

    Attributes:
        identity: its versions
        blocks: by name, sorted
        changes: every value that it reported, as the first answer to `*CHANGES?`
        remarks: what it has that makes no sense and is left out, and why
        tables: what its tables hold, by their names on the PandA: "SEQ1.TABLE"
        unread: why other tables could not be read, by their names
    """

    identity: Identity
    blocks: Mapping[str, Block]
    changes: Changes
    remarks: tuple[str, ...] = ()
    tables: Mapping[str, TableContent] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> Iterator[tuple[str, str, FieldInfo]]:
        """Every field of every instance: ("PULSE1", "DELAY", its info)."""
        for block in self.blocks.values():
            for instance in block.instances():
                for name, info in block.fields.items():
                    yield instance, name, info

    def may_change(self) -> Callable[[str], bool]:
        """Return what tells of a key of `*CHANGES` whether it is of this PandA.

        That is "BLOCK1.FIELD" or "BLOCK1.FIELD.ATTRIBUTE" of a field that there is, or what the first answer had.
        """
        first = {*self.changes.values, *self.changes.in_error, *self.changes.multiline}
        fields = {f"{instance}.{name}" for instance, name, _ in self.fields()}

        def is_known(key: str) -> bool:
            if key in first:
                return True
            block, _, rest = key.partition(".")
            name, _, attribute = rest.partition(".")
            return f"{block}.{name}" in fields and (not attribute or attribute in ATTRIBUTES)

        return is_known

    def readings(self) -> list[str]:
        """The names of all fields that blocks report and that can be asked for: "SYSTEM.TEMP_PSU"."""
        names = [f"{instance}.{name}" for instance, name, info in self.fields() if info.type == "read"]
        return [name for name in names if _ASKABLE.fullmatch(name)]
