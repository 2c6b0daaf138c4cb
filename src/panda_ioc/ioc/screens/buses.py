"""Screens of the bit bus and of the position bus."""

from .blocks import POSITIONS, capture_table
from .forms import LED, control, flow, label, panel
from .forms import title as heading
from .index import PlanIndex
from .widgets import GAP, MARGIN, PITCH, ROW, Screen, Style, Widget, plain, text_width

BITS = "Bit_Bus.bob"

#: Number of bits that the PandA captures together.
_WORD = 32


def bits(index: PlanIndex) -> Screen:
    """Return the screen of the bit bus: one panel for each word, with its capture setting."""
    numbers = [number for number in range(4 * _WORD) if f"BITS:{number}:CAPTURE" in index.records]
    words = [numbers[first : first + _WORD] for first in range(0, len(numbers), _WORD)]
    panels = [_word(index, word) for word in words]
    return _screen(index, BITS, "Bits", flow(panels, 10000, MARGIN + ROW + 2 * GAP))


def positions(index: PlanIndex) -> Screen:
    """Return the screen of all capturable fields with their capture settings."""
    groups = (
        ("Positions", [one for one in index.captured if one.is_position]),
        ("Other fields", [one for one in index.captured if not one.is_position]),
    )
    panels = [
        panel(title, capture_table(index, chosen, lambda name: f"$(P):{name}")) for title, chosen in groups if chosen
    ]
    return _screen(index, POSITIONS, "Positions", flow(panels, 10000, MARGIN + ROW + 2 * GAP))


def _word(index: PlanIndex, numbers: list[int]) -> Widget:
    names = {
        number: plain(str(index.records[f"BITS:{number}:NAME"].constant)) for number in numbers if _named(index, number)
    }
    wide = max([text_width(name) for name in names.values()] + [text_width("Capture") + 120])
    capture = index.records[f"BITS:{numbers[0]}:CAPTURE"]
    widgets = [
        label("Capture", text_width("Capture") + 4),
        control(capture, f"$(P):{capture.name}", 100).at(text_width("Capture") + 12, 0),
    ]
    for row, number in enumerate(numbers, start=1):
        y = row * (PITCH - 3) + 6
        if number in names:
            widgets.append(label(str(number), 28, Style.SMALL).at(0, y))
            widgets.append(control(index.records[f"BITS:{number}:VAL"], f"$(P):BITS:{number}:VAL").at(32, y + 2))
            tip = plain(index.records[f"BITS:{number}:VAL"].description)
            widgets.append(label(names[number], wide, tip=tip).at(32 + LED + GAP, y))
    return panel(capture.name.removesuffix(":CAPTURE"), widgets)


def _named(index: PlanIndex, number: int) -> bool:
    return f"BITS:{number}:NAME" in index.records and f"BITS:{number}:VAL" in index.records


def _screen(index: PlanIndex, file: str, title: str, panels: list[Widget]) -> Screen:
    return Screen(file, title, (*heading(title), *panels), macros=(("P", index.plan.prefix),))
