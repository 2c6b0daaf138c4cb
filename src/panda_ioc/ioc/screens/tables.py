"""A screen for each type of table: edit, submit or discard the edits, plot the outputs.

Phoebus does not write edits of a table widget to its PV, so operators can edit many cells and submit them together.
Submit is a script that puts the whole table as one structure over PV Access. The IOC writes the whole table or refuses
it with a reason; after a refusal, the edits stay on the screen.
"""

from dataclasses import replace

from ..plan.record import Column, Table
from .forms import NUMBER, control, label, overview_link, side_by_side, tip_of
from .index import BlockType, PlanIndex
from .widgets import GAP, MARGIN, ROW, Plot, Screen, Shape, Style, Trace, Widget, plain, text_width

#: Width of a bit column; margins of the largest number and of the choices; in pixels.
_BIT, _NUMBER, _ARROW = 52, 28, 36

#: Height of the table and width of its scroll bar in pixels.
_HEIGHT, _SCROLL_BAR = 420, 24

#: Minimum width of all columns in pixels, which is the width of the toolbar of Phoebus.
_MIN_WIDTH = 400

#: Minimum width and height of the plot in pixels.
_PLOT_WIDTH, _PLOT_HEIGHT = 760, 300

#: Status records of a table and their labels.
_STATE = {"ROWS": "Rows", "STATE": "State", "QUEUED_LINES": "Queued", "MODE": "Mode"}

#: The first lines of both scripts: the PV of the table and the table widget.
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
        raise ValueError("the column %s no longer exists: press Discard" % label)
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

def fail(why):
    ScriptUtil.showErrorDialog(widget, "The table was not written: %s" % why)
    table.setValue(rows)  # after a refused put the widget shows the rows of the PandA: restore the edits

rows, headers = table.getValue(), list(table.getHeaders())
try:
    value = data.PVAStructure("value", "", [column(*about) for about in COLUMNS])
    pv = PVUtil.createPV(name, 5000)
    try:
        pv.getPV().asyncWrite(value).get(30, TimeUnit.SECONDS)
    finally:
        PVUtil.releasePV(pv)
except ExecutionException as problem:
    fail(problem.getCause().getMessage())
except (Exception, JavaException) as problem:
    fail(problem)
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


def table_screen(index: PlanIndex, block_type: BlockType, table: Table, file: str) -> Screen:
    """Return the screen of a table, for all instances of its block type.

    Args:
        index: the records of the plan
        block_type: the block type
        table: the table of the first instance
        file: the file name of the screen
    """
    instance = block_type.instances[0]
    field = table.name.removeprefix(f"{instance}:")
    top = MARGIN + ROW + 2 * GAP
    columns = [(column.label, _width(column), column.choices) for column in table.columns]
    width = sum(wide for _, wide, _ in columns)
    name, wide, choices = columns[-1]
    columns[-1] = (name, wide + max(_MIN_WIDTH - width, 0), choices)
    shown = Widget(
        Shape.TABLE,
        MARGIN,
        top,
        max(width, _MIN_WIDTH) + _SCROLL_BAR,
        _HEIGHT,
        pv=f"pva://$(P):$(R):{field}",
        tip=plain(table.description),
        editable=True,
        columns=tuple(columns),
    )
    plot = replace(_plot(index, table, field), x=MARGIN, y=shown.bottom + GAP, width=max(shown.width, _PLOT_WIDTH))
    widgets = [*_head(index, table, field), shown, plot]
    return Screen(file, f"$(R) {field.title()}", tuple(widgets), required_macros=("P", "R"))


def _plot(index: PlanIndex, table: Table, field: str) -> Widget:
    """Return a plot of the outputs over time, or of the number columns by row if the table has no outputs."""
    outputs = [name for column in table.columns if (name := column.label[:-1]) and column.label.endswith("1")]
    stacked = [name for name in outputs if f"{table.name}:PLOT:{name}" in index.records and name != "TIME"]
    pv = f"pva://$(P):$(R):{field}"
    traces = tuple(Trace(name, f"{pv}:PLOT:{name}", f"{pv}:PLOT:TIME", step=True) for name in stacked) or tuple(
        Trace(column.label, f"{pv}:{column.label}")
        for column in table.columns
        if not column.choices and f"{table.name}:{column.label}" in index.records
    )
    titles = ("time / prescaled ticks", "outputs") if stacked else ("row", "")
    return Widget(Shape.PLOT, height=_PLOT_HEIGHT, plot=Plot(traces, titles[0], titles[1:]))


def _head(index: PlanIndex, table: Table, field: str) -> list[Widget]:
    title = label(f"$(R) {field}", 220, Style.TITLE, height=ROW + 6).at(0, -2)
    writable = [
        (column.label, column.choices, column.low, column.high, 0 if column.choices else int(column.dtype[1:]))
        for column in table.columns
    ]
    buttons = [
        _button("Submit", _SUBMIT.format(columns=writable, field=field), "Write the table as shown"),
        _button("Discard", _DISCARD.format(field=field), "Discard the edits and show the table of the PandA"),
    ]
    widgets = [title, overview_link(), *buttons]
    for name, text in _STATE.items():
        if record := index.records.get(f"{table.name}:{name}"):
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
