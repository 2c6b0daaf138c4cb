"""A screen for each type of table: edit it, submit or discard what was edited, see what it plays.

Phoebus writes nothing back to a table's PV by itself, so that people can edit many cells and submit them as one:
a script puts the columns of what is shown, between MODE = EDIT and MODE = SUBMIT.
"""

from dataclasses import replace

from ..plan.record import Column, Table
from .book import Book, Group
from .forms import NUMBER, control, label, side_by_side, tip_of
from .widgets import GAP, MARGIN, ROW, Plot, Screen, Shape, Style, Trace, Widget, plain, text_width

#: Pixels of a column of bits, of numbers, and room beside the text of choices.
_BIT, _NUMBER, _ARROW = 52, 92, 36

#: Pixels of the table from top to bottom, and of what is beside its columns.
_HEIGHT, _BAR = 420, 24

#: Size of the plot; it is as wide as the table if that is wider.
_PLOT_WIDTH, _PLOT_HEIGHT = 760, 300

#: What can be read of a table beside it.
_STATE = {"ROWS": "Rows", "STATE": "State", "QUEUED_LINES": "Queued", "MODE": "Mode"}

_SUBMIT = """\
from java.lang import Exception as JavaException, String
from jarray import array
from org.csstudio.display.builder.runtime.script import PVUtil, ScriptUtil

COLUMNS = {columns!r}
macros = widget.getEffectiveMacros()
base = "%s:%s:{field}:" % (macros.getValue("P"), macros.getValue("R"))
rows = ScriptUtil.findWidgetByName(widget, "Table").getValue()

def number(name, cell, low, high):
    text = str(cell).lower()
    value = float({{"true": 1, "false": 0}}.get(text, text))
    if value != int(value) or not low <= value <= high:
        raise ValueError("%s is %s, and must be whole and from %d to %d" % (name, cell, low, high))
    return value

def choice(name, cell, choices):
    if str(cell) not in choices:
        raise ValueError("%s is %s, and must be one of %s" % (name, cell, ", ".join(choices)))
    return str(cell)

try:
    columns = []
    for index, (name, choices, low, high) in enumerate(COLUMNS):
        cells = [row[index] for row in rows]
        if choices:
            columns.append((name, array([choice(name, cell, choices) for cell in cells], String)))
        else:
            columns.append((name, array([number(name, cell, low, high) for cell in cells], "d")))
    PVUtil.writePV(base + "MODE", "EDIT", 5000)
    for name, cells in columns:
        PVUtil.writePV(base + name, cells, 5000)
    PVUtil.writePV(base + "MODE", "SUBMIT", 5000)
except (Exception, JavaException) as problem:
    ScriptUtil.showErrorDialog(widget, "The table was not written: %s" % problem)
    PVUtil.writePV(base + "MODE", "DISCARD", 5000)
"""

_DISCARD = """\
from org.csstudio.display.builder.runtime.script import PVUtil, ScriptUtil

macros = widget.getEffectiveMacros()
PVUtil.writePV("%s:%s:{field}:MODE" % (macros.getValue("P"), macros.getValue("R")), "DISCARD", 5000)
table = ScriptUtil.findWidgetByName(widget, "Table")
table.setValue(PVUtil.getTable(ScriptUtil.getPrimaryPV(table)))
"""


def table_screen(book: Book, group: Group, table: Table, file: str) -> Screen:
    """The screen of a table, for all instances of its type of block.

    Args:
        book: all records
        group: the type of block
        table: the table of the first instance
        file: the name of the screen
    """
    instance = group.instances[0]
    field = table.name.removeprefix(f"{instance}:")
    top = MARGIN + ROW + 2 * GAP
    shown = Widget(
        Shape.TABLE,
        MARGIN,
        top,
        sum(_width(column) for column in table.columns) + _BAR,
        _HEIGHT,
        pv=f"pva://$(P):$(R):{field}",
        tip=plain(table.description),
        columns=tuple((column.label, _width(column), column.choices) for column in table.columns),
    )
    plot = replace(_plot(book, table, field), x=MARGIN, y=shown.bottom + GAP, width=max(shown.width, _PLOT_WIDTH))
    widgets = [*_head(book, table, field), shown, plot]
    return Screen(file, f"$(R) {field.title()}", tuple(widgets), wants=("P", "R"))


def _plot(book: Book, table: Table, field: str) -> Widget:
    """The outputs over time; of a table without outputs its columns of numbers, row by row."""
    outputs = [name for column in table.columns if (name := column.label[:-1]) and column.label.endswith("1")]
    stacked = [name for name in outputs if f"{table.name}:PLOT:{name}" in book.records and name != "TIME"]
    pv = f"$(P):$(R):{field}"
    traces = tuple(Trace(name, f"{pv}:PLOT:{name}", f"{pv}:PLOT:TIME", step=True) for name in stacked) or tuple(
        Trace(column.label, f"{pv}:{column.label}")
        for column in table.columns
        if not column.choices and f"{table.name}:{column.label}" in book.records
    )
    titles = ("time, in steps of the prescaler", "outputs") if stacked else ("row", "")
    return Widget(Shape.PLOT, height=_PLOT_HEIGHT, plot=Plot(traces, titles[0], titles[1:]))


def _head(book: Book, table: Table, field: str) -> list[Widget]:
    title = label(f"$(R) {field}", 220, Style.TITLE, height=ROW + 6).at(0, -2)
    writable = [(column.label, list(column.choices), column.low, column.high) for column in table.columns]
    buttons = [
        _button("Submit", _SUBMIT.format(columns=writable, field=field), "Write the table as it is shown"),
        _button("Discard", _DISCARD.format(field=field), "Show what the PandA holds"),
    ]
    widgets = [title, *buttons]
    for name, text in _STATE.items():
        if record := book.records.get(f"{table.name}:{name}"):
            widgets += [
                label(text, text_width(text) + 4, tip=tip_of(record).partition("\n")[0]),
                control(record, f"$(P):$(R):{field}:{name}", NUMBER),
            ]
    return [widget.at(widget.x + MARGIN, widget.y + MARGIN) for widget in side_by_side(widgets, GAP)]


def _button(text: str, script: str, tip: str) -> Widget:
    return Widget(Shape.SCRIPT, width=90, height=ROW, text=text, tip=tip, script=script)


def _width(column: Column) -> int:
    name = text_width(column.label) + 16
    if column.choices:
        return max(name, *(text_width(choice) + _ARROW for choice in column.choices))
    return max(name, _BIT if column.high == 1 else _NUMBER)
