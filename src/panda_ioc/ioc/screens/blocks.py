"""A screen for each type of block: inputs, parameters, status, and the fields that can be captured.

A link or an embedding screen sets the macros P (prefix) and R (block instance, such as "PULSE1").
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..plan.record import Access, Kind, Record
from .forms import NUMBER, SHORT, Naming, Row, columns, control, flow, grid, label, link, overview_link, panel, row
from .index import BlockType, CapturableField, PlanIndex
from .widgets import GAP, MARGIN, ROW, Screen, Style, Widget, file_name, plain, text_width
from .wiring import is_input

#: Screens that block screens link to.
PLOT = "Plot.bob"
POSITIONS = "Position_Bus.bob"

#: Width of a block label in pixels.
_LABEL = 380

#: Records of a capturable field that the capture table shows, by the last part of their names.
_CAPTURE_PARTS = ("SCALED", "SCALE", "OFFSET", "UNITS", "CAPTURE", "DATASET", "LIVE")

#: Records that share the row of another record, by the last part of their names.
_ROW_PARTS = (":UNITS", ":DELAY", ":TEXT")

#: Column headings of the capture table after the name, and column widths in pixels.
_HEADINGS = (
    ("value", NUMBER),
    ("counts", 96),
    ("units", SHORT),
    ("scale", 90),
    ("offset", 90),
    ("capture", 150),
    ("name in files", 150),
    ("", 50),
)


def block_screen(index: PlanIndex, block_type: BlockType, file: str) -> Screen:
    """Return the screen of a block type.

    Args:
        index: the records of the plan
        block_type: the block type
        file: the file name of the screen
    """
    instance = block_type.instances[0]
    records = [record for record in index.blocks[instance] if record.kind is not Kind.ARRAYIN]
    captured = [one for one in index.captured if one.name.startswith(f"{instance}:")]
    form = _Form(index, instance)
    shown = [record for record in records if not form.is_elsewhere(record, captured)]
    panels = [
        panel(title, columns([form.row(record) for record in chosen]))
        for title, chosen in (
            ("Inputs", [record for record in shown if is_input(record)]),
            ("Parameters", [record for record in shown if _is_parameter(record)]),
            ("Status", [record for record in shown if record.access is Access.READ]),
        )
        if chosen
    ]
    top = MARGIN + ROW + GAP
    widgets = flow(panels, 1340, top)
    if captured:
        bottom = max((widget.bottom for widget in widgets), default=top - GAP)
        rows = capture_table(index, captured, form.pv, instance)
        every = link("All positions", POSITIONS, {"P": "$(P)"}, tip="Capture settings of all fields")
        table = panel("Captured", [*rows, every.at(0, max(one.bottom for one in rows) + GAP)])
        widgets.append(table.at(MARGIN, bottom + GAP))
    return Screen(file, "$(R)", (*_head(index, block_type, form), *widgets), required_macros=("P", "R"))


class _Form:
    """Rows for the records of a block instance, with names that are valid for every instance of its type."""

    def __init__(self, index: PlanIndex, instance: str) -> None:
        self._index = index
        self._instance = instance

    def pv(self, name: str) -> str:
        """Return the PV of a record with the macro R for the instance."""
        return f"$(P):$(R):{name.removeprefix(f'{self._instance}:')}"

    def row(self, record: Record) -> Row:
        whole = self._index.records.get(f"{record.name}:TEXT")
        shown = replace(record, name=whole.name, kind=whole.kind) if whole and not record.labels else record
        name = record.name.removeprefix(f"{self._instance}:")
        return row(shown, self.pv, name, {} if whole else self._index.records)

    def is_elsewhere(self, record: Record, captured: Sequence[CapturableField]) -> bool:
        """Return whether a record is shown in another row, in the capture table or in the header."""
        base, _, last = record.name.rpartition(":")
        if record.name in {f"{self._instance}:LABEL", f"{self._instance}:HEALTH", f"{self._instance}:HEALTH:TEXT"}:
            return True
        if base in self._index.records and f":{last}" in _ROW_PARTS:
            return True
        parts = {f"{one.name}:{part}" for one in captured for part in _CAPTURE_PARTS} | {one.name for one in captured}
        in_tables = any(record.name.startswith(f"{table}:") for table in self._index.tables)
        return in_tables or record.name in parts or base in parts or base.endswith(":LIVE")


def _is_parameter(record: Record) -> bool:
    return record.access is not Access.READ and not is_input(record)


def _head(index: PlanIndex, block_type: BlockType, form: _Form) -> Iterator[Widget]:
    """Yield the widgets of the top line: block instance, label, health, links to its tables."""
    instance = block_type.instances[0]
    width = max(text_width(name, Style.TITLE) for name in block_type.instances) + 2 * GAP
    yield label("$(R)", width, Style.TITLE, height=ROW + 4).at(MARGIN, MARGIN - 2)
    x = MARGIN + width + GAP
    yield overview_link().at(x, MARGIN)
    x += overview_link().width + GAP
    if about := index.records.get(f"{instance}:LABEL"):
        yield control(about, form.pv(about.name), _LABEL).at(x, MARGIN)
        x += _LABEL + GAP
    health = index.records.get(f"{instance}:HEALTH:TEXT") or index.records.get(f"{instance}:HEALTH")
    if health:
        yield label("Health", 50, tip=plain(health.description)).at(x, MARGIN)
        yield control(health, form.pv(health.name), 200).at(x + 54, MARGIN)
        x += 54 + 200 + GAP
    for table in (table for table in index.tables.values() if table.block == instance):
        field = table.name.removeprefix(f"{instance}:")
        file = file_name(f"{block_type.name}_{field}")
        text = f"{field.title()} ..."
        yield link(text, file, {"P": "$(P)", "R": "$(R)"}, tip="Edit and plot the table").at(x, MARGIN)
        x += text_width(text) + 24 + GAP


def capture_table(
    index: PlanIndex, captured: Sequence[CapturableField], naming: Naming, instance: str = ""
) -> list[Widget]:
    """Return a table with a row for each capturable field, placed from (0, 0).

    Args:
        index: the records of the plan
        captured: the fields
        naming: returns the PV of a record
        instance: the block instance of all fields; "" for fields of different blocks, which get full names
    """
    names = max([70, *(text_width(_short(one, instance)) + 4 for one in captured)])
    headings = (("name", names), *_HEADINGS)
    rows = [_capture_row(index, one, naming, instance, names) for one in captured]
    if not any(one.is_position for one in captured):
        chosen = (0, 6, 7, 8)
        return grid([headings[column] for column in chosen], [[cells[column] for column in chosen] for cells in rows])
    return grid(headings, rows)


def _short(one: CapturableField, instance: str) -> str:
    """Return the name of a field on the screen of its block, or its full name if `instance` is empty."""
    return plain(one.name.removeprefix(f"{instance}:"))


def _capture_row(
    index: PlanIndex, one: CapturableField, naming: Naming, instance: str, names: int
) -> list[Widget | None]:
    widths = dict(_HEADINGS)

    def part(name: str, heading: str) -> Widget | None:
        record = index.records.get(name)
        return control(record, naming(name), widths[heading]) if record else None

    short = _short(one, instance)
    described = index.records.get(one.name) or index.records[f"{one.name}:CAPTURE"]
    cells = [
        label(short, names, tip=plain(described.description)),
        part(f"{one.name}:SCALED", "value"),
        part(one.name, "counts") if one.is_position else None,
        part(f"{one.name}:UNITS", "units"),
        part(f"{one.name}:SCALE", "scale"),
        part(f"{one.name}:OFFSET", "offset"),
        part(f"{one.name}:CAPTURE", "capture"),
        part(f"{one.name}:DATASET", "name in files"),
    ]
    column = f"$(R):{short}" if instance else one.name
    plot = link("Plot", PLOT, {"P": "$(P)", "COLUMN": column}, 50, "Plot the latest samples of this field")
    return [*cells, plot if f"{one.name}:LIVE" in index.records else None]
