"""Screens of captured data: files and counters, what is captured now, and one column of it."""

from collections.abc import Mapping

from ..plan.data_records import ACQUIRE, CAPTURE, DATASETS, STATISTICS
from ..plan.data_settings import BLOCK
from ..plan.record import Access
from .blocks import PLOT
from .book import Book
from .forms import LED, Row, columns, control, flow, home, label, panel, side_by_side, stack, title
from .overview import PROGRESS, button, capture_row, last_refused, rows_of
from .widgets import GAP, MARGIN, ROW, Plot, Rule, Screen, Script, Shape, Style, Trace, Widget, text_width

DATA = "Data.bob"

_WHERE = {
    "DATA:HDF_DIRECTORY": "Directory",
    "DATA:HDF_FILE_NAME": "File name",
    "DATA:FILE_TEMPLATE": "Template",
    "DATA:FILE_NUMBER": "Number",
    "DATA:AUTO_INCREMENT": "Count up",
    "DATA:CREATE_DIRECTORY": "Levels to make",
    "DATA:DIRECTORY_EXISTS": "Directory exists",
    "DATA:HDF_FULL_FILE_PATH": "Path",
}
_HOW = {
    "DATA:NUM_CAPTURE": "Samples",
    "DATA:CAPTURE_MODE": "Mode",
    "DATA:FLUSH_PERIOD": "Flush every",
    "DATA:FLUSH_NOW": "Flush now",
    "DATA:LAZY_OPEN": "Open lazily",
    "DATA:OVERWRITE": "Overwrite",
    "DATA:RAW": "Raw",
    "DATA:COMPRESSION": "Compression",
    "DATA:NEXUS": "NeXus",
}
_STATE = {
    "DATA:STATUS": "Status",
    "DATA:WRITE_STATUS": "Last capture",
    "DATA:WRITE_MESSAGE": "Error",
    "DATA:END_REASON": "Last end",
    "DATA:CONNECTION": "Connection",
    "DATA:SWMR_ACTIVE": "Readable",
}
_COUNTS = {
    "DATA:NUM_CAPTURED": "Captured",
    "DATA:NUM_RECEIVED": "Received",
    "DATA:NUM_ACQUISITIONS": "Acquisitions",
    "DATA:MISSED": "Missed",
    "DATA:DROPPED": "Dropped",
    "DATA:QUEUE_USE": "Queue",
    "DATA:RATE": "Rate",
    "DATA:BYTE_RATE": "Data rate",
}
_LIVE = {
    "DATA:LIVE:ACQUIRE": "Show",
    "DATA:LIVE:NUM_POINTS": "Points",
    "DATA:LIVE:RATE": "Updates",
    "DATA:LIVE:TIME_SOURCE": "Time from",
    "DATA:LIVE:MESSAGE": "Message",
}

#: Pixels of paths and of what is said in words.
_TEXT = 430

#: Pixels of the table of datasets.
_DATASETS_HEIGHT = 150

#: What is plotted until somebody chooses: encoders first.
_LIKELY = ("INENC", "COUNTER")

#: What a plot is over, other than a column.
_TIME = "time"

#: PVs of the viewer itself in which it is chosen what the plot of a PandA shows.
_X, _Y, _Z = (f"loc://$(P):DATA:LIVE:{letter}<VString>" for letter in "xyz")

#: What the PV of a trace is, by what was chosen. Phoebus expands no macros here, so the script asks for them.
_PREFIX = '"pva://" + widget.getEffectiveMacros().getValue("P")'
_CHOSEN = (("true", f'{_PREFIX} + ":" + pvStr0 + ":LIVE"'),)
_CHOSEN_X = ((f'pvStr0 == "{_TIME}"', f'{_PREFIX} + ":DATA:LIVE:TIME"'), *_CHOSEN)


#: Offers the columns that are captured; PVs and names are in the same order.
_OFFER = """\
from __future__ import unicode_literals
from org.csstudio.display.builder.runtime.script import PVUtil

captured = [name for pv, name in zip(pvs, {names!a}) if PVUtil.getString(pv) != "No"]
widget.setItems({others!a} + tuple(captured))
"""


def data(book: Book) -> Screen:
    """Files, counters, and a plot of two columns against time or another column."""
    top = MARGIN + ROW + 2 * GAP
    bar = Widget(Shape.PROGRESS, width=_TEXT, height=ROW, pv=PROGRESS, tip="How much of what was asked for is captured")
    acquire = button("Acquire", "$(P):DATA:ACQUIRE", "1", 90, "Arm, and wait for the end of the acquisition")
    going = Widget(Shape.LED, y=2, width=LED, height=LED, pv="$(P):DATA:ACQUIRE", tip="Whether an acquisition goes on")
    state = [
        capture_row(),
        Row("Acquisition", side_by_side((acquire, going))),
        *rows_of(book, _STATE, _TEXT),
        Row("Progress", (bar,)),
    ]
    left = stack(
        [
            panel("File", columns(rows_of(book, _WHERE, _TEXT)), _TEXT + 140),
            panel("Capture", columns(state), _TEXT + 140),
        ],
        MARGIN,
        top,
    )
    middle = max(widget.right for widget in left) + GAP
    centre = stack(
        [
            options := panel("Options", columns(rows_of(book, {**_HOW, **_others(book)}))),
            panel("Counters", columns(rows_of(book, _COUNTS)), options.width),
        ],
        middle,
        top,
    )
    right = max(widget.right for widget in centre) + GAP
    height = max(widget.bottom for widget in (*left, *centre)) - top
    plot = _plots(book, height).at(right, top)
    wide = plot.right - MARGIN
    refused = last_refused(book, wide).at(MARGIN, top + height + GAP)
    below = _datasets(wide).at(MARGIN, refused.bottom + GAP)
    widgets = (*title("Data"), *left, *centre, plot, refused, below)
    return Screen(DATA, "Data", widgets, macros=(("P", book.plan.prefix),))


