"""A model of a screen viewer: it parses the files as XML, follows the links and expands the macros."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from panda_ioc.ioc.plan.plan import Plan
from panda_ioc.ioc.screens.widgets import Style, text_width

#: Widgets that change PVs.
SETTERS = {"textentry", "combo", "bool_button", "action_button", "table"}

#: Style by font size.
_SIZES = {14: Style.PLAIN, 12: Style.SMALL, 22: Style.TITLE}

#: Margin of the text of a widget in pixels.
_MARGINS = {"label": 0, "action_button": 14, "bool_button": 20, "combo": 30}


@dataclass
class Opened:
    """An opened screen.

    Attributes:
        file: the file name
        macros: the macros of the link and of the screen
        clicks: number of clicks from the overview
        root: the parsed file
        pvs: all PVs on the screen, without protocol prefix
        settable: PVs that the screen can change
    """

    file: str
    macros: Mapping[str, str]
    clicks: int
    root: ET.Element
    pvs: set[str] = field(default_factory=set)
    settable: set[str] = field(default_factory=set)


def expanded(text: str, macros: Mapping[str, str]) -> str:
    """Expand the macros in a text; unknown macros stay."""
    return re.sub(r"\$\((\w+)\)", lambda match: macros.get(match[1], match[0]), text)


def opened(texts: Mapping[str, str], first: str = "Overview.bob") -> list[Opened]:
    """Return every reachable screen with its macros, by the shortest path."""
    found: list[Opened] = []
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    waiting = [(first, dict[str, str](), 0)]
    while waiting:
        file, macros, clicks = waiting.pop(0)
        key = (file, tuple(sorted(macros.items())))
        if key in seen:
            continue
        seen.add(key)
        root = ET.fromstring(texts[file])
        own = {macro.tag: macro.text or "" for macro in root.findall("macros/*")}
        screen = Opened(file, {"DID": "D", **own, **macros}, clicks, root)
        _collect(screen)
        found.append(screen)
        for action in root.iter("action"):
            if action.get("type") == "open_display":
                given = {macro.tag: expanded(macro.text or "", screen.macros) for macro in action.findall("macros/*")}
                waiting.append((action.findtext("file") or "", given, clicks + 1))
    return found


def _collect(screen: Opened) -> None:
    for widget in screen.root.iter("widget"):
        for tag in ("pv_name", "x_pv", "y_pv"):
            for element in [
                *widget.findall(tag),
                *widget.findall(f"traces/trace/{tag}"),
                *widget.findall(f"scripts/script/{tag}"),
            ]:
                names = set(names_in(expanded(element.text or "", screen.macros)))
                screen.pvs |= names
                if tag == "pv_name" and widget.get("type") in SETTERS:
                    screen.settable |= names
        screen.pvs |= set(_chosen(screen, widget))


def names_in(name: str) -> Iterator[str]:
    """Return the IOC PVs of a Phoebus PV name."""
    if name.startswith("="):
        yield from re.findall(r"`([^`]*)`", name)
    elif name and not name.startswith("loc://"):
        yield name.removeprefix("pva://")


@dataclass(frozen=True)
class _Macros:
    """A widget as rule expressions see it."""

    macros: Mapping[str, str]

    def getEffectiveMacros(self) -> "_Macros":  # noqa: N802
        return self

    def getValue(self, name: str) -> str | None:  # noqa: N802
        return self.macros.get(name)


def choices_of(screen: Opened, pv: str | None) -> list[str]:
    """Return all choices of the drop-downs for a local PV."""
    combos = [combo for combo in screen.root.iter("widget") if combo.findtext("pv_name") == pv]
    assert combos, pv
    return [item.text or "" for combo in combos for item in combo.findall("items/item")]


def chosen(screen: Opened, rule: ET.Element, choice: str) -> str:
    """Return the value that a rule sets for a choice. Like Phoebus, expand macros in conditions only."""
    names = {"pvStr0": choice, "widget": _Macros(screen.macros), "true": True}
    for exp in rule.findall("exp"):
        if eval(expanded(exp.get("bool_exp", ""), screen.macros), names):  # noqa: S307 - ours
            return str(eval(exp.findtext("expression") or "", names))  # noqa: S307 - ours
    raise AssertionError(f"no case for {choice}")


def _chosen(screen: Opened, widget: ET.Element) -> Iterator[str]:
    """Return the PVs that the rules of a widget can select."""
    for rule in widget.findall("rules/rule"):
        if (rule.get("prop_id") or "").endswith("_pv"):
            for choice in choices_of(screen, rule.findtext("pv_name")):
                yield from names_in(chosen(screen, rule, choice))


def unknown(screens: list[Opened], plan: Plan) -> set[str]:
    """Return the PVs on screens that are not served."""
    served = {plan.pv(name) for record in plan.records for name in (record.name, *record.aliases)}
    served |= {plan.pv(table.name) for table in plan.tables}
    return {f"{screen.file}: {pv}" for screen in screens for pv in screen.pvs - served}


def badly_laid(screen: Opened) -> list[str]:
    """Yield overlaps, widgets outside of their parents, and truncated texts."""
    size = (_number(screen.root, "width"), _number(screen.root, "height"))
    return [f"{screen.file}: {problem}" for problem in _within(screen, screen.root, size)]


def _within(screen: Opened, parent: ET.Element, size: tuple[int, int]) -> Iterator[str]:
    boxes: list[tuple[int, int, int, int, str]] = []
    for widget in parent.findall("widget"):
        x, y, width, height = (_number(widget, tag) for tag in ("x", "y", "width", "height"))
        name = f"{widget.get('type')} {widget.findtext('name')!r}"
        if x < 0 or y < 0 or x + width > size[0] or y + height > size[1] or not width or not height:
            yield f"{name} leaves its parent"
        yield from (
            f"{name} overlaps {other}"
            for left, top, right, bottom, other in boxes
            if x < right and left < x + width and y < bottom and top < y + height
        )
        boxes.append((x, y, x + width, y + height, name))
        yield from (f"{name} has no room for {text!r}" for text in _too_long(screen, widget, width))
        yield from _within(screen, widget, (width, height))


def _too_long(screen: Opened, widget: ET.Element, width: int) -> Iterator[str]:
    kind = widget.get("type") or ""
    font = widget.find("font/font")
    style = _SIZES[int(float(font.get("size") or 14))] if font is not None else Style.PLAIN
    if font is not None and font.get("style") == "BOLD" and style is Style.PLAIN:
        style = Style.SECTION
    texts = [widget.findtext(tag) for tag in ("text", "off_label", "on_label")]
    texts += [item.text for item in widget.findall("items/item")]
    for text in texts:
        shown = expanded(text or "", screen.macros)
        if kind in _MARGINS and text_width(shown, style) + _MARGINS[kind] > width:
            yield shown


def _number(element: ET.Element, tag: str) -> int:
    return int(element.findtext(tag) or 0)
