"""The first screen: connection, acquisition, file, health of all blocks; and the way to every other screen."""

from collections.abc import Mapping
from dataclasses import dataclass

from .. import status
from .book import Book, Group
from .forms import NUMBER, SHORT, Row, columns, control, flow, grid, label, link, panel, side_by_side
from .widgets import GAP, MARGIN, ROW, Screen, Shape, Style, Widget, plain

OVERVIEW = "Overview.bob"

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
    panels = [_panda(book), _acquisition(book), _file(book)]
    top = flow(panels, 1360, MARGIN + ROW + 2 * GAP)
    below = max(widget.bottom for widget in top) + GAP
    return Screen(
        OVERVIEW,
        f"PandA {book.plan.prefix}",
        (*head, *top, _blocks(book, blocks).at(MARGIN, below)),
        macros=(("P", book.plan.prefix),),
    )


def rows_of(book: Book, named: Mapping[str, str], width: int = 0) -> list[Row]:
    """A row for each record that there is.

    Args:
        book: all records
        named: what each is called, by the names of the records
        width: of what shows them; as wide as is usual if none is given
    """
    return [
        Row(text, (control(record, f"$(P):{name}", width if record.kind.is_text else 0),), plain(record.description))
        for name, text in named.items()
        if (record := book.records.get(name))
    ]


def button(text: str, pv: str, value: str, width: int, tip: str) -> Widget:
    """A button that writes a value."""
    return Widget(Shape.BUTTON, width=width, height=ROW, text=text, pv=pv, value=value, tip=tip)


def _panda(book: Book) -> Widget:
    named = {
        status.CONNECTION: "Connection",
        status.CONNECTION_TEXT: "in words",
        **{f"SYSTEM:{name}": text for name, text in zip(_SYSTEM, _VERSIONS, strict=True)},
    }
    return panel("PandA", columns(rows_of(book, named, 330)))


def _acquisition(book: Book) -> Widget:
    """Arming, whatever is done with the data."""
    rows = rows_of(book, {"PCAP:ACTIVE": "Active", "PCAP:HEALTH": "Health"}, 200)
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
    return panel("Acquisition", columns(rows + rows_of(book, named, 200)))


def _file(book: Book) -> Widget:
    """Capturing into a file, how far it is, and what went wrong."""
    pv = "$(P):DATA:CAPTURE"
    buttons = (
        button("Capture", pv, "1", 90, "Capture into a file"),
        button("Stop", pv, "0", 90, "End the capture"),
        control(book.records["DATA:CAPTURE"], pv, SHORT),
    )
    bar = Widget(Shape.PROGRESS, width=330, height=ROW, pv=PROGRESS, tip="How much of what was asked for is captured")
    counts = (
        control(book.records["DATA:NUM_CAPTURED"], "$(P):DATA:NUM_CAPTURED", NUMBER),
        label("of", 20),
        control(book.records["DATA:NUM_CAPTURE"], "$(P):DATA:NUM_CAPTURE", NUMBER),
    )
    rows = [
        Row("File", side_by_side(buttons)),
        *rows_of(book, {"DATA:STATUS": "Status"}, 330),
        Row("Captured", side_by_side(counts)),
        Row("Progress", (bar,)),
        *rows_of(book, {"DATA:HDF_FULL_FILE_PATH": "Path", "DATA:WRITE_MESSAGE": "Error"}, 330),
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
        headings = (("block", names), ("label", 130), ("health", 60))
        widgets += [widget.at(left + widget.x, widget.y) for widget in grid(headings, sized)]
    return panel("Blocks", widgets)


def _tile(book: Book, instance: str, file: str) -> tuple[Widget, Widget | None, Widget | None]:
    name = link(instance, file, {"P": "$(P)", "R": instance}, tip=f"All of {instance}")
    about = book.records.get(f"{instance}:LABEL")
    health = book.records.get(f"{instance}:HEALTH")
    return (
        name,
        control(about, f"$(P):{about.name}", 130) if about else None,
        control(health, f"$(P):{health.name}", 60) if health else None,
    )


def _wide(widget: Widget, width: int) -> Widget:
    return link(widget.text, widget.file, dict(widget.macros), width, widget.tip)
