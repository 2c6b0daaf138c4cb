"""The screen of designs: save, load, compare, list. It exists if the IOC has a designs directory."""

from ..plan import designs as designplan
from .forms import columns, control, label, panel, stack, title
from .index import PlanIndex
from .overview import button, record_rows
from .widgets import GAP, MARGIN, ROW, Rule, Screen, Shape, Widget

DESIGNS = "Designs.bob"

_WIDTH = 500

#: The question of the dialog before a design is loaded.
_QUESTION = (("true", '"Replace all settings of the PandA with the design " + pvStr0 + "?"'),)


def designs(index: PlanIndex) -> Screen:
    """Return the screen of designs."""
    name = control(index.records[designplan.NAME], f"$(P):{designplan.NAME}", 220)
    named = [
        label("Name", 50),
        name.at(58, 0),
        button("Save", f"$(P):{designplan.SAVE}", "1", 60, "Save all settings of the PandA as this design").at(286, 0),
        button(
            "Load",
            f"$(P):{designplan.LOAD}",
            "1",
            60,
            "Load this design into the PandA",
            confirm="Replace all settings of the PandA?",
            rules=(Rule("confirm_message", f"pva://$(P):{designplan.NAME}", _QUESTION),),
        ).at(354, 0),
        button(
            "Compare", f"$(P):{designplan.COMPARE}", "1", 80, "Compare the PandA with this design; no setting changes"
        ).at(286, ROW + GAP),
    ]
    rows = {designplan.STATUS: "Status", designplan.LOADED: "Loaded", designplan.SKIP_UNKNOWN: "Skip unknown"}
    state = record_rows(index, rows, 340)
    available = Widget(
        Shape.TABLE,
        width=_WIDTH,
        height=260,
        pv=f"pva://$(P):{designplan.LIST}",
        tip=index.records[designplan.LIST].description,
        columns=(("Design", _WIDTH - 40, ()),),
    )
    differences = Widget(
        Shape.TABLE,
        width=_WIDTH,
        height=260,
        pv=f"pva://$(P):{designplan.DIFF}",
        tip=index.records[designplan.DIFF].description,
        columns=(("Setting", _WIDTH - 40, ()),),
    )
    panels = [
        panel("Save and load", named, _WIDTH + 2 * GAP),
        panel("State", columns(state), _WIDTH + 2 * GAP),
        panel("Differences between the design and the PandA", [differences]),
        panel("Available designs", [available]),
    ]
    return Screen(
        DESIGNS,
        "Designs",
        (*title("Designs"), *stack(panels, MARGIN, MARGIN + ROW + 2 * GAP)),
        macros=(("P", index.plan.prefix),),
    )
