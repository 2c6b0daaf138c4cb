"""Short descriptions of the tables of a design."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..protocol import TableColumn, TableFieldInfo
from ..simulator.spec import DeviceSpec
from .units import engineering

#: Rows of a table that a diagram shows.
MOST_ROWS = 4

#: Columns of SEQ with a special format: repeats, trigger, position and the two phases.
_SEQ = frozenset({"REPEATS", "TRIGGER", "POSITION", "TIME1", "TIME2"})


def table_info(device: DeviceSpec, name: str) -> TableFieldInfo | None:
    """Return the columns of a table such as "SEQ1.TABLE"; None if the table is unknown."""
    block, _, port = name.partition(".")
    kind = next((kind for kind, spec in device.blocks.items() if block in spec.instances(kind)), "")
    spec = device.blocks[kind].fields.get(port) if kind else None
    if spec is None or not spec.columns:
        return None
    columns = {}
    for column, given in spec.columns.items():
        high, _, low = given.bits.partition(":")
        columns[column] = TableColumn(given.type, int(low), int(high), given.description, given.labels)
    return TableFieldInfo("table", None, max_length=spec.max_length, row_words=spec.row_words, columns=columns)


def row_summaries(port: str, rows: Sequence[Mapping[str, Any]], prescale: float) -> Iterator[tuple[str, str]]:
    """Yield the first rows of a table, one line each, as pairs of a name and a text.

    Args:
        port: name of the table in its block
        rows: all rows
        prescale: unit of the times in the table, in s
    """
    yield port, f"{len(rows)} row{'s' if len(rows) != 1 else ''}"
    shown = rows if len(rows) <= MOST_ROWS else rows[: MOST_ROWS - 1]
    for number, row in enumerate(shown, 1):
        yield f"{number}", _seq(row, prescale) if row.keys() >= _SEQ else _cells(row)
    if len(shown) < len(rows):
        yield "...", f"{len(rows) - len(shown)} more"


def _seq(row: Mapping[str, Any], prescale: float) -> str:
    """Format a row of SEQ: "1x POSA>=1000: A 5 us, low 1 us"."""
    trigger = str(row["TRIGGER"])
    wanted = trigger.replace("POSITION", str(row["POSITION"])) if "POS" in trigger else trigger
    times = f"{row['REPEATS']}x " if row["REPEATS"] else "forever "
    lengths = {phase: engineering((row[f"TIME{phase}"] or 1) * prescale) for phase in (1, 2)}
    played = (1, 2) if row["TIME1"] else (2,)
    phases = ", ".join(f"{_outputs(row, phase) or 'low'} {lengths[phase]}" for phase in played)
    return f"{times}{wanted}: {phases}"


def _outputs(row: Mapping[str, Any], phase: int) -> str:
    return "".join(letter for letter in "ABCDEF" if row.get(f"OUT{letter}{phase}"))


def _cells(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {cell}" for name, cell in row.items() if cell) or "all 0"
