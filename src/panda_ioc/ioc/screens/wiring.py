"""The wiring screen: the output that drives each connected input."""

from ..plan.record import Record
from ..plan.rules import BIT_CHOICES, POSITION_CHOICES
from .forms import panel, title
from .index import PlanIndex
from .widgets import GAP, MARGIN, ROW, Screen, Script, Shape, Widget, plain, text_width

WIRING = "Wiring.bob"

#: The setting of an input that is not connected.
_UNCONNECTED = "ZERO"

#: Height of the table, width of its scroll bar, width of the descriptions, in pixels.
_HEIGHT, _SCROLL_BAR, _DESCRIPTION = 640, 24, 560

#: A script that lists the connections, sorted by output; PVs and inputs have the same order.
_LIST = """\
from __future__ import unicode_literals
from org.csstudio.display.builder.runtime.script import PVUtil

INPUTS = {inputs!a}
driven = [(PVUtil.getString(pv), name, text) for pv, (name, text) in zip(pvs, INPUTS)]
widget.setValue([list(row) for row in sorted(driven) if row[0] != {nothing!a}])
"""


def wiring(index: PlanIndex) -> Screen:
    """Return the screen with a table of all connections, which a script updates."""
    inputs = [record for records in index.blocks.values() for record in records if is_input(record)]
    named = [(name_of(record), plain(record.description)) for record in inputs]
    names = max(text_width(name) for name, _ in named) + 2 * GAP
    columns = (("Output", names, ()), ("Input", names, ()), ("Description of the input", _DESCRIPTION, ()))
    table = Widget(
        Shape.TABLE,
        width=sum(width for _, width, _ in columns) + _SCROLL_BAR,
        height=_HEIGHT,
        tip="All connected inputs",
        columns=columns,
        update=Script(
            _LIST.format(inputs=named, nothing=_UNCONNECTED), tuple(f"pva://$(P):{record.name}" for record in inputs)
        ),
    )
    shown = panel("Connected inputs", [table]).at(MARGIN, MARGIN + ROW + 2 * GAP)
    return Screen(WIRING, "Wiring", (*title("Wiring"), shown), macros=(("P", index.plan.prefix),))


def is_input(record: Record) -> bool:
    """Return whether a record selects the output that drives an input."""
    return record.choices_record in {BIT_CHOICES, POSITION_CHOICES}


def name_of(record: Record) -> str:
    """Return the PandA name of an input, such as "PULSE1.TRIG"."""
    return record.name.replace(":", ".")
