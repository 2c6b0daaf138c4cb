"""A screen for each type of table: edit it, submit or discard what was edited, see what it plays.

Phoebus writes nothing back to a table's PV by itself, so people can edit many cells and submit them at once. Submit is
a script that puts the whole table as one structure over PV Access: the IOC writes all of it or nothing, and answers
with the reason. After an error, what was edited stays.
"""

from dataclasses import replace

from ..plan.record import Column, Table
from .book import Book, Group
from .forms import NUMBER, control, home, label, side_by_side, tip_of
from .widgets import GAP, MARGIN, ROW, Plot, Screen, Shape, Style, Trace, Widget, plain, text_width

#: Pixels of a column of bits, room beside the largest number, and beside the text of choices.
_BIT, _NUMBER, _ARROW = 52, 28, 36

#: Pixels of the table from top to bottom, and of what is beside its columns.
_HEIGHT, _BAR = 420, 24

#: Pixels of all columns at least: Phoebus' bar of buttons is as wide.
_LEAST = 400

#: Size of the plot; it is as wide as the table if that is wider.
_PLOT_WIDTH, _PLOT_HEIGHT = 760, 300

#: What can be read of a table beside it.
_STATE = {"ROWS": "Rows", "STATE": "State", "QUEUED_LINES": "Queued", "MODE": "Mode"}

#: What both scripts begin with: the PV of the table, and the table that is shown.
_HEAD = """\
from __future__ import unicode_literals
from java.lang import Exception as JavaException
from org.csstudio.display.builder.runtime.script import PVUtil, ScriptUtil

macros = widget.getEffectiveMacros()
name = "pva://%s:%s:{field}" % (macros.getValue("P"), macros.getValue("R"))
table = ScriptUtil.findWidgetByName(widget, "Table")
"""

_SUBMIT = (
    _HEAD
    + """
from java.lang import String
from java.util.concurrent import ExecutionException, TimeUnit
from jarray import array
from org.epics.pva import data

COLUMNS = {columns!a}
INTEGERS = {{1: (data.PVAByteArray, "b"), 2: (data.PVAShortArray, "h"), 4: (data.PVAIntArray, "i")}}

def number(cell, low, high):
    cell = {{"": "0", "false": "0", "true": "1"}}.get(cell.lower(), cell)
    try:
        value = float(cell)
    except ValueError:
        raise ValueError("%s is not a number" % cell)
    if value != value or not low <= value <= high or value != int(value):
        raise ValueError("%s is not a whole number from %d to %d" % (cell, low, high))
    return int(value)

def choice(cell, choices):
    cell = cell or choices[0]
    if cell not in choices and not cell.startswith("code "):
        raise ValueError("%s is not one of %s" % (cell, ", ".join(choices)))
    return cell

def column(label, choices, low, high, size):
    if label not in headers:
        raise ValueError("there is no column %s any more: press Discard" % label)
    index = headers.index(label)
    cells = []
    for row, texts in enumerate(rows):
        cell = unicode(texts[index]).strip() if index < len(texts) else ""
        try:
            cells.append(choice(cell, choices) if choices else number(cell, low, high))
        except ValueError as problem:
            raise ValueError("row %d of %d, %s: %s" % (row + 1, len(rows), label, problem))
    if choices:
        return data.PVAStringArray(label.lower(), array(cells, String))
    make, code = INTEGERS[size]
    wrapped = [cell - (1 << 8 * size) if cell >= 1 << 8 * size - 1 else cell for cell in cells]
    return make(label.lower(), low == 0, array(wrapped, str(code)))

def tell(why):
    ScriptUtil.showErrorDialog(widget, "The table was not written: %s" % why)
    table.setValue(rows)  # a refused put showed what the PandA holds

rows, headers = table.getValue(), list(table.getHeaders())
try:
    value = data.PVAStructure("value", "", [column(*about) for about in COLUMNS])
    pv = PVUtil.createPV(name, 5000)
    try:
        pv.getPV().asyncWrite(value).get(30, TimeUnit.SECONDS)
    finally:
        PVUtil.releasePV(pv)
except ExecutionException as problem:
    tell(problem.getCause().getMessage())
except (Exception, JavaException) as problem:
    tell(problem)
"""
)

_DISCARD = (
    _HEAD
    + """
try:
    pv = PVUtil.createPV(name, 5000)
    try:
        table.setValue(pv.read())
    finally:
        PVUtil.releasePV(pv)
except (Exception, JavaException) as problem:
    ScriptUtil.showErrorDialog(widget, "The table was not read: %s" % problem)
"""
)


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
    columns = [(column.label, _width(column), column.choices) for column in table.columns]
    width = sum(wide for _, wide, _ in columns)
    name, wide, choices = columns[-1]
    columns[-1] = (name, wide + max(_LEAST - width, 0), choices)
    shown = Widget(
        Shape.TABLE,
        MARGIN,
        top,
        max(width, _LEAST) + _BAR,
        _HEIGHT,
        pv=f"pva://$(P):$(R):{field}",
        tip=plain(table.description),
        editable=True,
        columns=tuple(columns),
    )
    plot = replace(_plot(book, table, field), x=MARGIN, y=shown.bottom + GAP, width=max(shown.width, _PLOT_WIDTH))
    widgets = [*_head(book, table, field), shown, plot]
    return Screen(file, f"$(R) {field.title()}", tuple(widgets), wants=("P", "R"))


def _plot(book: Book, table: Table, field: str) -> Widget:
    """The outputs over time; of a table without outputs its columns of numbers, row by row."""
    outputs = [name for column in table.columns if (name := column.label[:-1]) and column.label.endswith("1")]
    stacked = [name for name in outputs if f"{table.name}:PLOT:{name}" in book.records and name != "TIME"]
    pv = f"pva://$(P):$(R):{field}"
    traces = tuple(Trace(name, f"{pv}:PLOT:{name}", f"{pv}:PLOT:TIME", step=True) for name in stacked) or tuple(
        Trace(column.label, f"{pv}:{column.label}")
        for column in table.columns
        if not column.choices and f"{table.name}:{column.label}" in book.records
    )
    titles = ("time, in steps of the prescaler", "outputs") if stacked else ("row", "")
    return Widget(Shape.PLOT, height=_PLOT_HEIGHT, plot=Plot(traces, titles[0], titles[1:]))


def _head(book: Book, table: Table, field: str) -> list[Widget]:
    title = label(f"$(R) {field}", 220, Style.TITLE, height=ROW + 6).at(0, -2)
    writable = [
        (column.label, column.choices, column.low, column.high, 0 if column.choices else int(column.dtype[1:]))
        for column in table.columns
    ]
    buttons = [
        _button("Submit", _SUBMIT.format(columns=writable, field=field), "Write the table as it is shown"),
        _button("Discard", _DISCARD.format(field=field), "Show what the PandA holds"),
    ]
    widgets = [title, home(), *buttons]
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
    return max(name, _BIT if column.high == 1 else text_width(str(column.high)) + _NUMBER)
