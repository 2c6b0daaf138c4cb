"""An index of the plan for the screens: by record name, block instance and block type."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ..plan.data_settings import BLOCK as DATA
from ..plan.designs import NAME
from ..plan.plan import Plan
from ..plan.record import Kind, Record, Table

#: Blocks of the IOC itself, which have separate screens.
_IOC_BLOCKS = {"", DATA, NAME.partition(":")[0]}

_NUMBERED = re.compile(r"(.*?)[0-9]+")

#: Records that are constant texts or that repeat what a screen shows in another way.
_AUXILIARY = (":CHOICES", ":DESCRIPTION", ":PVI_PV")


@dataclass(frozen=True)
class BlockType:
    """Block instances with identical records, which share one screen.

    Attributes:
        name: such as "PULSE"
        instances: such as ("PULSE1", "PULSE2")
    """

    name: str
    instances: tuple[str, ...]


@dataclass(frozen=True)
class CapturableField:
    """A field with a CAPTURE setting.

    Attributes:
        name: such as "COUNTER1:OUT"
        is_position: whether the field is on the position bus
    """

    name: str
    is_position: bool


class PlanIndex:
    """The records of a plan by name and by block.

    Attributes:
        plan: the plan
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @cached_property
    def records(self) -> Mapping[str, Record]:
        """Records by name and by alias."""
        return {name: record for record in self.plan.records for name in (record.name, *record.aliases)}

    @cached_property
    def blocks(self) -> Mapping[str, tuple[Record, ...]]:
        """Records of each block instance of the PandA, without auxiliary records."""
        blocks: dict[str, list[Record]] = {}
        for record in self.plan.records:
            if record.block not in _IOC_BLOCKS and not self._is_auxiliary(record.name):
                blocks.setdefault(record.block, []).append(record)
        return {name: tuple(records) for name, records in blocks.items()}

    @cached_property
    def block_types(self) -> tuple[BlockType, ...]:
        """The block types in the order of the plan."""
        alike: dict[tuple[object, ...], list[str]] = {}
        for instance, records in self.blocks.items():
            match = _NUMBERED.fullmatch(instance)
            shapes = tuple(_shape(record, instance) for record in records)
            alike.setdefault((match[1] if match else instance, shapes), []).append(instance)
        names = [stem for stem, _ in alike]
        return tuple(
            BlockType(str(stem) if names.count(stem) == 1 and len(instances) > 1 else instances[0], tuple(instances))
            for (stem, _), instances in alike.items()
        )

    @cached_property
    def captured(self) -> tuple[CapturableField, ...]:
        """The fields that can be captured, in the order of the plan."""
        return tuple(
            CapturableField(base, f"{base}:SCALED" in self.records)
            for records in self.blocks.values()
            for record in records
            if record.name.endswith(":CAPTURE") and (base := record.name.removesuffix(":CAPTURE"))
        )

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """The editable block tables by name."""
        return {
            table.name: table
            for table in self.plan.tables
            if table.block not in _IOC_BLOCKS and f"{table.name}:MODE" in self.records
        }

    def _is_auxiliary(self, name: str) -> bool:
        return name.endswith(_AUXILIARY) or ":PVI:" in name


def _shape(record: Record, instance: str) -> Record:
    """Return a record without the properties that differ between instances and do not affect its widgets."""
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
