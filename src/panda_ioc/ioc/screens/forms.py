"""Rows of a name and what shows or changes a record; columns of rows; panels of columns.

Which widget a record gets is a table by its kind.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from ..plan.codecs import ArmCodec, CaptureChoiceCodec
from ..plan.record import Access, Kind, Record
from .widgets import GAP, MARGIN, PITCH, ROW, Shape, Style, Widget, plain, text_width

#: Widths of what numbers and texts are shown in.
NUMBER = 110
TEXT = 180
SHORT = 70
LED = 18

#: Room that a drop-down needs beside its text, the least that it has, and the most.
_ARROW = 36
_COMBO = (80, 260)

#: Rows of a column; what is more goes into the next.
MOST_ROWS = 16

#: Pixels of the band that names a panel.
BAND = 24

#: What a set-point may differ from, by the last parts of their names: it goes into the same row.
READBACKS = {
    "SETP": "VAL",
    "SET": "OUT",
    "NUM_CAPTURE": "NUM_CAPTURED",
    "NUM_POINTS": "CURRENT_POINT",
}

#: The first screen, to which all others lead.
OVERVIEW = "Overview.bob"

#: The name of a PV of a record.
Naming = Callable[[str], str]


@dataclass(frozen=True)
class Row:
    """A name, and what follows it, each with its x from where the name ends."""

    name: str
    widgets: tuple[Widget, ...]
    tip: str = ""

    @property
    def width(self) -> int:
        """What follows the name, in pixels."""
        return max((widget.right for widget in self.widgets), default=0)


def tip_of(record: Record) -> str:
    """What is told of a record: all of its description, its limits, its name."""
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
    """A drop-down; an mbbo tells its choices itself, for texts they are those of the plan."""
    least, most = _COMBO
    width = max(map(text_width, record.labels), default=0) + _ARROW
    choices = () if record.kind is Kind.MBBO else record.labels
    return Widget(Shape.COMBO, width=min(max(width, least), most), height=ROW, choices=choices)


def _switch(record: Record) -> Widget:
    if record.access is Access.EXECUTE:
        return Widget(Shape.BUTTON, width=SHORT, height=ROW, text="Do it")
    width = max(map(text_width, record.labels), default=0) + _ARROW
    # Where the choices say what to do, a switch says what pressing it does; its lamp says how it is.
    labels = record.labels[::-1] if isinstance(record.codec, ArmCodec) else record.labels
    return Widget(Shape.SWITCH, width=max(width, SHORT), height=ROW, choices=labels)


#: What shows or changes a record.
_CONTROLS: Mapping[Kind, Callable[[Record], Widget]] = {
    **dict.fromkeys((Kind.AI, Kind.LONGIN, Kind.MBBI, Kind.STRINGIN, Kind.TEXTIN), _read),
    **dict.fromkeys((Kind.AO, Kind.LONGOUT), _number),
    **dict.fromkeys((Kind.STRINGOUT, Kind.TEXTOUT), _text),
    Kind.BI: _led,
    Kind.BO: _switch,
    Kind.MBBO: _combo,
}


def control(record: Record, pv: str, width: int = 0) -> Widget:
    """What shows or changes a record, as wide as is usual or as is asked."""
    made = _CONTROLS[record.kind](record)
    # What can only be written has no value, and is in alarm, until somebody writes.
    alarm = record.access is not Access.WRITE
    if isinstance(record.codec, CaptureChoiceCodec):  # over PV Access it has all choices, also where a mbbo has too few
        pv = f"pva://{pv}"
    return replace(made, pv=pv, tip=tip_of(record), width=width or made.width, alarm=alarm)


def label(text: str, width: int, style: Style = Style.PLAIN, *, tip: str = "", height: int = ROW) -> Widget:
    """A text."""
    return Widget(Shape.LABEL, width=width, height=height, text=text, style=style, tip=tip)


def link(text: str, file: str, macros: Mapping[str, str], width: int = 0, tip: str = "") -> Widget:
    """A button that opens a screen."""
    wide = width or text_width(text) + 24
    return Widget(
        Shape.LINK, width=wide, height=ROW, text=text, file=file, macros=tuple(macros.items()), tip=tip or text
    )


def home() -> Widget:
    """A button that opens the overview, in place of the screen that it is on.

    Phoebus gives it all macros of that screen, so in a tab there would be another overview for every block.
    """
    opened = link("Overview", OVERVIEW, {"P": "$(P)"}, tip="Connection, acquisition, all blocks")
    return replace(opened, target="replace")


def title(text: str) -> tuple[Widget, Widget]:
    """The title of a screen, with the way back to the overview."""
    named = label(f"{text}  $(P)", 400, Style.TITLE, height=ROW + 6).at(MARGIN, MARGIN - 2)
    return named, home().at(named.right + GAP, MARGIN)


def row(
    record: Record, naming: Naming, name: str, beside: Mapping[str, Record] = MappingProxyType({}), width: int = 0
) -> Row:
    """The row of a record, with its units and with what belongs to it.

    Args:
        record: what the row is of
        naming: names its PV
        name: what it is called
        beside: records by name, of which `:UNITS`, `:DELAY` and what it may differ from go into the same row
        width: of what shows it; as wide as is usual if none is given
    """
    widgets = [control(record, naming(record.name), width)]
    if units := beside.get(f"{record.name}:UNITS"):
        if units.kind is Kind.MBBO:
            widgets.append(control(units, naming(units.name)))
    elif record.units and not widgets[0].units:
        widgets.append(label(plain(record.units), text_width(plain(record.units)) + 4))
    if delay := beside.get(f"{record.name}:DELAY"):
        widgets.append(control(delay, naming(delay.name), 46))
        widgets.append(label("ticks", text_width("ticks") + 4, tip=tip_of(delay).partition("\n")[0]))
    if readback := beside.get(readback_of(record.name)):
        widgets.append(control(readback, naming(readback.name), NUMBER))
    return Row(name, side_by_side(widgets), plain(record.description))


def readback_of(name: str) -> str:
    """The name of what a record may differ from, if there can be any."""
    base, colon, last = name.rpartition(":")
    return f"{base}{colon}{READBACKS[last]}" if last in READBACKS else ""


def side_by_side(widgets: Iterable[Widget], gap: int = 4) -> tuple[Widget, ...]:
    """Widgets in a line, each at the y that it has."""
    placed: list[Widget] = []
    x = 0
    for widget in widgets:
        placed.append(widget.at(x, widget.y))
        x = placed[-1].right + gap
    return tuple(placed)


def columns(rows: Sequence[Row], most: int = MOST_ROWS) -> list[Widget]:
    """Rows one under another, in as many columns as they need, from (0, 0)."""
    number = -(-len(rows) // most)
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
    """A panel with a band that names it, around widgets that begin at (0, 0)."""
    inside = [widget.at(widget.x + GAP, widget.y + BAND + GAP) for widget in widgets]
    wide = max([*(widget.right + GAP for widget in inside), text_width(title, Style.SECTION) + 2 * GAP, width])
    high = max((widget.bottom for widget in inside), default=BAND) + GAP
    band = label(title, wide, Style.SECTION, height=BAND)
    return Widget(Shape.GROUP, width=wide, height=high, text=title, style=Style.PANEL, children=(band, *inside))


def flow(panels: Iterable[Widget], width: int, top: int = 0) -> list[Widget]:
    """Panels from left to right, as many in a line as there is room for."""
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
    """Panels one under another."""
    placed: list[Widget] = []
    for one in panels:
        placed.append(one.at(x, y))
        y = placed[-1].bottom + GAP
    return placed


def grid(headings: Sequence[tuple[str, int]], rows: Iterable[Sequence[Widget | None]]) -> list[Widget]:
    """A table of widgets under headings, from (0, 0); None leaves a place empty.

    Args:
        headings: what is written over each column, and how wide it is
        rows: a widget for each column
    """
    lefts = [sum(width + GAP for _, width in headings[:index]) for index in range(len(headings))]
    widgets = [
        label(text, width, Style.HEADING).at(x, 0) for (text, width), x in zip(headings, lefts, strict=True) if text
    ]
    for number, cells in enumerate(rows):
        y = ROW + number * PITCH
        widgets += [cell.at(x, y + cell.y) for cell, x in zip(cells, lefts, strict=True) if cell is not None]
    return widgets
