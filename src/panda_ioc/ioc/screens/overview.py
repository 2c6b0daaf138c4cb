"""The first screen: connection, acquisition, file, health of all blocks, links to all other screens."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..plan import status
from ..plan.record import Record
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
from .index import BlockType, PlanIndex
from .widgets import GAP, MARGIN, ROW, Rule, Screen, Shape, Style, Widget, text_width

#: Widths of the label and the health of a block in pixels.
_LABEL, _HEALTH = 220, 80

#: Number of block columns.
_BLOCK_COLUMNS = 4

_SYSTEM = ("PANDA_SW_VERSION", "FPGA_VERSION", "ROOTFS_VERSION", "IOC_VERSION")
_VERSIONS = ("Server", "FPGA", "Root file system", "IOC")

#: The value of the progress bar in percent; it stays empty if NUM_CAPTURE is 0.
PROGRESS = "=100 * `$(P):DATA:NUM_CAPTURED` / max(1, `$(P):DATA:NUM_CAPTURE`)"


@dataclass(frozen=True)
class BlockScreen:
    """A block type and the file name of its screen."""

    block_type: BlockType
    file: str


def overview(index: PlanIndex, blocks: tuple[BlockScreen, ...], others: Mapping[str, str]) -> Screen:
    """Return the first screen.

    Args:
        index: the records of the plan
        blocks: the screens of the block types
        others: file names of all other screens by link text
    """
    head = (
        label("PandA  $(P)", 560, Style.TITLE, height=ROW + 6).at(MARGIN, MARGIN - 2),
        *(
            widget.at(MARGIN + 580 + widget.x, MARGIN)
            for widget in side_by_side([link(text, file, {"P": "$(P)"}, 110) for text, file in others.items()], GAP)
        ),
    )
    statistics = {
        status.UPTIME: "Uptime",
        status.RECONNECTS: "Reconnects",
        status.PUTS_ACCEPTED: "Puts accepted",
        status.PUTS_REFUSED: "Puts refused",
        status.POLL_PERIOD: "Poll period",
    }
    panels = [_panda(index), _acquisition(index), _file(index), panel("IOC", columns(record_rows(index, statistics)))]
    top = flow(panels, 1900, MARGIN + ROW + 2 * GAP)
    listed = _blocks(index, blocks)
    wide = max(listed.right, *(one.right - MARGIN for one in top))
    refused = last_refused(index, wide).at(MARGIN, max(one.bottom for one in top) + GAP)
    widgets = (*head, *top, refused, listed.at(MARGIN, refused.bottom + GAP))
    return Screen(OVERVIEW, f"PandA {index.plan.prefix}", widgets, macros=(("P", index.plan.prefix),))


def last_refused(index: PlanIndex, width: int) -> Widget:
    """Return the panel of the last refused put, for all screens with many settings."""
    shown = control(index.records[status.LAST_REFUSED], f"$(P):{status.LAST_REFUSED}", width - 2 * GAP)
    return panel("Last refused put", [shown], width)


def record_rows(index: PlanIndex, named: Mapping[str, str], width: int = 0) -> list[Row]:
    """Return a row for each record that the plan has.

    Args:
        index: the records of the plan
        named: texts for the rows by record name
        width: width of text widgets in pixels, 0 for the default
    """
    return [
        row(record, lambda name: f"$(P):{name}", text, _readback(index, record), width if record.kind.is_text else 0)
        for name, text in named.items()
        if (record := index.records.get(name))
    ]


def _readback(index: PlanIndex, record: Record) -> Mapping[str, Record]:
    """Return the readback of a record by name, if the plan has it."""
    name = readback_of(record.name)
    return {name: index.records[name]} if name in index.records else {}


def button(
    text: str, pv: str, value: str, width: int, tip: str, *, confirm: str = "", rules: tuple[Rule, ...] = ()
) -> Widget:
    """Return a button that writes a value, after a confirmation dialog if `confirm` is set."""
    made = Widget(Shape.BUTTON, width=width, height=ROW, text=text, pv=pv, value=value, tip=tip)
    return replace(made, confirm=confirm, rules=rules)


def capture_row() -> Row:
    """Return the row that starts and stops a capture and shows whether one runs."""
    pv = "$(P):DATA:CAPTURE"
    buttons = (
        button("Capture", pv, "1", 90, "Start a capture to a file"),
        button("Stop", pv, "0", 90, "Stop the capture"),
        Widget(Shape.LED, y=2, width=LED, height=LED, pv=pv, tip="On while a capture runs"),
    )
    return Row("Capture", side_by_side(buttons))


def _panda(index: PlanIndex) -> Widget:
    named = {
        status.CONNECTION: "Connection",
        status.CONNECTION_TEXT: "Message",
        **{f"SYSTEM:{name}": text for name, text in zip(_SYSTEM, _VERSIONS, strict=True)},
    }
    return panel("PandA", columns(record_rows(index, named, 340)))


def _acquisition(index: PlanIndex) -> Widget:
    """Return the panel of the acquisition: arm, disarm, state, rate."""
    rows = record_rows(index, {"PCAP:ACTIVE": "Active", "PCAP:HEALTH": "Health"}, 170)
    if "PCAP:ARM" in index.records:
        pv = "$(P):PCAP:ARM"
        buttons = (
            button("Arm", pv, "1", 80, "Arm PCAP"),
            button("Disarm", pv, "0", 80, "Disarm PCAP"),
        )
        rows.insert(0, Row("PCAP", side_by_side(buttons)))
    named = {
        "DATA:END_REASON": "End reason",
        "DATA:LIVE:NUM_SAMPLES": "Samples",
        "DATA:RATE": "Sample rate",
        "DATA:CONNECTION": "Data connection",
    }
    return panel("Acquisition", columns(rows + record_rows(index, named, 170)))


def _file(index: PlanIndex) -> Widget:
    """Return the panel of the capture to a file: state, progress, error."""
    bar = Widget(
        Shape.PROGRESS, width=480, height=ROW, pv=PROGRESS, tip="Captured samples as a percentage of NUM_CAPTURE"
    )
    counts = (
        control(index.records["DATA:NUM_CAPTURED"], "$(P):DATA:NUM_CAPTURED", NUMBER),
        label("of", 20, tip="0 = unlimited"),
        control(index.records["DATA:NUM_CAPTURE"], "$(P):DATA:NUM_CAPTURE", NUMBER),
    )
    rows = [
        capture_row(),
        *record_rows(index, {"DATA:STATUS": "Status"}, 480),
        Row("Captured", side_by_side(counts)),
        Row("Progress", (bar,)),
        *record_rows(index, {"DATA:HDF_FULL_FILE_PATH": "Path", "DATA:WRITE_MESSAGE": "Error"}, 480),
    ]
    return panel("File", columns(rows))


def _blocks(index: PlanIndex, block_screens: tuple[BlockScreen, ...]) -> Widget:
    """Return the panel of all block instances: link to the screen, label, health."""
    tiles = [_tile(index, instance, item.file) for item in block_screens for instance in item.block_type.instances]
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


def _tile(index: PlanIndex, instance: str, file: str) -> tuple[Widget, Widget | None, Widget | None]:
    macros = {"P": "$(P)", "R": instance}
    name = link(instance, file, macros, text_width(instance) + 16, f"Open the screen of {instance}")
    about = index.records.get(f"{instance}:LABEL")
    health = index.records.get(f"{instance}:HEALTH")
    return (
        name,
        _shown(about, _LABEL) if about else None,
        _shown(health, _HEALTH) if health else None,
    )


def _shown(record: Record, width: int) -> Widget:
    """Return a small text widget; its tooltip shows the complete text."""
    is_text = record.kind.is_long_text
    tip = tip_of(record)
    pv = f"$(P):{record.name}"
    return Widget(Shape.READ, width=width, height=ROW, pv=pv, tip=tip, style=Style.SMALL, is_text=is_text)


def _wide(widget: Widget, width: int) -> Widget:
    return link(widget.text, widget.file, dict(widget.macros), width, widget.tip)
