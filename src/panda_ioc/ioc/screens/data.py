"""Screens of captured data: files and counters, what is captured now, and one column of it."""

from collections.abc import Mapping

from ..plan.data_records import ACQUIRE, CAPTURE, DATASETS, STATISTICS
from ..plan.data_settings import BLOCK
from ..plan.record import Access
from .blocks import PLOT
from .book import Book
from .forms import LED, Row, columns, control, flow, label, panel, side_by_side, stack
from .overview import PROGRESS, button, capture_row, rows_of
from .widgets import GAP, MARGIN, ROW, Plot, Screen, Shape, Style, Trace, Widget, text_width

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
    "DATA:LIVE:CURRENT_POINT": "Shown",
    "DATA:LIVE:TIME_SOURCE": "Time from",
    "DATA:LIVE:MESSAGE": "Message",
}

#: Pixels of the table of datasets.
_DATASETS_HEIGHT = 150

#: What is plotted until somebody chooses: encoders first.
_LIKELY = ("INENC", "COUNTER")

#: What a plot is over, other than a column.
_TIME = "time"

#: PVs of the viewer itself in which it is chosen what the plot of a PandA shows.
_X, _Y, _Z = (f"loc://$(P):DATA:LIVE:{letter}<VString>" for letter in "xyz")

#: The PV that a chosen name stands for, by conditions, in the order in which they are tried.
_CHOSEN = (("true", '"$(P):" + pvStr0 + ":LIVE"'),)
_CHOSEN_X = ((f'pvStr0 == "{_TIME}"', '"$(P):DATA:LIVE:TIME"'), *_CHOSEN)


def data(book: Book) -> Screen:
    """Files, counters, and a plot of two columns against time or another column."""
    top = MARGIN + ROW + 2 * GAP
    bar = Widget(Shape.PROGRESS, width=300, height=ROW, pv=PROGRESS, tip="How much of what was asked for is captured")
    acquire = button("Acquire", "$(P):DATA:ACQUIRE", "1", 90, "Arm, and wait for the end of the acquisition")
    going = Widget(Shape.LED, y=2, width=LED, height=LED, pv="$(P):DATA:ACQUIRE", tip="Whether an acquisition goes on")
    state = [
        capture_row(),
        Row("Acquisition", side_by_side((acquire, going))),
        *rows_of(book, _STATE, 300),
        Row("Progress", (bar,)),
    ]
    left = stack(
        [
            panel("File", columns(rows_of(book, _WHERE, 300)), 440),
            panel("Capture", columns(state), 440),
        ],
        MARGIN,
        top,
    )
    middle = max(widget.right for widget in left) + GAP
    centre = stack(
        [
            panel("Options", columns(rows_of(book, {**_HOW, **_others(book)})), 250),
            panel("Counters", columns(rows_of(book, _COUNTS)), 250),
        ],
        middle,
        top,
    )
    right = max(widget.right for widget in centre) + GAP
    height = max(widget.bottom for widget in (*left, *centre)) - top
    plot = _plots(book, height).at(right, top)
    head = label("Data  $(P)", 560, Style.TITLE, height=ROW + 6).at(MARGIN, MARGIN - 2)
    below = _datasets(plot.right - MARGIN).at(MARGIN, top + height + GAP)
    return Screen(DATA, "Data", (head, *left, *centre, plot, below), macros=(("P", book.plan.prefix),))


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
    table = Widget(
        Shape.TABLE, width=width - 2 * GAP, height=_DATASETS_HEIGHT, pv=f"pva://$(P):{DATASETS}", tip="Name and type"
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
    rows = [
        _choice("x", f'{_X}("{_TIME}")', (_TIME, *names), wide),
        _choice("y 1", f'{_Y}("{first}")', names, wide),
        _choice("y 2", f'{_Z}("{second}")', names, wide),
    ]
    settings = columns([*rows, *rows_of(book, _LIVE, 140)], 3)
    below = max(widget.bottom for widget in settings) + GAP
    x = "$(P):DATA:LIVE:TIME"
    traces = (Trace("y 1", f"$(P):{first}:LIVE", x), Trace("y 2", f"$(P):{second}:LIVE", x, axis=1))
    rules = (
        ("traces[0].x_pv", f'{_X}("{_TIME}")', _CHOSEN_X),
        ("traces[1].x_pv", f'{_X}("{_TIME}")', _CHOSEN_X),
        ("traces[0].y_pv", f'{_Y}("{first}")', _CHOSEN),
        ("traces[1].y_pv", f'{_Z}("{second}")', _CHOSEN),
    )
    wide_plot = max(640, *(widget.right for widget in settings))
    plot = Widget(
        Shape.PLOT,
        y=below,
        width=wide_plot,
        height=height - below - 24 - 2 * GAP,
        plot=Plot(traces, "x", ("y 1", "y 2"), rules),
    )
    return panel("Live", [*settings, plot])


def _choice(text: str, pv: str, choices: tuple[str, ...], width: int) -> Row:
    tip = f"What is shown as {text}"
    return Row(text, (Widget(Shape.COMBO, width=width, height=ROW, pv=pv, choices=choices, tip=tip),))


def column_plot(book: Book) -> Screen:
    """One column against time, with what can be told of it. Who opens it gives COLUMN: "COUNTER1:OUT"."""
    widgets = [
        label("$(COLUMN)", 480, Style.TITLE, height=ROW + 6).at(MARGIN, MARGIN - 2),
        *flow([_statistics(book)], 10000, MARGIN + ROW + 2 * GAP),
    ]
    right = widgets[-1].right + GAP
    trace = Trace("$(COLUMN)", "$(P):$(COLUMN):LIVE", "$(P):DATA:LIVE:TIME")
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
