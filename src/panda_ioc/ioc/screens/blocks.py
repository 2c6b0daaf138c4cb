"""A screen for each type of block: inputs, parameters, status, and what can be captured of it.

Who opens it, or puts it into a screen, gives the macros P, the prefix, and R, the instance: "PULSE1".
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..plan.record import Access, Kind, Record
from .book import Book, Captured, Group
from .forms import NUMBER, SHORT, Naming, Row, columns, control, flow, grid, home, label, link, panel, row
from .widgets import GAP, MARGIN, ROW, Screen, Style, Widget, file_name, plain, text_width
from .wiring import is_input

#: Screens that those of blocks lead to.
PLOT = "Plot.bob"
POSITIONS = "Position_Bus.bob"

#: Pixels of the label of a block.
_LABEL = 380

#: Parts of what can be captured, which are shown in a table.
_PARTS = ("SCALED", "SCALE", "OFFSET", "UNITS", "CAPTURE", "DATASET", "LIVE")

#: Records that go into the row of another.
_IN_ROWS = (":UNITS", ":DELAY", ":TEXT")

#: What is told of it after its name, and how wide it is.
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


def block_screen(book: Book, group: Group, file: str) -> Screen:
    """The screen of a type of block.

    Args:
        book: all records
        group: the type
        file: the name of the screen
    """
    instance = group.instances[0]
    records = [record for record in book.blocks[instance] if record.kind is not Kind.ARRAYIN]
    captured = [one for one in book.captured if one.name.startswith(f"{instance}:")]
    form = _Form(book, instance)
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
        rows = capture_table(book, captured, form.pv, instance)
        every = link("All positions", POSITIONS, {"P": "$(P)"}, tip="All that can be captured")
        table = panel("Captured", [*rows, every.at(0, max(one.bottom for one in rows) + GAP)])
        widgets.append(table.at(MARGIN, bottom + GAP))
    return Screen(file, "$(R)", (*_head(book, group, form), *widgets), wants=("P", "R"))


class _Form:
    """Rows of the records of an instance, by the names that all instances of its type have."""

    def __init__(self, book: Book, instance: str) -> None:
        self._book = book
        self._instance = instance

    def pv(self, name: str) -> str:
        """The PV of a record, for whichever instance the screen is opened."""
        return f"$(P):$(R):{name.removeprefix(f'{self._instance}:')}"

    def row(self, record: Record) -> Row:
        whole = self._book.records.get(f"{record.name}:TEXT")
        shown = replace(record, name=whole.name, kind=whole.kind) if whole and not record.labels else record
        name = record.name.removeprefix(f"{self._instance}:")
        return row(shown, self.pv, name, {} if whole else self._book.records)

    def is_elsewhere(self, record: Record, captured: Sequence[Captured]) -> bool:
        """Whether a record has its place in another row, in the table of captures, or in the head."""
        base, _, last = record.name.rpartition(":")
        if record.name in {f"{self._instance}:LABEL", f"{self._instance}:HEALTH", f"{self._instance}:HEALTH:TEXT"}:
            return True
        if base in self._book.records and f":{last}" in _IN_ROWS:
            return True
        parts = {f"{one.name}:{part}" for one in captured for part in _PARTS} | {one.name for one in captured}
        in_tables = any(record.name.startswith(f"{table}:") for table in self._book.tables)
        return in_tables or record.name in parts or base in parts or base.endswith(":LIVE")


def _is_parameter(record: Record) -> bool:
    return record.access is not Access.READ and not is_input(record)


def _head(book: Book, group: Group, form: _Form) -> Iterator[Widget]:
    """The line at the top: which instance, its label, its health, its table."""
    instance = group.instances[0]
    width = max(text_width(name, Style.TITLE) for name in group.instances) + 2 * GAP
    yield label("$(R)", width, Style.TITLE, height=ROW + 4).at(MARGIN, MARGIN - 2)
    x = MARGIN + width + GAP
    yield home().at(x, MARGIN)
    x += home().width + GAP
    if about := book.records.get(f"{instance}:LABEL"):
        yield control(about, form.pv(about.name), _LABEL).at(x, MARGIN)
        x += _LABEL + GAP
    health = book.records.get(f"{instance}:HEALTH:TEXT") or book.records.get(f"{instance}:HEALTH")
    if health:
        yield label("Health", 50, tip=plain(health.description)).at(x, MARGIN)
        yield control(health, form.pv(health.name), 200).at(x + 54, MARGIN)
        x += 54 + 200 + GAP
    for table in (table for table in book.tables.values() if table.block == instance):
        field = table.name.removeprefix(f"{instance}:")
        file = file_name(f"{group.name}_{field}")
        text = f"{field.title()} ..."
        yield link(text, file, {"P": "$(P)", "R": "$(R)"}, tip="Edit and plot the table").at(x, MARGIN)
        x += text_width(text) + 24 + GAP


def capture_table(book: Book, captured: Sequence[Captured], naming: Naming, instance: str = "") -> list[Widget]:
    """A row for each of what can be captured, from (0, 0).

    Args:
        book: all records
        captured: of what
        naming: names the PV of a record
        instance: the block that all are of; none for rows of any, with whole names
    """
    names = max([70, *(text_width(_short(one, instance)) + 4 for one in captured)])
    headings = (("name", names), *_HEADINGS)
    rows = [_capture_row(book, one, naming, instance, names) for one in captured]
    if not any(one.is_position for one in captured):
        shown = (0, 6, 7, 8)
        return grid([headings[index] for index in shown], [[cells[index] for index in shown] for cells in rows])
    return grid(headings, rows)


def _short(one: Captured, instance: str) -> str:
    """What it is called on the screen of its block, or on that of all."""
    return plain(one.name.removeprefix(f"{instance}:"))


def _capture_row(book: Book, one: Captured, naming: Naming, instance: str, names: int) -> list[Widget | None]:
    widths = dict(_HEADINGS)

    def part(name: str, heading: str) -> Widget | None:
        record = book.records.get(name)
        return control(record, naming(name), widths[heading]) if record else None

    short = _short(one, instance)
    described = book.records.get(one.name) or book.records[f"{one.name}:CAPTURE"]
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
    plot = link("Plot", PLOT, {"P": "$(P)", "COLUMN": column}, 50, "Its last captured samples")
    return [*cells, plot if f"{one.name}:LIVE" in book.records else None]
