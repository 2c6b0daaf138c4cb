"""The first screen: connection, acquisition, file, health of all blocks; and the way to every other screen."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..plan import status
from ..plan.record import Record
from .book import Book, Group
from .forms import (
    LED,
    NUMBER,
    OVERVIEW,
    Row,
    columns,
    control,
    flow,
    grid,
    label,
    link,
    panel,
    readback_of,
    row,
    side_by_side,
    tip_of,
)
from .widgets import GAP, MARGIN, ROW, Rule, Screen, Shape, Style, Widget, text_width

#: How wide the label and the health of a block are.
_LABEL, _HEALTH = 220, 80

#: Columns of blocks side by side.
_BLOCK_COLUMNS = 4

_SYSTEM = ("PANDA_SW_VERSION", "FPGA_VERSION", "ROOTFS_VERSION", "IOC_VERSION")
_VERSIONS = ("Server", "FPGA", "Root file system", "IOC")

#: How full the bar is: with no number to capture it stays empty.
PROGRESS = "=100 * `$(P):DATA:NUM_CAPTURED` / max(1, `$(P):DATA:NUM_CAPTURE`)"


@dataclass(frozen=True)
class Place:
    """Where the screen of a type of block is."""

    group: Group
    file: str


def overview(book: Book, blocks: tuple[Place, ...], others: Mapping[str, str]) -> Screen:
    """The first screen.

    Args:
        book: all records
        blocks: the screens of the blocks
        others: the files of all other screens by what is written on their links
    """
    head = (
        label("PandA  $(P)", 560, Style.TITLE, height=ROW + 6).at(MARGIN, MARGIN - 2),
        *(
            widget.at(MARGIN + 580 + widget.x, MARGIN)
            for widget in side_by_side([link(text, file, {"P": "$(P)"}, 110) for text, file in others.items()], GAP)
        ),
    )
    ours = {
        status.UPTIME: "Up for",
        status.RECONNECTS: "Reconnects",
        status.PUTS_ACCEPTED: "Puts",
        status.PUTS_REFUSED: "Refused",
        status.POLL_PERIOD: "Poll period",
    }
    panels = [_panda(book), _acquisition(book), _file(book), panel("IOC", columns(rows_of(book, ours)))]
    top = flow(panels, 1900, MARGIN + ROW + 2 * GAP)
    listed = _blocks(book, blocks)
    wide = max(listed.right, *(one.right - MARGIN for one in top))
    refused = last_refused(book, wide).at(MARGIN, max(one.bottom for one in top) + GAP)
    widgets = (*head, *top, refused, listed.at(MARGIN, refused.bottom + GAP))
    return Screen(OVERVIEW, f"PandA {book.plan.prefix}", widgets, macros=(("P", book.plan.prefix),))


def last_refused(book: Book, width: int) -> Widget:
    """Why the last put was refused, where people put."""
    shown = control(book.records[status.LAST_REFUSED], f"$(P):{status.LAST_REFUSED}", width - 2 * GAP)
    return panel("Last put that was refused", [shown], width)


def rows_of(book: Book, named: Mapping[str, str], width: int = 0) -> list[Row]:
    """A row for each record that there is.

    Args:
        book: all records
        named: what each is called, by the names of the records
        width: of what shows them; as wide as is usual if none is given
    """
    return [
        row(record, lambda name: f"$(P):{name}", text, _readback(book, record), width if record.kind.is_text else 0)
        for name, text in named.items()
        if (record := book.records.get(name))
    ]


def _readback(book: Book, record: Record) -> Mapping[str, Record]:
    """What a record may differ from, by its name."""
    name = readback_of(record.name)
    return {name: book.records[name]} if name in book.records else {}


def button(
    text: str, pv: str, value: str, width: int, tip: str, *, confirm: str = "", rules: tuple[Rule, ...] = ()
) -> Widget:
    """A button that writes a value, if need be when that was confirmed."""
    made = Widget(Shape.BUTTON, width=width, height=ROW, text=text, pv=pv, value=value, tip=tip)
    return replace(made, confirm=confirm, rules=rules)


def capture_row() -> Row:
    """What begins and ends a capture, and whether one runs."""
    pv = "$(P):DATA:CAPTURE"
    buttons = (
        button("Capture", pv, "1", 90, "Capture into a file"),
        button("Stop", pv, "0", 90, "End the capture"),
        Widget(Shape.LED, y=2, width=LED, height=LED, pv=pv, tip="Whether a capture runs"),
    )
    return Row("Capture", side_by_side(buttons))


def _panda(book: Book) -> Widget:
    named = {
        status.CONNECTION: "Connection",
        status.CONNECTION_TEXT: "in words",
        **{f"SYSTEM:{name}": text for name, text in zip(_SYSTEM, _VERSIONS, strict=True)},
    }
    return panel("PandA", columns(rows_of(book, named, 340)))


def _acquisition(book: Book) -> Widget:
    """Arming, whatever is done with the data."""
    rows = rows_of(book, {"PCAP:ACTIVE": "Active", "PCAP:HEALTH": "Health"}, 170)
    if "PCAP:ARM" in book.records:
        pv = "$(P):PCAP:ARM"
        buttons = (
            button("Arm", pv, "1", 80, "Begin an acquisition"),
            button("Disarm", pv, "0", 80, "End the acquisition"),
        )
        rows.insert(0, Row("PCAP", side_by_side(buttons)))
    named = {
        "DATA:END_REASON": "Last end",
        "DATA:LIVE:NUM_SAMPLES": "Samples",
        "DATA:RATE": "Rate",
        "DATA:CONNECTION": "Data connection",
    }
    return panel("Acquisition", columns(rows + rows_of(book, named, 170)))


def _file(book: Book) -> Widget:
    """Capturing into a file, how far it is, and what went wrong."""
    bar = Widget(Shape.PROGRESS, width=480, height=ROW, pv=PROGRESS, tip="How much of what was asked for is captured")
    counts = (
        control(book.records["DATA:NUM_CAPTURED"], "$(P):DATA:NUM_CAPTURED", NUMBER),
        label("of", 20, tip="0 for all"),
        control(book.records["DATA:NUM_CAPTURE"], "$(P):DATA:NUM_CAPTURE", NUMBER),
    )
    rows = [
        capture_row(),
        *rows_of(book, {"DATA:STATUS": "Status"}, 480),
        Row("Captured", side_by_side(counts)),
        Row("Progress", (bar,)),
        *rows_of(book, {"DATA:HDF_FULL_FILE_PATH": "Path", "DATA:WRITE_MESSAGE": "Error"}, 480),
    ]
    return panel("File", columns(rows))


def _blocks(book: Book, places: tuple[Place, ...]) -> Widget:
    """A line for each instance of each block: its screen, its label, its health."""
    tiles = [_tile(book, instance, place.file) for place in places for instance in place.group.instances]
    names = max((name.width for name, _, _ in tiles), default=0)
    each = max(-(-len(tiles) // _BLOCK_COLUMNS), 1)
    widgets: list[Widget] = []
    for first in range(0, len(tiles), each):
        column = tiles[first : first + each]
        left = max((widget.right for widget in widgets), default=-2 * GAP) + 2 * GAP
        sized = [(_wide(name, names), about, health) for name, about, health in column]
        headings = (("block", names), ("label", _LABEL), ("health", _HEALTH))
        widgets += [widget.at(left + widget.x, widget.y) for widget in grid(headings, sized)]
    return panel("Blocks", widgets)


def _tile(book: Book, instance: str, file: str) -> tuple[Widget, Widget | None, Widget | None]:
    macros = {"P": "$(P)", "R": instance}
    name = link(instance, file, macros, text_width(instance) + 16, f"All of {instance}")
    about = book.records.get(f"{instance}:LABEL")
    health = book.records.get(f"{instance}:HEALTH")
    return (
        name,
        _shown(about, _LABEL) if about else None,
        _shown(health, _HEALTH) if health else None,
    )


def _shown(record: Record, width: int) -> Widget:
    """A text that is only shown, small; its tip has all of it."""
    is_text = record.kind.is_long_text
    tip = tip_of(record)
    pv = f"$(P):{record.name}"
    return Widget(Shape.READ, width=width, height=ROW, pv=pv, tip=tip, style=Style.SMALL, is_text=is_text)


def _wide(widget: Widget, width: int) -> Widget:
    return link(widget.text, widget.file, dict(widget.macros), width, widget.tip)
