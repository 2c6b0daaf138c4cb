"""Screens as `.bob`, with phoebusgen: the only module that knows it.

All colours and fonts are named, so that a site's own definitions are followed.
"""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from typing import Any

import phoebusgen
from phoebusgen import screen as pg_screen
from phoebusgen import widget as pg

from .widgets import Plot, Screen, Shape, Style, Trace, Widget

#: Font, colour of text, and colour behind it, by name; none where Phoebus has its own.
_STYLES: Mapping[Style, tuple[str, str, str]] = {
    Style.PLAIN: ("Default", "Text", ""),
    Style.SMALL: ("FinePrint", "Text", ""),
    Style.TITLE: ("Header1", "Text", ""),
    Style.SECTION: ("DefaultBold", "Header_ForeGround", "Header_Background"),
    Style.HEADING: ("FinePrint", "Text", ""),
    Style.PANEL: ("Default", "Text", "Background"),
}

#: What is behind all panels.
_BEHIND = "Read_Background"

#: For the arguments of phoebusgen, which have no names.
ON, OFF = True, False

#: Colours of lines, that people who see few colours can tell apart.
_LINES = ((0, 90, 181), (220, 50, 32), (0, 158, 115), (230, 159, 0), (86, 180, 233), (204, 121, 167))


def bob(screen: Screen) -> str:
    """A screen as the text of a `.bob` file."""
    made = pg_screen.Screen(screen.title)
    made.width(screen.width)
    made.height(screen.height)
    for name, value in screen.macros:
        made.macro(name, value)
    _coloured(made.predefined_background_color, _BEHIND)
    made.add_widget([_made(widget, index) for index, widget in enumerate(screen.widgets)])
    ET.indent(made.root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(made.root, encoding="unicode") + "\n"


def _made(widget: Widget, index: int) -> Any:
    made = _SHAPES[widget.shape](widget, _name(widget, index), (widget.x, widget.y, widget.width, widget.height))
    if widget.tip:
        made.tool_tip(widget.tip)
    return made


def _name(widget: Widget, index: int) -> str:
    """What it is called in the editor, and by scripts."""
    if widget.shape is Shape.TABLE:
        return "Table"
    return widget.pv or widget.text or f"{widget.shape.name.title()} {index}"


def _styled(made: Any, widget: Widget) -> Any:
    _, text, behind = _STYLES[widget.style]
    _font(made, widget)
    _coloured(made.predefined_foreground_color, text)
    if behind:
        _coloured(made.predefined_background_color, behind)
        made.transparent(OFF)
    return made


def _font(made: Any, widget: Widget) -> None:
    font, _, _ = _STYLES[widget.style]
    if font in phoebusgen.fonts.__members__:
        made.predefined_font(phoebusgen.fonts[font])


def _coloured(property_of: Callable[[Any], None], name: str) -> None:
    """Give a named colour; a site that has none of that name has its reasons."""
    if name in phoebusgen.colors.__members__:
        property_of(phoebusgen.colors[name])


def _label(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = _styled(pg.Label(name, widget.text, *place), widget)
    made.vertical_alignment_middle()
    if widget.style is Style.SECTION:
        made.text(f"\N{NO-BREAK SPACE}{widget.text}")
    return made


def _read(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = pg.TextUpdate(name, widget.pv, *place)
    made.vertical_alignment_middle()
    made.show_units(widget.units)
    _font(made, widget)
    return _text(made, widget)


def _entry(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = pg.TextEntry(name, widget.pv, *place)
    made.show_units(widget.units)
    return _text(made, widget)


def _text(made: Any, widget: Widget) -> Any:
    if widget.is_text:
        made.format("string")
    return made


def _combo(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = pg.ComboBox(name, widget.pv, *place)
    made.items_from_pv(not widget.choices)
    for choice in widget.choices:
        made.item(choice)
    return made


def _led(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = pg.LED(name, widget.pv, *place)
    _coloured(made.predefined_on_color, "OK")
    _coloured(made.predefined_off_color, "Off")
    return made


def _switch(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = pg.BooleanButton(name, widget.pv, *place)
    made.off_label(widget.choices[0])
    made.on_label(widget.choices[1])
    return made


def _button(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = pg.ActionButton(name, widget.text, widget.pv, *place)
    made.alarm_border(OFF)  # what can only be written is in alarm until it is
    made.action_write_pv("$(pv_name)", widget.value, widget.text)
    if widget.confirm:
        made.confirmation_dialog(widget.confirm)
    return made


def _link(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = pg.ActionButton(name, widget.text, "", *place)
    made.action_open_display(widget.file, "tab", widget.tip, dict(widget.macros))
    return made


def _script(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = pg.ActionButton(name, widget.text, "", *place)
    made.action_execute_python_script(widget.script, widget.text)
    return made


def _progress(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = pg.ProgressBar(name, widget.pv, *place)
    made.limits_from_pv(OFF)
    made.minimum(0)
    made.maximum(100)
    return made


def _table(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = pg.Table(name, widget.pv, *place)
    editable = bool(widget.columns)
    made.show_toolbar(editable)
    made.editable(editable)
    for heading, width, choices in widget.columns:
        made.column(heading, width, ON, list(choices) or None)
    return made


def _plot(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = pg.XYPlot(name, *place)
    shown = widget.plot or Plot(())
    axis = pg.XYPlotXAxis()
    axis.title(shown.x_title)
    axis.auto_scale(ON)
    axis.show_grid(ON)
    made.add_x_axis(axis)
    for index, title in enumerate(shown.y_titles):
        made.add_y_axis(_y_axis(pg.XYPlotYAxis(), title))
        if index:
            made.root.find("y_axes")[-1].append(ET.fromstring("<on_right>true</on_right>"))  # noqa: S314 - ours
    for index, trace in enumerate(shown.traces):
        made.add_trace(_xy_trace(trace, index))
    for number, (prop, pv, names) in enumerate(shown.rules):
        made.rule(f"Chosen {number + 1}", prop, {pv: True}, dict(names), ON)
    return _titled(made, widget)


def _xy_trace(trace: Trace, index: int) -> Any:
    made = _trace(pg.XYPlotTrace(), trace, index)
    made.x_pv(trace.x)
    if trace.step:
        made.trace_type_step()
    return made


def _strip(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = pg.StripChart(name, *place)
    shown = widget.plot or Plot(())
    for title in shown.y_titles:
        made.add_y_axis(_y_axis(pg.StripChartYAxis(), title))
    for index, trace in enumerate(shown.traces):
        made.add_trace(_trace(pg.StripChartTrace(), trace, index))
    made.time_range("5 minutes")
    made.show_legend(ON)
    return _titled(made, widget)


def _titled(made: Any, widget: Widget) -> Any:
    if widget.text:
        made.title(widget.text)
    return made


def _y_axis(axis: Any, title: str) -> Any:
    axis.title(title)
    axis.auto_scale(ON)
    axis.show_grid(ON)
    return axis


def _trace(made: Any, trace: Trace, index: int) -> Any:
    made.name(trace.name)
    made.y_pv(trace.y)
    made.axis(trace.axis)
    made.color(*_LINES[index % len(_LINES)])
    made.line_width(2)
    return made


def _group(widget: Widget, name: str, place: tuple[int, ...]) -> Any:
    made = _styled(pg.Group(name, *place), widget)
    made.no_style()
    for macro, value in widget.macros:
        made.macro(macro, value)
    made.add_widget([_made(child, index) for index, child in enumerate(widget.children)])
    return made


_SHAPES: Mapping[Shape, Callable[[Widget, str, tuple[int, ...]], Any]] = {
    Shape.LABEL: _label,
    Shape.READ: _read,
    Shape.ENTRY: _entry,
    Shape.COMBO: _combo,
    Shape.LED: _led,
    Shape.SWITCH: _switch,
    Shape.BUTTON: _button,
    Shape.LINK: _link,
    Shape.SCRIPT: _script,
    Shape.PROGRESS: _progress,
    Shape.TABLE: _table,
    Shape.PLOT: _plot,
    Shape.STRIP: _strip,
    Shape.GROUP: _group,
}
