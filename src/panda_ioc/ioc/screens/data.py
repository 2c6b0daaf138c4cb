"""Screens for captured data: file settings, counters, live plots, and the plot of one column."""

from collections.abc import Mapping

from ..plan.data_records import ACQUIRE, CAPTURE, DATASETS, STATISTICS
from ..plan.data_settings import BLOCK
from ..plan.record import Access
from .blocks import PLOT
from .forms import LED, Row, columns, control, flow, label, overview_link, panel, side_by_side, stack, title
from .index import PlanIndex
from .overview import PROGRESS, button, capture_row, last_refused, record_rows
from .widgets import GAP, MARGIN, ROW, Plot, Rule, Screen, Script, Shape, Style, Trace, Widget, text_width

DATA = "Data.bob"

_FILE = {
    "DATA:HDF_DIRECTORY": "Directory",
    "DATA:HDF_FILE_NAME": "File name",
    "DATA:FILE_TEMPLATE": "Template",
    "DATA:FILE_NUMBER": "Number",
    "DATA:AUTO_INCREMENT": "Auto increment",
    "DATA:CREATE_DIRECTORY": "Create dir. levels",
    "DATA:DIRECTORY_EXISTS": "Directory exists",
    "DATA:HDF_FULL_FILE_PATH": "Path",
}
_OPTIONS = {
    "DATA:NUM_CAPTURE": "Samples",
    "DATA:CAPTURE_MODE": "Mode",
    "DATA:FLUSH_PERIOD": "Flush period",
    "DATA:FLUSH_NOW": "Flush now",
    "DATA:LAZY_OPEN": "Lazy open",
    "DATA:OVERWRITE": "Overwrite",
    "DATA:RAW": "Raw data",
    "DATA:COMPRESSION": "Compression",
    "DATA:NEXUS": "NeXus",
}
_STATE = {
    "DATA:STATUS": "Status",
    "DATA:WRITE_STATUS": "Last capture",
    "DATA:WRITE_MESSAGE": "Error",
    "DATA:END_REASON": "End reason",
    "DATA:CONNECTION": "Data connection",
    "DATA:SWMR_ACTIVE": "SWMR active",
}
_COUNTS = {
    "DATA:NUM_CAPTURED": "Captured",
    "DATA:NUM_RECEIVED": "Received",
    "DATA:NUM_ACQUISITIONS": "Acquisitions",
    "DATA:MISSED": "Missed",
    "DATA:DROPPED": "Dropped",
    "DATA:QUEUE_USE": "Queue use",
    "DATA:RATE": "Sample rate",
    "DATA:BYTE_RATE": "Byte rate",
}
_LIVE = {
    "DATA:LIVE:ACQUIRE": "Enable",
    "DATA:LIVE:NUM_POINTS": "Points",
    "DATA:LIVE:RATE": "Update rate",
    "DATA:LIVE:TIME_SOURCE": "Time source",
    "DATA:LIVE:MESSAGE": "Message",
}

#: Width of paths and messages in pixels.
_TEXT = 430

#: Height of the dataset table in pixels.
_DATASETS_HEIGHT = 150

#: Prefixes of the columns that the plot shows by default.
_PREFERRED = ("INENC", "COUNTER")

#: The choice for the x axis that is not a column.
_TIME = "time"

#: Local PVs of the viewer with the columns that the plot shows.
_X, _Y, _Z = (f"loc://$(P):DATA:LIVE:{letter}<VString>" for letter in "xyz")

#: The PV of a trace for the selected column. Phoebus expands no macros in these expressions, so they read P themselves.
_PREFIX = '"pva://" + widget.getEffectiveMacros().getValue("P")'
_CHOSEN = (("true", f'{_PREFIX} + ":" + pvStr0 + ":LIVE"'),)
_CHOSEN_X = ((f'pvStr0 == "{_TIME}"', f'{_PREFIX} + ":DATA:LIVE:TIME"'), *_CHOSEN)

#: A script that lists the captured columns in a drop-down; the PVs and names have the same order.
_OFFER = """\
from __future__ import unicode_literals
from org.csstudio.display.builder.runtime.script import PVUtil

captured = [name for pv, name in zip(pvs, {names!a}) if PVUtil.getString(pv) != "No"]
widget.setItems({others!a} + tuple(captured))
"""


