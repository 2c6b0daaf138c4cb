"""The plan: every PV to serve for a PandA, computed from its model by pure functions.

The servers, PVI and the screens are all generated from the plan, so they agree. It can be printed, compared and
tested without EPICS.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ...protocol import COMPLETION, EnumFieldInfo, PandaError
from .buses import Bus, bus_tables, field_refs, planned_buses, with_rows
from .codecs import ArmCodec, BlockLabelCodec
from .compat import listed_in_pvi
from .data_records import data_records, data_tables, live_records
from .designs import design_records
from .model import Model
from .names import name_problem, prefix_problem
from .pvi import Pvi, Tree, planned_pvi, pvi_records, pvi_trees
from .record import NAME_BYTES, Access, Kind, Record, Table
from .rules import BIT_CHOICES, POSITION_CHOICES, field_records
from .status import status_records
from .tables import PlannedTable, planned_tables, records_of, tables_of

_Item = TypeVar("_Item", Record, Table)


class PlanError(PandaError):
    """The PandA cannot be served under the given prefix."""


@dataclass(frozen=True)
class Plan:
    """Everything to serve for a PandA.

    Attributes:
        prefix: PV prefix, without the colon
        records: all records, in display order
        remarks: a message for each thing that cannot be served
        tables: all tables, in display order
        planned_tables: layout and records of the PandA's tables
        buses: rows and records of the bus tables
        pvi: the items that PVI lists
    """

    prefix: str
    records: tuple[Record, ...]
    remarks: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    planned_tables: tuple[PlannedTable, ...] = ()
    buses: tuple[Bus, ...] = ()
    pvi: Pvi = field(default_factory=Pvi)

    def pv(self, name: str) -> str:
        """Return the PV name of a record."""
        return f"{self.prefix}:{name}"

    @property
    def items(self) -> tuple[Record | Table, ...]:
        """All records, then all tables."""
        return (*self.records, *self.tables)

    @property
    def structures(self) -> Mapping[str, Tree]:
        """The PVI structures by name, for PV Access only; computed on each access."""
        taken = {item.name for item in self.items}
        return {name: tree for name, tree in pvi_trees(self.pvi, self.prefix).items() if name not in taken}


def make_plan(
    model: Model,
    prefix: str,
    *,
    designs: bool = False,
    pvi_compatible: bool = False,
    pvi_write_only: Access = Access.READ_WRITE,
) -> Plan:
    """Plan the PVs of a PandA.

    Args:
        model: description of the PandA
        prefix: PV prefix, without the colon
        designs: include the records to save and load designs
        pvi_compatible: limit PVI to the PVs that pandablocks-ioc lists
        pvi_write_only: see `Pvi`

    Raises:
        PlanError: the prefix has characters that EPICS does not allow, or is too long
    """
    if problem := prefix_problem(prefix):
        raise PlanError(problem)
    fields = [record for ref in field_refs(model) for record in field_records(ref)]
    planned, bad_tables = planned_tables(model, {record.name for record in fields})
    records = [
        *status_records(model.identity),
        *fields,
        *_labels(model),
        *_arm(model),
        *_choices(model),
        *data_records(prefix),
        *live_records(model),
        *(design_records() if designs else ()),
        *(record for table in planned for record in records_of(table, f"{prefix}:{table.name}")),
    ]
    named, bad_names = _with_good_names(with_rows(records, model))
    kept, duplicates = _without_duplicates(named)
    of_panda, bad_table_names = _with_good_names(table for made in planned for table in tables_of(made))
    buses = planned_buses(model, kept)
    tables = (*data_tables(), *bus_tables(buses, kept), *of_panda)
    served: tuple[Record | Table, ...] = (*kept, *tables)
    pvi, bad_groups = planned_pvi(served, listed_in_pvi(model) if pvi_compatible else None, pvi_write_only)
    kept += pvi_records(pvi, prefix)
    names = [name for record in kept for name in (record.name, *record.aliases)]
    _check_lengths(prefix, [*names, *(table.name for table in tables)])
    remarks = (*model.remarks, *bad_tables, *bad_names, *bad_table_names, *duplicates, *bad_groups)
    return Plan(prefix, tuple(kept), remarks, tables, tuple(planned), tuple(buses), pvi)


def _labels(model: Model) -> Iterator[Record]:
    """Yield the label record of each block instance; an empty label shows as the description of the block."""
    for block in model.blocks.values():
        for number, instance in enumerate(block.instances(), start=1):
            source = f"*METADATA.LABEL_{block.name}{number}"
            if source in model.changes.values:
                yield Record(
                    f"{instance}:LABEL",
                    Kind.TEXTOUT,
                    "Label of the block",
                    BlockLabelCodec(block.info.description),
                    sources=(source,),
                    target=source,
                    access=Access.READ_WRITE,
                    block=instance,
                )


def _arm(model: Model) -> Iterator[Record]:
    if "PCAP" in model.blocks:
        yield Record(
            "PCAP:ARM",
            Kind.BO,
            "Arm or disarm PCAP",
            ArmCodec(),
            sources=(COMPLETION,),
            target=COMPLETION,
            access=Access.READ_WRITE,
            block="PCAP",
            labels=("Disarm", "Arm"),
        )


def _choices(model: Model) -> Iterator[Record]:
    """Yield the records that list the choices of the multiplexers."""
    for name, kind in ((BIT_CHOICES, "bit_mux"), (POSITION_CHOICES, "pos_mux")):
        for _, _, info in model.fields():
            if info.type == kind and isinstance(info, EnumFieldInfo):
                text = "\n".join(info.labels)
                yield Record(name, Kind.TEXTIN, f"Choices of {kind} fields, one per line", constant=text)
                break


def _with_good_names(items: Iterable[_Item]) -> tuple[list[_Item], list[str]]:
    """Split items into those with valid names, and remarks about the others."""
    problems = [(item, name_problem(item.name)) for item in items]
    return [item for item, problem in problems if not problem], [problem for _, problem in problems if problem]


def _without_duplicates(records: Iterable[Record]) -> tuple[list[Record], list[str]]:
    """Drop records and aliases whose name is in use: a server may have two blocks FOO, so FOO1, and a block FOO1."""
    kept: list[Record] = []
    remarks: list[str] = []
    taken: set[str] = set()
    for record in records:
        if record.name in taken:
            sources = ", ".join(record.sources) or "a constant"
            remarks.append(f"{record.name} is not served for {sources}: the name is already in use")
            continue
        aliases = tuple(alias for alias in record.aliases if alias not in taken)
        taken |= {record.name, *aliases}
        kept.append(record if len(aliases) == len(record.aliases) else replace(record, aliases=aliases))
    return kept, remarks


def _check_lengths(prefix: str, names: Iterable[str]) -> None:
    longest = max(names, key=len)
    room = NAME_BYTES - len(longest) - 1
    if len(prefix) > room:
        raise PlanError(
            f"the prefix {prefix!r} is too long: {prefix}:{longest} has {len(prefix) + 1 + len(longest)} characters "
            f"and EPICS allows {NAME_BYTES}; use a prefix of at most {room}"
        )
