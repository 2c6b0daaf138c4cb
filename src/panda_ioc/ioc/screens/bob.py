"""A writer of `.bob` files with the widget names and versions of Phoebus 5.

A table maps each shape to its Phoebus widget type and to a function that returns its properties. Colours and fonts
have names, so a site can redefine them; the values stored with the names are the defaults of Phoebus.
"""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .widgets import FONTS, Plot, Rule, Screen, Script, Shape, Style, Trace, Widget


@dataclass(frozen=True)
class _Node:
    """An XML element with attributes."""

    attributes: Mapping[str, str]
    content: "_Inside" = ()


#: The content of an element: text, or its children as a mapping or as pairs.
_Inside = str | int | bool | Mapping[str, "_Content"] | Sequence[tuple[str, "_Content"]]
#: Content with or without attributes; None omits the element.
_Content = _Inside | _Node | None
_Properties = dict[str, _Content]

#: RGB values by colour name.
_COLOURS: Mapping[str, tuple[int, int, int]] = {
    "Background": (255, 255, 255),
    "Header_Background": (77, 77, 77),
    "Header_ForeGround": (255, 255, 255),
    "OK": (0, 255, 0),
    "Off": (60, 100, 60),
    "Read_Background": (240, 240, 240),
    "Text": (0, 0, 0),
}

#: Font name, font weight, text colour, background colour ("" = transparent).
_STYLES: Mapping[Style, tuple[str, str, str, str]] = {
    Style.PLAIN: ("Default", "REGULAR", "Text", ""),
    Style.SMALL: ("Fine Print", "REGULAR", "Text", ""),
    Style.TITLE: ("Header 1", "BOLD", "Text", ""),
    Style.SECTION: ("Default Bold", "BOLD", "Header_ForeGround", "Header_Background"),
    Style.HEADING: ("Fine Print", "REGULAR", "Text", ""),
    Style.PANEL: ("Default", "REGULAR", "Text", "Background"),
}

#: Trace colours that colour-blind users can distinguish.
_LINES = ((0, 90, 181), (220, 50, 32), (0, 158, 115), (230, 159, 0), (86, 180, 233), (204, 121, 167))

#: Enumeration values of Phoebus: vertical alignment, group style, text format, trace type.
_MIDDLE, _NO_FRAME, _AS_STRING, _STEP = 1, 3, 6, 2


def bob(screen: Screen) -> str:
    """Return a screen as the text of a `.bob` file."""
    root = ET.Element("display", version="2.0.0")
    properties: _Properties = {
        "name": screen.title,
        "macros": dict(screen.macros) or None,
        "width": screen.width,
        "height": screen.height,
        "background_color": _colour("Read_Background"),
    }
    _add(root, properties.items())
    _add_widgets(root, screen.widgets)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _add_widgets(parent: ET.Element, widgets: Iterable[Widget]) -> None:
    for index, widget in enumerate(widgets):
        kind, version, properties_of = _TYPES[widget.shape]
        properties: _Properties = {
            "name": _name(widget, index),
            "x": widget.x,
            "y": widget.y,
            "width": widget.width,
            "height": widget.height,
            "tooltip": widget.tip or None,
            "rules": [("rule", _rule(rule)) for rule in widget.rules] or None,
            "scripts": {"script": _update(widget.update)} if widget.update else None,
            **properties_of(widget),
        }
        element = ET.SubElement(parent, "widget", type=kind, version=version)
        _add(element, properties.items())
        _add_widgets(element, widget.children)


def _name(widget: Widget, index: int) -> str:
    """Return the name of a widget for the editor and for scripts."""
    if widget.shape is Shape.TABLE:
        return "Table"
    return widget.pv or widget.text or f"{widget.shape.name.title()} {index}"


def _add(parent: ET.Element, children: Iterable[tuple[str, _Content]]) -> None:
    for tag, value in children:
        if value is None:
            continue
        node = value if isinstance(value, _Node) else _Node({}, value)
        element = ET.SubElement(parent, tag, dict(node.attributes))
        content = node.content
        if isinstance(content, str | int):
            element.text = str(content).lower() if isinstance(content, bool) else str(content)
        elif isinstance(content, Mapping):
            _add(element, content.items())
        else:
            _add(element, content)


def _colour(name: str) -> _Content:
    return _rgb(*_COLOURS[name], name=name)


def _rgb(red: int, green: int, blue: int, **name: str) -> _Content:
    return {"color": _Node({**name, "red": str(red), "green": str(green), "blue": str(blue)})}


def _font(style: Style) -> _Content:
    (name, weight, *_), (size, _) = _STYLES[style], FONTS[style]
    return {"font": _Node({"name": name, "family": "Liberation Sans", "style": weight, "size": f"{size}.0"})}


def _styled(widget: Widget) -> _Properties:
    *_, text, behind = _STYLES[widget.style]
    filled: _Properties = {"background_color": _colour(behind), "transparent": False} if behind else {}
    return {"font": _font(widget.style), "foreground_color": _colour(text), **filled}


def _pv(widget: Widget) -> _Properties:
    """Return the PV properties, without an alarm border if the widget has `alarm` off."""
    return {"pv_name": widget.pv, "border_alarm_sensitive": None if widget.alarm else False}


def _value(widget: Widget) -> _Properties:
    """Return the properties of a widget that shows a PV as text."""
    return {**_pv(widget), "show_units": widget.units, "format": _AS_STRING if widget.is_text else None}


