"""Whole setups of the PandA: save one, load one, see which there are. Only where the IOC keeps designs."""

from ..plan import designs as designplan
from .book import Book
from .forms import columns, control, label, panel, stack
from .overview import button, rows_of
from .widgets import GAP, MARGIN, ROW, Screen, Shape, Style, Widget

DESIGNS = "Designs.bob"

_WIDTH = 420


def designs(book: Book) -> Screen:
    """All about designs."""
    name = control(book.records[designplan.NAME], f"$(P):{designplan.NAME}", 220)
    named = [
        label("Name", 50),
        name.at(58, 0),
        button("Save", f"$(P):{designplan.SAVE}", "1", 60, "Save all settings under the name").at(286, 0),
        button(
            "Load",
            f"$(P):{designplan.LOAD}",
            "1",
            60,
            "Load the settings of that name",
            confirm="Replace all settings of the PandA?",
        ).at(354, 0),
        button("Compare", f"$(P):{designplan.COMPARE}", "1", 80, "Compare the PandA with that name; nothing is set").at(
            286, ROW + GAP
        ),
    ]
    state = rows_of(book, {designplan.STATUS: "Status", designplan.LOADED: "Loaded"}, 340)
    there = Widget(
        Shape.TABLE,
        width=_WIDTH,
        height=260,
        pv=f"pva://$(P):{designplan.LIST}",
        tip=book.records[designplan.LIST].description,
    )
    differs = Widget(
        Shape.TABLE,
        width=_WIDTH,
        height=260,
        pv=f"pva://$(P):{designplan.DIFF}",
        tip=book.records[designplan.DIFF].description,
    )
    panels = [
        panel("Save and load", named, _WIDTH + 2 * GAP),
        panel("State", columns(state), _WIDTH + 2 * GAP),
        panel("From the design to the PandA, when compared", [differs]),
        panel("Designs that there are", [there]),
    ]
    head = label("Designs  $(P)", 440, Style.TITLE, height=ROW + 6).at(MARGIN, MARGIN - 2)
    return Screen(
        DESIGNS,
        "Designs",
        (head, *stack(panels, MARGIN, MARGIN + ROW + 2 * GAP)),
        macros=(("P", book.plan.prefix),),
    )
