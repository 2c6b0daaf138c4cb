"""Screens of whole buses: all bits, all positions."""

from .blocks import POSITIONS, capture_table
from .book import Book
from .forms import LED, control, flow, label, panel
from .forms import title as heading
from .widgets import GAP, MARGIN, PITCH, ROW, Screen, Style, Widget, plain, text_width

BITS = "Bit_Bus.bob"

#: Bits of a word, each captured as a whole.
_WORD = 32


def bits(book: Book) -> Screen:
    """All bits of the bus, a column for each word, with what is captured of it."""
    numbers = [number for number in range(4 * _WORD) if f"BITS:{number}:CAPTURE" in book.records]
    words = [numbers[first : first + _WORD] for first in range(0, len(numbers), _WORD)]
    panels = [_word(book, word) for word in words]
    return _screen(book, BITS, "Bits", flow(panels, 10000, MARGIN + ROW + 2 * GAP))


def positions(book: Book) -> Screen:
    """All that can be captured, with what is captured of it."""
    groups = (
        ("Positions", [one for one in book.captured if one.is_position]),
        ("Others", [one for one in book.captured if not one.is_position]),
    )
    panels = [
        panel(title, capture_table(book, chosen, lambda name: f"$(P):{name}")) for title, chosen in groups if chosen
    ]
    return _screen(book, POSITIONS, "Positions", flow(panels, 10000, MARGIN + ROW + 2 * GAP))


def _word(book: Book, numbers: list[int]) -> Widget:
    names = {
        number: plain(str(book.records[f"BITS:{number}:NAME"].constant)) for number in numbers if _named(book, number)
    }
    wide = max([text_width(name) for name in names.values()] + [text_width("Capture") + 120])
    capture = book.records[f"BITS:{numbers[0]}:CAPTURE"]
    widgets = [
        label("Capture", text_width("Capture") + 4),
        control(capture, f"$(P):{capture.name}", 100).at(text_width("Capture") + 12, 0),
    ]
    for row, number in enumerate(numbers, start=1):
        y = row * (PITCH - 3) + 6
        if number in names:
            widgets.append(label(str(number), 28, Style.SMALL).at(0, y))
            widgets.append(control(book.records[f"BITS:{number}:VAL"], f"$(P):BITS:{number}:VAL").at(32, y + 2))
            tip = plain(book.records[f"BITS:{number}:VAL"].description)
            widgets.append(label(names[number], wide, tip=tip).at(32 + LED + GAP, y))
    return panel(capture.name.removesuffix(":CAPTURE"), widgets)


def _named(book: Book, number: int) -> bool:
    return f"BITS:{number}:NAME" in book.records and f"BITS:{number}:VAL" in book.records


def _screen(book: Book, file: str, title: str, panels: list[Widget]) -> Screen:
    return Screen(file, title, (*heading(title), *panels), macros=(("P", book.plan.prefix),))
