"""The plan as screens need it: by name, by instance of a block, by type of block."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ..plan.data_settings import BLOCK as DATA
from ..plan.designs import NAME
from ..plan.plan import Plan
from ..plan.record import Kind, Record, Table

#: What belongs to the IOC itself, and has screens of its own.
_OURS = {"", DATA, NAME.partition(":")[0]}

_NUMBERED = re.compile(r"(.*?)[0-9]+")

#: Records that are the same text for all instances, or that say what is elsewhere on a screen.
_BESIDE = (":CHOICES", ":DESCRIPTION", ":PVI_PV")


@dataclass(frozen=True)
class Group:
    """Instances of blocks that look the same, so that one screen is for all.

    Attributes:
        name: what they are: "PULSE"
        instances: "PULSE1" and so on
    """

    name: str
    instances: tuple[str, ...]


@dataclass(frozen=True)
class Captured:
    """What can be captured: its name, "COUNTER1:OUT", and whether it is a position."""

    name: str
    is_position: bool


class Book:
    """The records of a plan, to be looked up.

    Attributes:
        plan: the plan
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @cached_property
    def records(self) -> Mapping[str, Record]:
        """Every record by its name, and by its aliases."""
        return {name: record for record in self.plan.records for name in (record.name, *record.aliases)}

    @cached_property
    def blocks(self) -> Mapping[str, tuple[Record, ...]]:
        """The records of each instance of a block of the PandA, without those that only tell of others."""
        blocks: dict[str, list[Record]] = {}
        for record in self.plan.records:
            if record.block not in _OURS and not self._tells_of_others(record.name):
                blocks.setdefault(record.block, []).append(record)
        return {name: tuple(records) for name, records in blocks.items()}

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The types of blocks, by name."""
        alike: dict[tuple[object, ...], list[str]] = {}
        for instance, records in self.blocks.items():
            match = _NUMBERED.fullmatch(instance)
            shapes = tuple(_shape(record, instance) for record in records)
            alike.setdefault((match[1] if match else instance, shapes), []).append(instance)
        names = [stem for stem, _ in alike]
        return tuple(
            Group(str(stem) if names.count(stem) == 1 and len(instances) > 1 else instances[0], tuple(instances))
            for (stem, _), instances in alike.items()
        )

    @cached_property
    def captured(self) -> tuple[Captured, ...]:
        """All that can be captured, in order."""
        return tuple(
            Captured(base, f"{base}:SCALED" in self.records)
            for records in self.blocks.values()
            for record in records
            if record.name.endswith(":CAPTURE") and (base := record.name.removesuffix(":CAPTURE"))
        )

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The tables of blocks that can be edited, by their names."""
        return {
            table.name: table
            for table in self.plan.tables
            if table.block not in _OURS and f"{table.name}:MODE" in self.records
        }

    def _tells_of_others(self, name: str) -> bool:
        return name.endswith(_BESIDE) or ":PVI:" in name


def _shape(record: Record, instance: str) -> Record:
    """What makes the widgets of a record, without what differs from instance to instance."""
    name = record.name.removeprefix(f"{instance}:")
    constant = None if record.kind is not Kind.TEXTIN else ""
    return replace(
        record,
        name=name,
        block="",
        sources=(),
        target=None,
        units_source=None,
        aliases=(),
        constant=constant,
        choices_record=None,
    )
