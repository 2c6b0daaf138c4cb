"""What is served for the tables of a PandA: the table itself, its columns, how to edit them, how to stream.

All names of a table begin with its own, "SEQ1:TABLE". The table itself is a PV that PV Access alone can serve;
for Channel Access there is an array record for each column and a MODE that says what a put to them means.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ...protocol import QUEUED_LINES, TableFieldInfo
from .codecs import ChoiceCodec, IntCodec
from .model import Model
from .record import Access, Column, Kind, Record, Table
from .sequences import MAX_PLOT_POINTS, TIME, outputs_of
from .tablerows import Rows, rows_of

#: The name of the service that owns them.
TABLES = "tables"

#: What MODE can be set to; the last two only where tables can be streamed.
VIEW, EDIT, SUBMIT, DISCARD, APPEND, APPEND_LAST = "VIEW", "EDIT", "SUBMIT", "DISCARD", "APPEND", "APPEND_LAST"
_MODES = (VIEW, EDIT, SUBMIT, DISCARD)

#: Names of records and tables beside a table, after its own name and a colon.
MODE, LABELS, ROWS, STATE, CLEAR, QUEUED, PV = "MODE", "LABELS", "ROWS", "STATE", "CLEAR", QUEUED_LINES, "PV"
_TAKEN = {MODE, LABELS, ROWS, STATE, CLEAR, QUEUED, PV, APPEND, APPEND_LAST}


_PLOT = {"dtype": "f8", "length": MAX_PLOT_POINTS}


@dataclass(frozen=True)
class PlannedTable:
    """A table of one instance of a block.

    Attributes:
        block: "SEQ1"
        field: "TABLE"
        rows: how its rows are made
        description: one line
        streams: whether buffers can be added to it
        counts: whether the PandA tells how many lines are queued
    """

    block: str
    field: str
    rows: Rows
    description: str
    streams: bool
    counts: bool

    @property
    def name(self) -> str:
        """What its PV is called: "SEQ1:TABLE"."""
        return f"{self.block}:{self.field}"

    @property
    def source(self) -> str:
        """What it is called on the PandA: "SEQ1.TABLE"."""
        return f"{self.block}.{self.field}"

    @property
    def modes(self) -> tuple[str, ...]:
        """What its MODE can be set to."""
        return (*_MODES, APPEND, APPEND_LAST) if self.streams else _MODES

    @property
    def columns(self) -> Iterator[tuple[str, Column]]:
        """The columns that have a record, with its name; one that is called like something beside it has none."""
        for bits in self.rows.bits:
            if bits.column.label not in _TAKEN:
                yield self.beside(bits.column.label), bits.column

    @property
    def plot_arrays(self) -> list[str]:
        """What it is over time, as `over_time` names it; nothing for a table without phases."""
        outputs = outputs_of(bits.column.name for bits in self.rows.bits)
        return [TIME, *outputs] if outputs else []

    def plot(self, array: str) -> str:
        """The record of an array of what it is over time."""
        return self.beside(f"PLOT:{array.upper()}")

    def beside(self, name: str) -> str:
        """A name beside its own: "SEQ1:TABLE:MODE"."""
        return f"{self.name}:{name}"


def planned_tables(model: Model, taken: Collection[str]) -> tuple[list[PlannedTable], list[str]]:
    """Plan the tables of a PandA.

    Args:
        model: what it has
        taken: names that something else has

    Returns:
        all tables that can be served, and why others cannot
    """
    tables: dict[str, PlannedTable] = {}
    remarks: list[str] = []
    for block, field, info in model.fields():
        if not isinstance(info, TableFieldInfo):
            continue
        try:
            rows = rows_of(info)
        except ValueError as problem:
            remarks.append(f"{block}.{field} is not served: {problem}")
            continue
        streams = "MODE" in info.attributes
        table = PlannedTable(block, field, rows, info.description, streams, QUEUED in info.attributes)
        if table.name in tables or table.name in taken:
            remarks.append(f"{table.name} is not served a second time, as a table")
        else:
            tables[table.name] = table
    return list(tables.values()), remarks


def tables_of(planned: PlannedTable) -> Iterator[Table]:
    """What PV Access serves as tables."""
    description = planned.description or f"Table of {planned.block}"
    columns = tuple(bits.column for bits in planned.rows.bits)

    def table(name: str, description: str, access: Access) -> Table:
        return Table(name, description, columns, planned.rows.max_rows, access, planned.block, TABLES)

    yield table(planned.name, description, Access.READ_WRITE)
    if planned.streams:
        yield table(planned.beside(APPEND), "Rows to be played after those that are queued", Access.WRITE)
        yield table(planned.beside(APPEND_LAST), "The last rows to be played", Access.WRITE)


def records_of(planned: PlannedTable, pv: str) -> Iterator[Record]:
    """What is served as records.

    Args:
        planned: the table
        pv: its full name
    """
    block = planned.block

    def record(name: str, kind: Kind, description: str, **options: object) -> Record:
        made = {"block": block, "service": TABLES, "access": Access.READ, **options}
        return Record(planned.beside(name), kind, description, **made)  # type: ignore[arg-type]

    modes = planned.modes
    yield record(
        MODE,
        Kind.MBBO,
        "EDIT to put columns, SUBMIT to write them",
        access=Access.READ_WRITE,
        staged=True,
        codec=ChoiceCodec(modes),
        labels=modes,
    )
    labels = [bits.column.label for bits in planned.rows.bits]
    yield record(LABELS, Kind.ARRAYIN, "Names of the columns", dtype="str", length=len(labels))
    yield record(PV, Kind.TEXTIN, "Name of the table in PV Access", constant=pv)
    for mode in (EDIT, SUBMIT):
        description = f"What {mode} is as a number in MODE"
        yield record(f"{MODE}:{mode}", Kind.AI, description, constant=modes.index(mode), precision=0)
    yield record(ROWS, Kind.LONGIN, "Rows in the table")
    if planned.streams:
        yield record(STATE, Kind.STRINGIN, "INIT, FIXED, STREAMING, STREAMING_LAST")
        yield record(CLEAR, Kind.BO, "Empty the table, end streaming", access=Access.EXECUTE, labels=("", ""))
    if planned.counts:
        source = f"{planned.source}.{QUEUED}"
        description = "Lines that wait to be played"
        yield Record(
            planned.beside(QUEUED),
            Kind.AI,
            description,
            IntCodec(0, 2**32 - 1),
            sources=(source,),
            block=block,
            precision=0,
        )
    for array in planned.plot_arrays:
        text = "When the outputs change, in times of the prescaler" if array == TIME else f"{array.upper()} over time"
        yield record(planned.plot(array).removeprefix(planned.beside("")), Kind.ARRAYIN, text, **_PLOT)
    for _, column in planned.columns:
        yield record(
            column.label,
            Kind.ARRAYOUT,
            f"Column {column.label}",
            access=Access.READ_WRITE,
            staged=True,
            dtype=_held_as(column),
            length=planned.rows.max_rows,
            labels=column.choices,
        )


def _held_as(column: Column) -> str:
    """The type of the elements of a column's record: wide enough that EPICS hands on what was put, right or wrong.

    EPICS wraps a number that its array has no room for, and makes the least or the greatest integer of one that is
    far beyond: neither may be what a column can have. Doubles hold all that can be put.
    """
    if column.dtype == "str":
        return column.dtype
    fits = column.low is not None and column.high is not None and column.low > -(2**30) and column.high < 2**30
    return "i4" if fits else "f8"
