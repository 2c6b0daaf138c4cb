"""Plan the PVs of the PandA's tables: the table, its columns, and the records to edit and to stream it.

All names begin with the name of the table, such as "SEQ1:TABLE". The table itself is an NTTable, over PV Access only.
For Channel Access there is an array record per column, and a MODE record to edit and submit the columns.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ...protocol import QUEUED_LINES, TableFieldInfo
from .codecs import ChoiceCodec, IntCodec
from .model import Model
from .record import Access, Column, Kind, Record, Table
from .sequences import MAX_PLOT_POINTS, TIME, outputs_of
from .tablerows import Rows, rows_of

#: Name of the service that owns these PVs.
TABLES = "tables"

#: Choices of MODE; the last two only for tables that can be streamed.
VIEW, EDIT, SUBMIT, DISCARD, APPEND, APPEND_LAST = "VIEW", "EDIT", "SUBMIT", "DISCARD", "APPEND", "APPEND_LAST"
_MODES = (VIEW, EDIT, SUBMIT, DISCARD)

#: Name suffixes of the records and tables that belong to a table.
MODE, LABELS, ROWS, STATE, CLEAR, QUEUED, PV = "MODE", "LABELS", "ROWS", "STATE", "CLEAR", QUEUED_LINES, "PV"
_RESERVED = {MODE, LABELS, ROWS, STATE, CLEAR, QUEUED, PV, APPEND, APPEND_LAST}

_PLOT = {"dtype": "f8", "length": MAX_PLOT_POINTS}


@dataclass(frozen=True)
class PlannedTable:
    """A table of one instance of a block.

    Attributes:
        block: "SEQ1"
        field: "TABLE"
        rows: its row layout
        description: one line
        streams: True if the table can be streamed
        counts: True if the PandA reports the number of queued lines
    """

    block: str
    field: str
    rows: Rows
    description: str
    streams: bool
    counts: bool

    @property
    def name(self) -> str:
        """The name of its PV, "SEQ1:TABLE"."""
        return f"{self.block}:{self.field}"

    @property
    def source(self) -> str:
        """The name on the PandA, "SEQ1.TABLE"."""
        return f"{self.block}.{self.field}"

    @property
    def modes(self) -> tuple[str, ...]:
        """The choices of its MODE record."""
        return (*_MODES, APPEND, APPEND_LAST) if self.streams else _MODES

    @property
    def columns(self) -> Iterator[tuple[str, Column]]:
        """Each column with the name of its record, without columns whose name is reserved, such as MODE."""
        for bits in self.rows.bits:
            if bits.column.label not in _RESERVED:
                yield self.beside(bits.column.label), bits.column

    @property
    def plot_arrays(self) -> list[str]:
        """The names of its plot arrays, as in `over_time`; empty for a table without phases."""
        outputs = outputs_of(bits.column.name for bits in self.rows.bits)
        return [TIME, *outputs] if outputs else []

    def plot(self, array: str) -> str:
        """Return the record name of a plot array."""
        return self.beside(f"PLOT:{array.upper()}")

    def beside(self, name: str) -> str:
        """Return the name with a suffix: "SEQ1:TABLE:MODE"."""
        return f"{self.name}:{name}"


def planned_tables(model: Model, taken: Collection[str]) -> tuple[list[PlannedTable], list[str]]:
    """Plan the tables of a PandA.

    Args:
        model: description of the PandA
        taken: record names that are already in use

    Returns:
        the tables to serve, and a remark for each table that cannot be served
    """
    tables: dict[str, PlannedTable] = {}
    remarks: list[str] = []
    for block, field, info in model.fields():
        if not isinstance(info, TableFieldInfo):
            continue
        try:
            rows = rows_of(info)
        except ValueError as problem:
            remarks.append(f"table {block}.{field} is not served: {problem}")
            continue
        streams = "MODE" in info.attributes
        table = PlannedTable(block, field, rows, info.description, streams, QUEUED in info.attributes)
        if table.name in tables or table.name in taken:
            remarks.append(f"{table.name} is not served for table {table.source}: the name is already in use")
        else:
            tables[table.name] = table
    return list(tables.values()), remarks


def tables_of(planned: PlannedTable) -> Iterator[Table]:
    """Return the tables to serve over PV Access."""
    description = planned.description or f"Table of {planned.block}"
    columns = tuple(bits.column for bits in planned.rows.bits)

    def table(name: str, description: str, access: Access) -> Table:
        return Table(name, description, columns, planned.rows.max_rows, access, planned.block, TABLES)

    yield table(planned.name, description, Access.READ_WRITE)
    if planned.streams:
        yield table(planned.beside(APPEND), "Rows to add to the queue", Access.WRITE)
        yield table(planned.beside(APPEND_LAST), "Last rows to add to the queue", Access.WRITE)


def _queued(planned: PlannedTable) -> Record:
    description, source = "Number of lines queued to be played", f"{planned.source}.{QUEUED}"
    codec = IntCodec(0, 2**32 - 1)
    return Record(
        planned.beside(QUEUED), Kind.AI, description, codec, sources=(source,), block=planned.block, precision=0
    )


def records_of(planned: PlannedTable, pv: str) -> Iterator[Record]:
    """Return the records of a table.

    Args:
        planned: the table
        pv: its full PV name
    """
    block = planned.block

    def record(name: str, kind: Kind, description: str, **options: object) -> Record:
        made = {"block": block, "service": TABLES, "access": Access.READ, **options}
        return Record(planned.beside(name), kind, description, **made)  # type: ignore[arg-type]

    modes = planned.modes
    yield record(
        MODE,
        Kind.MBBO,
        "EDIT to change columns, SUBMIT to write",
        access=Access.READ_WRITE,
        staged=True,
        codec=ChoiceCodec(modes),
        labels=modes,
    )
    labels = [bits.column.label for bits in planned.rows.bits]
    yield record(LABELS, Kind.ARRAYIN, "Column names", dtype="str", length=len(labels))
    yield record(PV, Kind.TEXTIN, "Name of the table for PV Access", constant=pv)
    for mode in (EDIT, SUBMIT):
        description = f"Numeric value of {mode} in MODE"
        yield record(f"{MODE}:{mode}", Kind.AI, description, constant=modes.index(mode), precision=0)
    yield record(ROWS, Kind.LONGIN, "Number of rows in the table")
    if planned.streams:
        yield record(STATE, Kind.STRINGIN, "Table mode that the PandA reports")
        yield record(CLEAR, Kind.BO, "Clear the table and end streaming", access=Access.EXECUTE, labels=("", ""))
    if planned.counts:
        yield _queued(planned)
    for array in planned.plot_arrays:
        text = "Time axis of the plot, prescaler units" if array == TIME else f"Plot of {array.upper()} over time"
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
    """Return the element type of a column's record, wide enough to detect values that are out of range.

    EPICS wraps or clamps a number that does not fit the element type, before the IOC sees it; the result must not be a
    valid value of the column. Doubles hold every number that can be put.
    """
    if column.dtype == "str":
        return column.dtype
    fits = column.low is not None and column.high is not None and column.low > -(2**30) and column.high < 2**30
    return "i4" if fits else "f8"