def data(index: PlanIndex) -> Screen:
    """Return the screen of file settings, counters, and a plot of two columns against time or another column."""
    top = MARGIN + ROW + 2 * GAP
    bar = Widget(
        Shape.PROGRESS, width=_TEXT, height=ROW, pv=PROGRESS, tip="Captured samples as a percentage of NUM_CAPTURE"
    )
    acquire = button("Acquire", "$(P):DATA:ACQUIRE", "1", 90, "Arm PCAP and wait for the end of the acquisition")
    lamp = Widget(Shape.LED, y=2, width=LED, height=LED, pv="$(P):DATA:ACQUIRE", tip="On while an acquisition runs")
    state = [
        capture_row(),
        Row("Acquisition", side_by_side((acquire, lamp))),
        *record_rows(index, _STATE, _TEXT),
        Row("Progress", (bar,)),
    ]
    left = stack(
        [
            panel("File", columns(record_rows(index, _FILE, _TEXT)), _TEXT + 140),
            panel("Capture", columns(state), _TEXT + 140),
        ],
        MARGIN,
        top,
    )
    middle = max(widget.right for widget in left) + GAP
    centre = stack(
        [
            options := panel("Options", columns(record_rows(index, {**_OPTIONS, **_others(index)}))),
            panel("Counters", columns(record_rows(index, _COUNTS)), options.width),
        ],
        middle,
        top,
    )
    right = max(widget.right for widget in centre) + GAP
    height = max(widget.bottom for widget in (*left, *centre)) - top
    plot = _plots(index, height).at(right, top)
    wide = plot.right - MARGIN
    refused = last_refused(index, wide).at(MARGIN, top + height + GAP)
    below = _datasets(wide).at(MARGIN, refused.bottom + GAP)
    widgets = (*title("Data"), *left, *centre, plot, refused, below)
    return Screen(DATA, "Data", widgets, macros=(("P", index.plan.prefix),))


def _others(index: PlanIndex) -> dict[str, str]:
    """Return the settings of DATA that no other panel shows, with their labels."""
    placed = {*_FILE, *_OPTIONS, *_LIVE, CAPTURE, ACQUIRE}
    settings = [
        record.name for record in index.plan.records if record.block == BLOCK and record.access is not Access.READ
    ]
    return {
        name: name.removeprefix(f"{BLOCK}:").replace("_", " ").capitalize() for name in settings if name not in placed
    }


def _datasets(width: int) -> Widget:
    """Return the panel of the datasets in a file."""
    inside = width - 2 * GAP
    table = Widget(
        Shape.TABLE,
        width=inside,
        height=_DATASETS_HEIGHT,
        pv=f"pva://$(P):{DATASETS}",
        tip="Names and types of the datasets that the next file will have",
        columns=(("Name", inside - 180, ()), ("Type", 140, ())),
    )
    return panel("Datasets", [table])


def _plots(index: PlanIndex, height: int) -> Widget:
    """Return the panel of the live plot: settings, selected columns, plot."""
    names = tuple(one.name for one in index.captured if f"{one.name}:LIVE" in index.records)
    if not names:
        return panel("Live", columns(record_rows(index, _LIVE)))
    wide = max(map(text_width, names)) + 36
    preferred = [name for start in _PREFERRED for name in names if name.startswith(start)]
    first, second, *_ = [*preferred, *names, names[0]]
    x, y, z = f'{_X}("{_TIME}")', f'{_Y}("{first}")', f'{_Z}("{second}")'
    rows = [
        _choice("x", x, names, wide, _TIME),
        _choice("y 1", y, names, wide),
        _choice("y 2", z, names, wide),
    ]
    settings = columns([*rows, *record_rows(index, _LIVE, 140)], 3)
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
    """Return the row of a drop-down that lists the captured columns."""
    offer = Script(_OFFER.format(names=names, others=others), tuple(f"pva://$(P):{name}:CAPTURE" for name in names))
    tip = f"Data for {text}: one of the captured columns"
    choices = (*others, *names)
    combo = Widget(Shape.COMBO, width=width, height=ROW, pv=pv, choices=choices, tip=tip, update=offer)
    return Row(text, (combo,))


def column_plot(index: PlanIndex) -> Screen:
    """Return the screen of one column against time, with its statistics; the macro COLUMN is such as "COUNTER1:OUT"."""
    widgets = [
        label("$(COLUMN)", 400, Style.TITLE, height=ROW + 6).at(MARGIN, MARGIN - 2),
        overview_link().at(MARGIN + 400 + GAP, MARGIN),
        *flow([_statistics(index)], 10000, MARGIN + ROW + 2 * GAP),
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
    return Screen(PLOT, "$(COLUMN)", (*widgets, plot), required_macros=("P", "COLUMN"))


def _statistics(index: PlanIndex) -> Widget:
    example = next(one.name for one in index.captured if f"{one.name}:LIVE" in index.records)
    named: Mapping[str, str] = {part: part.title() if part != "STDDEV" else "Std dev" for part in STATISTICS}
    rows = [
        Row(text, (control(index.records[f"{example}:LIVE:{part}"], f"$(P):$(COLUMN):LIVE:{part}", 140),))
        for part, text in named.items()
    ]
    return panel("Statistics", columns([*rows, *record_rows(index, _LIVE, 140)]))
