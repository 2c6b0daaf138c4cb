"""The wiring: which output drives which input, for all inputs that are connected."""

from ..plan.record import Record
from ..plan.rules import BIT_CHOICES, POSITION_CHOICES
from .book import Book
from .forms import panel, title
from .widgets import GAP, MARGIN, ROW, Screen, Script, Shape, Widget, plain, text_width

WIRING = "Wiring.bob"

#: What an input is set to that nothing drives.
_NOTHING = "ZERO"

#: Pixels of the table from top to bottom, of what is beside its columns, and of the texts in it.
_HEIGHT, _BAR, _WIDE = 640, 24, 560

#: Lists the connections, sorted by output; PVs and inputs are in the same order.
_LIST = """\
from __future__ import unicode_literals
from org.csstudio.display.builder.runtime.script import PVUtil

INPUTS = {inputs!a}
driven = [(PVUtil.getString(pv), name, text) for pv, (name, text) in zip(pvs, INPUTS)]
widget.setValue([list(row) for row in sorted(driven) if row[0] != {nothing!a}])
"""


def wiring(book: Book) -> Screen:
    """A table of all connections, kept up to date by a script."""
    inputs = [record for records in book.blocks.values() for record in records if is_input(record)]
    named = [(name_of(record), plain(record.description)) for record in inputs]
    names = max(text_width(name) for name, _ in named) + 2 * GAP
    columns = (("Output", names, ()), ("drives", names, ()), ("What the input does", _WIDE, ()))
    table = Widget(
        Shape.TABLE,
        width=sum(width for _, width, _ in columns) + _BAR,
        height=_HEIGHT,
        tip="All inputs that are connected",
        columns=columns,
        update=Script(
            _LIST.format(inputs=named, nothing=_NOTHING), tuple(f"pva://$(P):{record.name}" for record in inputs)
        ),
    )
    shown = panel("Inputs that are connected", [table]).at(MARGIN, MARGIN + ROW + 2 * GAP)
    return Screen(WIRING, "Wiring", (*title("Wiring"), shown), macros=(("P", book.plan.prefix),))


def is_input(record: Record) -> bool:
    """Whether a record says which output drives an input."""
    return record.choices_record in {BIT_CHOICES, POSITION_CHOICES}


def name_of(record: Record) -> str:
    """The name of an input as the PandA has it: "PULSE1.TRIG"."""
    return record.name.replace(":", ".")