def _label(widget: Widget) -> _Properties:
    text = f"\N{NO-BREAK SPACE}{widget.text}" if widget.style is Style.SECTION else widget.text
    return {"text": text, **_styled(widget), "vertical_alignment": _MIDDLE}


def _read(widget: Widget) -> _Properties:
    return {**_value(widget), "font": _font(widget.style), "vertical_alignment": _MIDDLE, "wrap_words": False}


def _combo(widget: Widget) -> _Properties:
    items: _Content = [("item", choice) for choice in widget.choices]
    return {**_pv(widget), "items_from_pv": not widget.choices, "items": items if widget.choices else None}


def _led(widget: Widget) -> _Properties:
    return {**_pv(widget), "off_color": _colour("Off"), "on_color": _colour("OK")}


def _switch(widget: Widget) -> _Properties:
    off, on = widget.choices
    return {**_pv(widget), "off_label": off, "on_label": on}


def _action(kind: str, **content: _Content) -> _Properties:
    return {"actions": {"action": _Node({"type": kind}, content)}}


def _button(widget: Widget) -> _Properties:
    action = _action("write_pv", pv_name="$(pv_name)", value=widget.value, description=widget.text)
    confirm: _Properties = {"show_confirm_dialog": True, "confirm_message": widget.confirm} if widget.confirm else {}
    # A write-only record is in UDF alarm until the first put.
    return {"text": widget.text, "pv_name": widget.pv, "border_alarm_sensitive": False, **action, **confirm}


def _link(widget: Widget) -> _Properties:
    macros = dict(widget.macros)
    action = _action("open_display", file=widget.file, target=widget.target, macros=macros, description=widget.tip)
    return {"text": widget.text, "pv_name": "", **action}


def _script(widget: Widget) -> _Properties:
    script = _update(Script(widget.script, ()))
    return {"text": widget.text, "pv_name": "", **_action("execute", script=script, description=widget.text)}


def _update(script: Script) -> _Node:
    return _Node({"file": "EmbeddedPy"}, [("text", script.text), *(("pv_name", pv) for pv in script.pvs)])


def _progress(widget: Widget) -> _Properties:
    return {**_pv(widget), "limits_from_pv": False, "minimum": 0, "maximum": 100}


def _table(widget: Widget) -> _Properties:
    columns = [("column", _column(widget, *column)) for column in widget.columns]
    return {**_pv(widget), "columns": columns or None, "show_toolbar": widget.editable, "editable": widget.editable}


def _column(widget: Widget, heading: str, width: int, choices: tuple[str, ...]) -> _Properties:
    options = [("option", choice) for choice in choices] or None
    return {"name": heading, "width": width, "editable": widget.editable, "options": options}


def _plot(widget: Widget) -> _Properties:
    shown = widget.plot or Plot(())
    traces = [("trace", _trace(trace, index)) for index, trace in enumerate(shown.traces)]
    axes = [("y_axis", {**_axis(title), "on_right": index > 0}) for index, title in enumerate(shown.y_titles)]
    return {"x_axis": _axis(shown.x_title), "y_axes": axes, "traces": traces}


def _strip(widget: Widget) -> _Properties:
    shown = widget.plot or Plot(())
    traces = [("trace", _trace(trace, index)) for index, trace in enumerate(shown.traces)]
    times: _Properties = {"start": "5 minutes", "end": "now"}
    axes = [("y_axis", _axis(title)) for title in shown.y_titles]
    return {"title": widget.text, **times, "y_axes": axes, "traces": traces, "show_legend": True}


def _axis(title: str) -> _Properties:
    return {"title": title, "autoscale": True, "show_grid": True}


def _trace(trace: Trace, index: int) -> _Properties:
    pvs: _Properties = {"x_pv": trace.x or None, "y_pv": trace.y}
    look: _Properties = {"color": _rgb(*_LINES[index % len(_LINES)]), "line_width": 2}
    return {"name": trace.name, **pvs, "axis": trace.axis, "trace_type": _STEP if trace.step else None, **look}


def _rule(rule: Rule) -> _Node:
    cases = [("exp", _Node({"bool_exp": condition}, {"expression": value})) for condition, value in rule.cases]
    attributes = {"name": f"Choose {rule.property}", "prop_id": rule.property, "out_exp": "true"}
    return _Node(attributes, [*cases, ("pv_name", _Node({"trigger": "true"}, rule.pv))])


def _group(widget: Widget) -> _Properties:
    return {"macros": dict(widget.macros) or None, "style": _NO_FRAME, **_styled(widget)}


#: Phoebus widget type, widget version and property function of each shape.
_TYPES: Mapping[Shape, tuple[str, str, Callable[[Widget], _Properties]]] = {
    Shape.LABEL: ("label", "2.0.0", _label),
    Shape.READ: ("textupdate", "2.0.0", _read),
    Shape.ENTRY: ("textentry", "3.0.0", _value),
    Shape.COMBO: ("combo", "2.0.0", _combo),
    Shape.LED: ("led", "2.0.0", _led),
    Shape.SWITCH: ("bool_button", "2.0.0", _switch),
    Shape.BUTTON: ("action_button", "3.0.0", _button),
    Shape.LINK: ("action_button", "3.0.0", _link),
    Shape.SCRIPT: ("action_button", "3.0.0", _script),
    Shape.PROGRESS: ("progressbar", "2.0.0", _progress),
    Shape.TABLE: ("table", "2.0.0", _table),
    Shape.PLOT: ("xyplot", "3.0.0", _plot),
    Shape.STRIP: ("stripchart", "2.1.0", _strip),
    Shape.GROUP: ("group", "3.0.0", _group),
}
