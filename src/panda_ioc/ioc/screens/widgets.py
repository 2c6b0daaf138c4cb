"""Widgets and screens as plain data."""

import string
from dataclasses import dataclass, field, replace
from enum import Enum, auto

#: Characters that XML cannot represent.
_UNPRINTABLE = dict.fromkeys(range(32), " ") | {0x7F: " ", 0xFFFE: " ", 0xFFFF: " "}


class Shape(Enum):
    """The kinds of widgets."""

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
    """Text styles: font and background."""

    PLAIN = auto()
    SMALL = auto()
    TITLE = auto()
    SECTION = auto()
    HEADING = auto()
    PANEL = auto()


@dataclass(frozen=True)
class Trace:
    """A line of a plot.

    Attributes:
        name: name in the legend
        y: PV of the y values
        x: PV of the x values; "" for the time of each update in a strip chart, or the sample number in a plot
        step: whether the line has steps
        axis: number of the y axis
    """

    name: str
    y: str
    x: str = ""
    step: bool = False
    axis: int = 0


@dataclass(frozen=True)
class Plot:
    """The content of a plot.

    Attributes:
        traces: the lines
        x_title: title of the x axis
        y_titles: titles of the y axes
    """

    traces: tuple[Trace, ...]
    x_title: str = ""
    y_titles: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Rule:
    """A rule of Phoebus: the value of a PV sets a property of a widget.

    Attributes:
        property: the Phoebus name of the property
        pv: the PV
        cases: pairs of a condition and a value as Jython expressions; the first true condition applies. Phoebus
            expands macros in conditions only.
    """

    property: str
    pv: str
    cases: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Script:
    """A Jython script that Phoebus runs when one of `pvs` changes; the script reads them from its variable `pvs`."""

    text: str
    pvs: tuple[str, ...]


@dataclass(frozen=True)
class Widget:
    """A widget.

    Attributes:
        shape: the kind of widget
        x: distance from the left of the parent, in pixels
        y: distance from the top of the parent, in pixels
        width: width in pixels
        height: height in pixels
        text: the text of a label, button or panel
        pv: the PV that the widget shows or changes
        tip: the tooltip
        style: the text style
        choices: the choices of a drop-down or switch; () if Phoebus reads them from the PV
        value: the value that a button writes
        confirm: the question of the confirmation dialog of a button; "" for none
        is_text: whether the value is text of any length
        units: whether the widget shows the units of the PV
        alarm: whether the border shows the alarm of the PV
        file: the screen that a link opens
        macros: the macros for the screen of a link or for the children of a group
        target: where a link opens its screen: in a new "tab", or "replace" for the current one
        columns: heading, width in pixels and choices of each table column
        editable: whether the cells of a table can be changed
        rules: rules for properties
        plot: the content of a plot
        script: the script that a button runs
        update: a script that updates the widget when PVs change
        children: the widgets in a group
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
        """Return a copy at another position."""
        return replace(self, x=x, y=y)

    @property
    def right(self) -> int:
        """The x of the right edge, in pixels."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The y of the bottom edge, in pixels."""
        return self.y + self.height


@dataclass(frozen=True)
class Screen:
    """A screen.

    Attributes:
        file: the file name
        title: the title of its tab in Phoebus
        widgets: the widgets
        macros: default values of macros
        required_macros: macros that a link must set
    """

    file: str
    title: str
    widgets: tuple[Widget, ...]
    macros: tuple[tuple[str, str], ...] = ()
    required_macros: tuple[str, ...] = field(default=())

    @property
    def width(self) -> int:
        """Width in pixels."""
        return max((widget.right for widget in self.widgets), default=0) + MARGIN

    @property
    def height(self) -> int:
        """Height in pixels."""
        return max((widget.bottom for widget in self.widgets), default=0) + MARGIN


#: Distance between rows, height of a row, gap between widgets, margin of a screen, in pixels.
PITCH = 26
ROW = 22
GAP = 8
MARGIN = 10

#: Widths of the characters from " " to "~" in Liberation Sans, in thousandths of the font size.
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

#: Font size in pixels and width factor (bold is wider) of each style.
FONTS = {
    Style.PLAIN: (14, 1.0),
    Style.SMALL: (12, 1.0),
    Style.TITLE: (22, 1.08),
    Style.SECTION: (14, 1.08),
    Style.HEADING: (12, 1.0),
    Style.PANEL: (14, 1.0),
}


def text_width(text: str, style: Style = Style.PLAIN) -> int:
    """Return the width of a line of text in pixels."""
    size, bold = FONTS[style]
    thousandths = sum(_WIDTHS[ord(letter) - 32] if " " <= letter <= "~" else 1000 for letter in text)
    return int(thousandths * size * bold / 1000) + 1


def plain(text: str) -> str:
    """Return text from the PandA without macros and without characters that XML cannot represent."""
    return text.translate(_UNPRINTABLE).replace("$(", "$ (").replace("${", "$ {").strip()


def file_name(name: str) -> str:
    """Return a valid file name for a screen."""
    kept = string.ascii_letters + string.digits + "_-"
    return "".join(letter if letter in kept else "_" for letter in name) + ".bob"
