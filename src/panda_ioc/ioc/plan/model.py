"""The model of a PandA: its blocks and fields, and their values at introspection. Plain immutable data."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ...protocol import BlockInfo, Changes, FieldInfo, Identity, TableContent

#: A field name that is safe in a query; other characters could change the meaning of the command.
_ASKABLE = re.compile(r"[A-Za-z0-9_]+\.[A-Za-z0-9_]+")

#: Attributes that the PandA reports in `*CHANGES` and that the IOC uses.
ATTRIBUTES = frozenset({"CAPTURE", "DELAY", "OFFSET", "SCALE", "UNITS"})


@dataclass(frozen=True)
class Block:
    """A block type with its fields, in display order."""

    name: str
    info: BlockInfo
    fields: Mapping[str, FieldInfo]

    def instances(self) -> list[str]:
        """Return the names of its instances on the PandA; a single instance has no number."""
        if self.info.number == 1:
            return [self.name]
        return [f"{self.name}{number}" for number in range(1, self.info.number + 1)]


@dataclass(frozen=True)
class Model:
    """The description of a PandA.

    Attributes:
        identity: versions of server, FPGA and root file system
        blocks: blocks by name, sorted
        changes: all values, from the first reply to `*CHANGES?`
        remarks: a message for each thing that is left out because its description is not valid
        tables: content of the tables by their names on the PandA: "SEQ1.TABLE"
        unread: errors of the tables that could not be read, by their names
    """

    identity: Identity
    blocks: Mapping[str, Block]
    changes: Changes
    remarks: tuple[str, ...] = ()
    tables: Mapping[str, TableContent] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> Iterator[tuple[str, str, FieldInfo]]:
        """Yield every field of every instance: ("PULSE1", "DELAY", its info)."""
        for block in self.blocks.values():
            for instance in block.instances():
                for name, info in block.fields.items():
                    yield instance, name, info

    def may_change(self) -> Callable[[str], bool]:
        """Return a predicate that is true for the keys of `*CHANGES` that belong to this PandA.

        Such a key is "BLOCK1.FIELD" or "BLOCK1.FIELD.ATTRIBUTE" of a field in the model, or was in the first reply.
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
        """Return the names of all `read` fields that can be queried: "SYSTEM.TEMP_PSU"."""
        names = [f"{instance}.{name}" for instance, name, info in self.fields() if info.type == "read"]
        return [name for name in names if _ASKABLE.fullmatch(name)]
