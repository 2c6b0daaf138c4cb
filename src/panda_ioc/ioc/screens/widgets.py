"""What a screen is made of: plain data, which can be checked and printed without Phoebus."""

import string
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, auto

#: Characters that XML has no way to hold, or that would begin a macro.
_UNPRINTABLE = dict.fromkeys(range(32), " ") | {0x7F: " ", 0xFFFE: " ", 0xFFFF: " "}


class Shape(Enum):
    """The kinds of widgets that are used."""

    LABEL = auto()
    READ = auto()
    ENTRY = auto()
    COMBO = auto()
    LED = auto()
    SWITCH = auto()
    BUTTON = auto()
    LINK = auto()
    SCRIPT = auto()
    PROGRESS = auto()
    TABLE = auto()
    PLOT = auto()
    STRIP = auto()
    GROUP = auto()


class Style(Enum):
    """How text looks, and what is behind it."""

    PLAIN = auto()
    SMALL = auto()
    TITLE = auto()
    SECTION = auto()
    HEADING = auto()
    PANEL = auto()


@dataclass(frozen=True)
class Trace:
    """A line of a plot. Without `x` it is over time on the wall, or over the number of the sample."""

    name: str
    y: str
    x: str = ""
    step: bool = False
    axis: int = 0


@dataclass(frozen=True)
class Plot:
    """What a plot shows.

    Attributes:
        traces: its lines
        x_title, y_titles: titles of the axes
    """

    traces: tuple[Trace, ...]
    x_title: str = ""
    y_titles: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Rule:
    """A PV that sets a property of a widget.

    Attributes:
        property: the property, as Phoebus names it
        pv: the PV
        cases: a condition and the value for it, both Jython, tried in order; Phoebus expands macros in the condition
            only
    """

    property: str
    pv: str
    cases: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Script:
    """A script in Jython, that Phoebus runs whenever one of its PVs changes: it finds them in `pvs`."""

    text: str
    pvs: tuple[str, ...]


@dataclass(frozen=True)
class Widget:
    """A widget.

    Attributes:
        shape: which it is
        x, y, width, height: where it is in its parent, and its size, in pixels
        text: what is written on it
        pv: what it shows and changes
        tip: what is told when the mouse rests on it
        style: how it looks
        choices: what can be chosen; none where the PV tells
        value: what a button writes
        confirm: what is asked before it does
        is_text: whether its value is text of any length
        units: whether it shows the units of its PV
        alarm: whether its border shows the alarm of its PV
        file, macros: what a link opens, and how; what a group gives to what is in it
        target: where a link opens it: in a "tab" of its own, or in place of this screen, "replace"
        columns: of a table: heading, width, choices
        editable: whether the cells of a table can be changed
        rules: what sets its properties
        plot: what a plot shows
        script: what a button does
        update: what changes the widget with PVs
        children: what is in a group
    """

    shape: Shape
    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0
    text: str = ""
    pv: str = ""
    tip: str = ""
    style: Style = Style.PLAIN
    choices: tuple[str, ...] = ()
    value: str = "1"
    confirm: str = ""
    is_text: bool = False
    units: bool = False
    alarm: bool = True
    file: str = ""
    macros: tuple[tuple[str, str], ...] = ()
    target: str = "tab"
    columns: tuple[tuple[str, int, tuple[str, ...]], ...] = ()
    editable: bool = False
    rules: tuple[Rule, ...] = ()
    plot: Plot | None = None
    script: str = ""
    update: Script | None = None
    children: tuple["Widget", ...] = ()

    def at(self, x: int, y: int) -> "Widget":
        """The same, elsewhere."""
        return replace(self, x=x, y=y)

    @property
    def right(self) -> int:
        """Where it ends."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """Where it ends."""
        return self.y + self.height


@dataclass(frozen=True)
class Screen:
    """A screen.

    Attributes:
        file: the name of its file
        title: what Phoebus writes on its tab
        width, height: its size in pixels
        widgets: what is on it
        macros: what it gives to its widgets where nobody else does
        wants: macros that who opens it has to give
    """

    file: str
    title: str
    widgets: tuple[Widget, ...]
    macros: tuple[tuple[str, str], ...] = ()
    wants: tuple[str, ...] = field(default=())

    @property
    def width(self) -> int:
        """Its size, in pixels."""
        return max((widget.right for widget in self.widgets), default=0) + MARGIN

    @property
    def height(self) -> int:
        """Its size, in pixels."""
        return max((widget.bottom for widget in self.widgets), default=0) + MARGIN

    def all_widgets(self) -> Iterator[Widget]:
        """All that is on it, also in groups."""
        yield from _nested(self.widgets)


def _nested(widgets: tuple[Widget, ...]) -> Iterator[Widget]:
    for widget in widgets:
        yield widget
        yield from _nested(widget.children)


#: Pixels from row to row, of a row, between things, and around all.
PITCH = 26
ROW = 22
GAP = 8
MARGIN = 10

#: Widths of the characters from " " to "~" in thousandths of the size of the font, of Liberation Sans.
_WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *((556,) * 10),
    *(278, 278, 584, 584, 584, 556, 1015),
    *(667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833),
    *(722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611),
    *(278, 278, 278, 469, 556, 333),
    *(556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833),
    *(556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500),
    *(334, 260, 334, 584),
)

#: Size of the font of each style in pixels, and how much wider bold is.
FONTS = {
    Style.PLAIN: (14, 1.0),
    Style.SMALL: (12, 1.0),
    Style.TITLE: (22, 1.08),
    Style.SECTION: (14, 1.08),
    Style.HEADING: (12, 1.0),
    Style.PANEL: (14, 1.0),
}


def text_width(text: str, style: Style = Style.PLAIN) -> int:
    """How many pixels a line of text takes."""
    size, bold = FONTS[style]
    thousandths = sum(_WIDTHS[ord(letter) - 32] if " " <= letter <= "~" else 1000 for letter in text)
    return int(thousandths * size * bold / 1000) + 1


def plain(text: str) -> str:
    """Text from the PandA as a screen can show it: no macros in it, nothing that XML cannot hold."""
    return text.translate(_UNPRINTABLE).replace("$(", "$ (").replace("${", "$ {").strip()


def file_name(name: str) -> str:
    """A name as it can be that of a file."""
    kept = string.ascii_letters + string.digits + "_-"
    return "".join(letter if letter in kept else "_" for letter in name) + ".bob"