def _others(book: Book) -> dict[str, str]:
    """Settings that have no place of their own here, and what they are called."""
    placed = {*_WHERE, *_HOW, *_LIVE, CAPTURE, ACQUIRE}
    settings = [
        record.name for record in book.plan.records if record.block == BLOCK and record.access is not Access.READ
    ]
    return {
        name: name.removeprefix(f"{BLOCK}:").replace("_", " ").capitalize() for name in settings if name not in placed
    }


def _datasets(width: int) -> Widget:
    """What a file will have."""
    inside = width - 2 * GAP
    table = Widget(
        Shape.TABLE,
        width=inside,
        height=_DATASETS_HEIGHT,
        pv=f"pva://$(P):{DATASETS}",
        tip="Name and type",
        columns=(("Name", inside - 180, ()), ("Type", 140, ())),
    )
    return panel("Datasets of a file", [table])


def _plots(book: Book, height: int) -> Widget:
    """Settings of the live view, what is plotted, and the plot."""
    names = tuple(one.name for one in book.captured if f"{one.name}:LIVE" in book.records)
    if not names:
        return panel("Live", columns(rows_of(book, _LIVE)))
    wide = max(map(text_width, names)) + 36
    likely = [name for start in _LIKELY for name in names if name.startswith(start)]
    first, second, *_ = [*likely, *names, names[0]]
    x, y, z = f'{_X}("{_TIME}")', f'{_Y}("{first}")', f'{_Z}("{second}")'
    rows = [
        _choice("x", x, names, wide, _TIME),
        _choice("y 1", y, names, wide),
        _choice("y 2", z, names, wide),
    ]
    settings = columns([*rows, *rows_of(book, _LIVE, 140)], 3)
    below = max(widget.bottom for widget in settings) + GAP
    time = "pva://$(P):DATA:LIVE:TIME"
    traces = (
        Trace(first, f"pva://$(P):{first}:LIVE", time),
        Trace(second, f"pva://$(P):{second}:LIVE", time, axis=1),
    )
    name = (("true", "pvStr0"),)
    rules = (
        *(Rule(f"traces[{trace}].x_pv", x, _CHOSEN_X) for trace in (0, 1)),
        *(Rule(f"traces[{trace}].y_pv", pv, _CHOSEN) for trace, pv in enumerate((y, z))),
        *(Rule(f"traces[{trace}].name", pv, name) for trace, pv in enumerate((y, z))),
        *(Rule(f"y_axes[{axis}].title", pv, name) for axis, pv in enumerate((y, z))),
        Rule("x_axis.title", x, name),
    )
    plot = Widget(
        Shape.PLOT,
        y=below,
        width=max(640, *(widget.right for widget in settings)),
        height=height - below - 24 - 2 * GAP,
        plot=Plot(traces, _TIME, (first, second)),
        rules=rules,
    )
    return panel("Live", [*settings, plot])


def _choice(text: str, pv: str, names: tuple[str, ...], width: int, *others: str) -> Row:
    """A drop-down of columns, which offers those alone that are captured."""
    offer = Script(_OFFER.format(names=names, others=others), tuple(f"pva://$(P):{name}:CAPTURE" for name in names))
    tip = f"What is shown as {text}, of what is captured"
    choices = (*others, *names)
    combo = Widget(Shape.COMBO, width=width, height=ROW, pv=pv, choices=choices, tip=tip, update=offer)
    return Row(text, (combo,))


def column_plot(book: Book) -> Screen:
    """One column against time, with what can be told of it. Who opens it gives COLUMN: "COUNTER1:OUT"."""
    widgets = [
        label("$(COLUMN)", 400, Style.TITLE, height=ROW + 6).at(MARGIN, MARGIN - 2),
        home().at(MARGIN + 400 + GAP, MARGIN),
        *flow([_statistics(book)], 10000, MARGIN + ROW + 2 * GAP),
    ]
    right = widgets[-1].right + GAP
    trace = Trace("$(COLUMN)", "pva://$(P):$(COLUMN):LIVE", "pva://$(P):DATA:LIVE:TIME")
    plot = Widget(
        Shape.PLOT,
        x=right,
        y=MARGIN + ROW + 2 * GAP,
        width=760,
        height=420,
        plot=Plot((trace,), "time", ("$(COLUMN)",)),
    )
    return Screen(PLOT, "$(COLUMN)", (*widgets, plot), wants=("P", "COLUMN"))


def _statistics(book: Book) -> Widget:
    example = next(one.name for one in book.captured if f"{one.name}:LIVE" in book.records)
    named: Mapping[str, str] = {part: part.title() if part != "STDDEV" else "Deviation" for part in STATISTICS}
    rows = [
        Row(text, (control(book.records[f"{example}:LIVE:{part}"], f"$(P):$(COLUMN):LIVE:{part}", 140),))
        for part, text in named.items()
    ]
    return panel("Of the samples shown", columns([*rows, *rows_of(book, _LIVE, 140)]))
