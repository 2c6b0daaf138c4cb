"""Whole setups of the PandA: save one, load one, see which there are. Only where the IOC keeps designs."""

from ..plan import designs as designplan
from .book import Book
from .forms import columns, control, label, panel, stack, title
from .overview import button, rows_of
from .widgets import GAP, MARGIN, ROW, Rule, Screen, Shape, Widget

DESIGNS = "Designs.bob"

_WIDTH = 500

#: What is asked before a design is loaded.
_QUESTION = (("true", '"Replace all settings of the PandA by the design " + pvStr0 + "?"'),)


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
            rules=(Rule("confirm_message", f"pva://$(P):{designplan.NAME}", _QUESTION),),
        ).at(354, 0),
        button("Compare", f"$(P):{designplan.COMPARE}", "1", 80, "Compare the PandA with that name; nothing is set").at(
            286, ROW + GAP
        ),
    ]
    rows = {designplan.STATUS: "Status", designplan.LOADED: "Loaded", designplan.SKIP_UNKNOWN: "Skip unknown"}
    state = rows_of(book, rows, 340)
    there = Widget(
        Shape.TABLE,
        width=_WIDTH,
        height=260,
        pv=f"pva://$(P):{designplan.LIST}",
        tip=book.records[designplan.LIST].description,
        columns=(("Design", _WIDTH - 40, ()),),
    )
    differs = Widget(
        Shape.TABLE,
        width=_WIDTH,
        height=260,
        pv=f"pva://$(P):{designplan.DIFF}",
        tip=book.records[designplan.DIFF].description,
        columns=(("Setting", _WIDTH - 40, ()),),
    )
    panels = [
        panel("Save and load", named, _WIDTH + 2 * GAP),
        panel("State", columns(state), _WIDTH + 2 * GAP),
        panel("From the design to the PandA, when compared", [differs]),
        panel("Designs that there are", [there]),
    ]
    return Screen(
        DESIGNS,
        "Designs",
        (*title("Designs"), *stack(panels, MARGIN, MARGIN + ROW + 2 * GAP)),
        macros=(("P", book.plan.prefix),),
    )
