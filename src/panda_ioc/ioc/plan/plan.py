"""The record plan: everything that is served for a PandA, made from its model by pure functions.

Records, PVI, screens, documentation and the offline cache are all made from it, so they agree. It can be
printed, compared and tested without EPICS.
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
    """A PandA that cannot be served under the prefix that was asked for."""


@dataclass(frozen=True)
class Plan:
    """What to serve.

    Attributes:
        prefix: goes before every name, with a colon between
        records: all records, in display order
        remarks: what could not be served, and why
        tables: all tables, in display order
        planned_tables: how the tables of the PandA are made
        buses: which records the tables of the buses are made of
        pvi: what PVI lists of these, and how
    """

    prefix: str
    records: tuple[Record, ...]
    remarks: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    planned_tables: tuple[PlannedTable, ...] = ()
    buses: tuple[Bus, ...] = ()
    pvi: Pvi = field(default_factory=Pvi)

    def pv(self, name: str) -> str:
        """The full name of a record."""
        return f"{self.prefix}:{name}"

    @property
    def items(self) -> tuple[Record | Table, ...]:
        """All records, then all tables."""
        return (*self.records, *self.tables)

    @property
    def structures(self) -> Mapping[str, Tree]:
        """The structures of PVI by name, which PV Access alone can serve. They are made when they are asked for."""
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
    """Plan the records of a PandA.

    Args:
        model: what it has
        prefix: what their names begin with, without the colon
        designs: whether there are designs to save and load
        pvi_compatible: whether PVI lists only what pandablocks-ioc lists
        pvi_write_only: see `Pvi`

    Raises:
        PlanError: the prefix cannot be the beginning of a record name, or leaves too little room
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
    """The label that people give to a block; while there is none, what the block is."""
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
    """What the multiplexers can be set to."""
    for name, kind in ((BIT_CHOICES, "bit_mux"), (POSITION_CHOICES, "pos_mux")):
        for _, _, info in model.fields():
            if info.type == kind and isinstance(info, EnumFieldInfo):
                text = "\n".join(info.labels)
                yield Record(name, Kind.TEXTIN, f"What a {kind} can be set to", constant=text)
                break


def _with_good_names(items: Iterable[_Item]) -> tuple[list[_Item], list[str]]:
    """Leave out what has a name that EPICS does not take."""
    problems = [(item, name_problem(item.name)) for item in items]
    return [item for item, problem in problems if not problem], [problem for _, problem in problems if problem]


def _without_duplicates(records: Iterable[Record]) -> tuple[list[Record], list[str]]:
    """Leave out what has a name that is taken: a server may have blocks FOO (2 of them) and FOO1."""
    kept: list[Record] = []
    remarks: list[str] = []
    taken: set[str] = set()
    for record in records:
        if record.name in taken:
            remarks.append(
                f"{record.name} is not served a second time, for {', '.join(record.sources) or 'a constant'}"
            )
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
