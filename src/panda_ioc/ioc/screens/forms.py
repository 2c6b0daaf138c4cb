"""Rows with the name and the widgets of a record; columns of rows; panels of columns.

A table maps the kind of a record to its widget.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from ..plan.codecs import ArmCodec, CaptureChoiceCodec
from ..plan.record import Access, Kind, Record
from .widgets import GAP, MARGIN, PITCH, ROW, Shape, Style, Widget, plain, text_width

#: Widths of number fields, text fields, short fields and LEDs in pixels.
NUMBER = 110
TEXT = 180
SHORT = 70
LED = 18

#: Width of the arrow of a drop-down in pixels; minimum and maximum width of a drop-down.
_ARROW = 36
_COMBO = (80, 260)

#: Rows in a column; further rows go into the next column.
MAX_ROWS = 16

#: Height of the title band of a panel in pixels.
BAND = 24

#: Readbacks by setpoint, as the last parts of the record names; both share a row.
READBACKS = {
    "SETP": "VAL",
    "SET": "OUT",
    "NUM_CAPTURE": "NUM_CAPTURED",
    "NUM_POINTS": "CURRENT_POINT",
}

#: The first screen, which links to all others.
OVERVIEW = "Overview.bob"

#: A function that returns the PV of a record name.
Naming = Callable[[str], str]


@dataclass(frozen=True)
class Row:
    """A name and the widgets after it, whose x counts from the end of the name."""

    name: str
    widgets: tuple[Widget, ...]
    tip: str = ""

    @property
    def width(self) -> int:
        """Width of the widgets after the name, in pixels."""
        return max((widget.right for widget in self.widgets), default=0)


def tip_of(record: Record) -> str:
    """Return the tooltip of a record: description, limits, PV name, value."""
    limits = ""
    if record.low is not None and record.high is not None:
        limits = f"\n{record.low:.10g} to {record.high:.10g} {record.units}".rstrip()
    return f"{plain(record.description)}{limits}\n$(pv_name)\n$(pv_value)".lstrip()


def _read(record: Record) -> Widget:
    wide = record.kind.is_text or record.kind is Kind.MBBI
    return Widget(
        Shape.READ, width=TEXT if wide else NUMBER, height=ROW, is_text=record.kind.is_long_text, units=not wide
    )


def _led(_record: Record) -> Widget:
    return Widget(Shape.LED, y=2, width=LED, height=LED)


def _number(_record: Record) -> Widget:
    return Widget(Shape.ENTRY, width=NUMBER, height=ROW)


def _text(record: Record) -> Widget:
    if record.labels:
        return _combo(record)
    return Widget(Shape.ENTRY, width=TEXT, height=ROW, is_text=record.kind.is_long_text)


def _combo(record: Record) -> Widget:
    """Return a drop-down; Phoebus reads the choices of an mbbo from its PV, others are written to the screen."""
    least, most = _COMBO
    width = max(map(text_width, record.labels), default=0) + _ARROW
    choices = () if record.kind is Kind.MBBO else record.labels
    return Widget(Shape.COMBO, width=min(max(width, least), most), height=ROW, choices=choices)


def _switch(record: Record) -> Widget:
    if record.access is Access.EXECUTE:
        return Widget(Shape.BUTTON, width=SHORT, height=ROW, text="Execute")
    width = max(map(text_width, record.labels), default=0) + _ARROW
    # ARM has the choices Disarm and Arm: the label shows what a click does, the lamp shows the state.
    labels = record.labels[::-1] if isinstance(record.codec, ArmCodec) else record.labels
    return Widget(Shape.SWITCH, width=max(width, SHORT), height=ROW, choices=labels)


#: The function that makes the widget of a record, by kind.
_CONTROLS: Mapping[Kind, Callable[[Record], Widget]] = {
    **dict.fromkeys((Kind.AI, Kind.LONGIN, Kind.MBBI, Kind.STRINGIN, Kind.TEXTIN), _read),
    **dict.fromkeys((Kind.AO, Kind.LONGOUT), _number),
    **dict.fromkeys((Kind.STRINGOUT, Kind.TEXTOUT), _text),
    Kind.BI: _led,
    Kind.BO: _switch,
    Kind.MBBO: _combo,
}


def control(record: Record, pv: str, width: int = 0) -> Widget:
    """Return the widget that shows or changes a record; width 0 selects the default width."""
    made = _CONTROLS[record.kind](record)
    # A write-only record has no value and is in UDF alarm until the first put.
    alarm = record.access is not Access.WRITE
    if isinstance(record.codec, CaptureChoiceCodec):  # PV Access has all choices; an mbbo has 16 at most
        pv = f"pva://{pv}"
    return replace(made, pv=pv, tip=tip_of(record), width=width or made.width, alarm=alarm)


def label(text: str, width: int, style: Style = Style.PLAIN, *, tip: str = "", height: int = ROW) -> Widget:
    """Return a label."""
    return Widget(Shape.LABEL, width=width, height=height, text=text, style=style, tip=tip)


def link(text: str, file: str, macros: Mapping[str, str], width: int = 0, tip: str = "") -> Widget:
    """Return a button that opens a screen."""
    wide = width or text_width(text) + 24
    return Widget(
        Shape.LINK, width=wide, height=ROW, text=text, file=file, macros=tuple(macros.items()), tip=tip or text
    )


def overview_link() -> Widget:
    """Return a button that replaces the current screen with the overview.

    Phoebus passes the macros of the current screen, so with tabs each block would open another overview.
    """
    opened = link("Overview", OVERVIEW, {"P": "$(P)"}, tip="Connection, acquisition, all blocks")
    return replace(opened, target="replace")


def title(text: str) -> tuple[Widget, Widget]:
    """Return the title of a screen and a link to the overview."""
    named = label(f"{text}  $(P)", 400, Style.TITLE, height=ROW + 6).at(MARGIN, MARGIN - 2)
    return named, overview_link().at(named.right + GAP, MARGIN)


def row(
    record: Record, naming: Naming, name: str, related: Mapping[str, Record] = MappingProxyType({}), width: int = 0
) -> Row:
    """Return the row of a record, with its units, delay and readback.

    Args:
        record: the record
        naming: returns the PV of a record
        name: the name in the row
        related: records by name; `:UNITS`, `:DELAY` and the readback of the record are added to the row
        width: width of the widget in pixels, 0 for the default
    """
    widgets = [control(record, naming(record.name), width)]
    if units := related.get(f"{record.name}:UNITS"):
        if units.kind is Kind.MBBO:
            widgets.append(control(units, naming(units.name)))
    elif record.units and not widgets[0].units:
        widgets.append(label(plain(record.units), text_width(plain(record.units)) + 4))
    if delay := related.get(f"{record.name}:DELAY"):
        widgets.append(control(delay, naming(delay.name), 46))
        widgets.append(label("ticks", text_width("ticks") + 4, tip=tip_of(delay).partition("\n")[0]))
    if readback := related.get(readback_of(record.name)):
        widgets.append(control(readback, naming(readback.name), NUMBER))
    return Row(name, side_by_side(widgets), plain(record.description))


def readback_of(name: str) -> str:
    """Return the name of the readback of a record, or ""."""
    base, colon, last = name.rpartition(":")
    return f"{base}{colon}{READBACKS[last]}" if last in READBACKS else ""


def side_by_side(widgets: Iterable[Widget], gap: int = 4) -> tuple[Widget, ...]:
    """Place widgets in a line; y stays."""
    placed: list[Widget] = []
    x = 0
    for widget in widgets:
        placed.append(widget.at(x, widget.y))
        x = placed[-1].right + gap
    return tuple(placed)


def columns(rows: Sequence[Row], maximum: int = MAX_ROWS) -> list[Widget]:
    """Place rows in as few columns as possible, from (0, 0)."""
    number = -(-len(rows) // maximum)
    each = -(-len(rows) // number) if number else 0
    widgets: list[Widget] = []
    left = 0
    for first in range(0, len(rows), each or 1):
        column = rows[first : first + each]
        names = max(text_width(row.name) for row in column) + 6
        for index, one in enumerate(column):
            y = index * PITCH
            widgets.append(label(one.name, names, tip=one.tip).at(left, y))
            widgets += [widget.at(left + names + GAP + widget.x, y + widget.y) for widget in one.widgets]
        left += names + GAP + max(one.width for one in column) + 3 * GAP
    return widgets


def panel(title: str, widgets: Iterable[Widget], width: int = 0) -> Widget:
    """Return a panel with a title band around widgets that were placed from (0, 0)."""
    inside = [widget.at(widget.x + GAP, widget.y + BAND + GAP) for widget in widgets]
    wide = max([*(widget.right + GAP for widget in inside), text_width(title, Style.SECTION) + 2 * GAP, width])
    high = max((widget.bottom for widget in inside), default=BAND) + GAP
    band = label(title, wide, Style.SECTION, height=BAND)
    return Widget(Shape.GROUP, width=wide, height=high, text=title, style=Style.PANEL, children=(band, *inside))


def flow(panels: Iterable[Widget], width: int, top: int = 0) -> list[Widget]:
    """Place panels from left to right, with line breaks at `width` pixels."""
    placed: list[Widget] = []
    x, y, bottom = MARGIN, top, top
    for one in panels:
        if x > MARGIN and x + one.width > width - MARGIN:
            x, y = MARGIN, bottom + GAP
        placed.append(one.at(x, y))
        x += one.width + GAP
        bottom = max(bottom, placed[-1].bottom)
    return placed


def stack(panels: Iterable[Widget], x: int, y: int) -> list[Widget]:
    """Place panels one below the other."""
    placed: list[Widget] = []
    for one in panels:
        placed.append(one.at(x, y))
        y = placed[-1].bottom + GAP
    return placed


def grid(headings: Sequence[tuple[str, int]], rows: Iterable[Sequence[Widget | None]]) -> list[Widget]:
    """Return a table of widgets under headings, placed from (0, 0).

    Args:
        headings: text and width in pixels of each column
        rows: a widget for each column, or None for an empty cell
    """
    lefts = [sum(width + GAP for _, width in headings[:index]) for index in range(len(headings))]
    widgets = [
        label(text, width, Style.HEADING).at(x, 0) for (text, width), x in zip(headings, lefts, strict=True) if text
    ]
    for number, cells in enumerate(rows):
        y = ROW + number * PITCH
        widgets += [cell.at(x, y + cell.y) for cell, x in zip(cells, lefts, strict=True) if cell is not None]
    return widgets
