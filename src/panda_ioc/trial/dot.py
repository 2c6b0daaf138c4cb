"""Wiring diagrams in DOT, and as pictures by Graphviz, which computes the layout."""

import contextlib
import importlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from html import escape
from itertools import zip_longest
from pathlib import Path
from typing import Any

from .errors import TrialError
from .wiring import CAPTURED, INPUTS, OUTPUTS, Box, Diagram, Wire

#: Picture formats, by suffix of the file.
FORMATS = ("svg", "png", "pdf")

_COLOURS = {"bit": "#1f5fa8", "position": "#b35900"}
_PEN = {"bit": "1.3", "position": "2.2"}
_HEADS = {"inputs": "#dcebd9", "outputs": "#f3dcdc", "pcap": "#f9e7c4", "other": "#dfe6ee"}
_FONT = "DejaVu Sans,Verdana,Helvetica,sans-serif"

#: Maximum number of characters shown of a setting.
_LONGEST = 44

#: Maximum number of wires drawn from an output; with more, its name is shown at each input instead.
_MOST_ARROWS = 6


def as_dot(diagram: Diagram, title: str = "") -> str:
    """Return a diagram in the DOT language."""
    named = _named(diagram)
    lines = [
        "digraph panda {",
        f'  graph [rankdir=LR, splines=spline, nodesep=0.35, ranksep=0.9, pad=0.25, fontname="{_FONT}", fontsize=11,',
        f"    labelloc=t, labeljust=l, label=<{_legend(title, named)}>];",
        f'  node [shape=plain, fontname="{_FONT}", fontsize=11];',
        "  edge [arrowsize=0.7];",
    ]
    lines += [f"  {_id(box.name)} [label=<{_label(box, diagram, named)}>];" for box in diagram.boxes.values()]
    lines += _ranks(diagram)
    lines += [_edge(wire, diagram) for wire in diagram.wires if wire.source not in named]
    return "\n".join([*lines, "}", ""])


def draw(dot: str, output: Path) -> None:
    """Draw a DOT graph into a file, whose suffix selects the format.

    Args:
        dot: text in the DOT language
        output: path of the file

    Raises:
        TrialError: the format is unknown, the file cannot be written, or Graphviz is missing
    """
    suffix = output.suffix.removeprefix(".").lower()
    if suffix == "dot":
        _write(output, dot.encode())
        return
    if suffix not in FORMATS:
        raise TrialError(f"{output}: unknown format: the suffix must be one of .dot, .{', .'.join(FORMATS)}")
    with tempfile.TemporaryDirectory(prefix="panda-ioc-") as folder, _fonts(Path(folder)):
        try:
            graphviz = importlib.import_module("pygraphviz")
        except ImportError as error:
            raise TrialError(
                f"a picture of the wiring needs the package pygraphviz: pip install 'panda-ioc[try]' ({error}); "
                "without it, write a .dot file"
            ) from error
        with _without_warnings(Path(folder) / "stderr"):
            picture = _drawn(graphviz, dot, suffix)
    _write(output, picture)


def _drawn(graphviz: Any, dot: str, suffix: str) -> bytes:
    try:
        picture: bytes = graphviz.AGraph(string=dot).draw(format=suffix, prog="dot")
    except (OSError, ValueError) as error:
        raise TrialError("Graphviz cannot draw the diagram; write a .dot file to see its input") from error
    return picture


def _write(output: Path, content: bytes) -> None:
    try:
        output.write_bytes(content)
    except OSError as error:
        raise TrialError(f"{output}: {error.strerror}") from error


@contextlib.contextmanager
def _fonts(folder: Path) -> Iterator[None]:
    """Make Graphviz use the fonts of matplotlib: the same on every machine, as containers often have none."""
    try:
        fonts = Path(importlib.import_module("matplotlib").get_data_path()) / "fonts" / "ttf"
    except ImportError:
        fonts = Path()
    if "FONTCONFIG_FILE" in os.environ or not fonts.is_dir():
        yield
        return
    config = folder / "fonts.conf"
    config.write_text(
        f'<?xml version="1.0"?><fontconfig><dir>{escape(str(fonts))}</dir>'
        f"<cachedir>{escape(str(folder))}</cachedir></fontconfig>",
        encoding="utf-8",
    )
    os.environ["FONTCONFIG_FILE"] = str(config)
    try:
        yield
    finally:
        del os.environ["FONTCONFIG_FILE"]


@contextlib.contextmanager
def _without_warnings(kept: Path) -> Iterator[None]:
    """Suppress warnings of fontconfig on standard error, and pass on everything else."""
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with kept.open("wb") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        for line in kept.read_text(errors="replace").splitlines():
            if not line.startswith("Fontconfig"):
                print(line, file=sys.stderr)  # noqa: T201 - output of Graphviz


def _named(diagram: Diagram) -> set[str]:
    """Return the sources whose name is shown at the inputs, because their arrows would hide others."""
    arrows = Counter(wire.source for wire in diagram.wires)
    return {source for source, count in arrows.items() if count > _MOST_ARROWS or _goes_back(source)}


def _goes_back(source: str) -> bool:
    """Return whether wires of an output run from right to left: those of PCAP, which is rightmost."""
    return source.startswith("PCAP.")


def _legend(title: str, named: set[str]) -> str:
    bit, position = (f'<FONT COLOR="{colour}"><B>&#8594;</B></FONT>' for colour in _COLOURS.values())
    text = f"{bit} bit &#160;&#160; {position} position"
    if named:
        text += f' &#160;&#160; <FONT COLOR="{_COLOURS["bit"]}">&#9668; NAME</FONT> wire from the output of that name'
    head = f'<FONT POINT-SIZE="14"><B>{_text(title)}</B></FONT><BR ALIGN="LEFT"/>' if title else ""
    return f'{head}{text}<BR ALIGN="LEFT"/>&#160;<BR ALIGN="LEFT"/>'  # an empty line above the boxes


def _label(box: Box, diagram: Diagram, named: set[str]) -> str:
    ports = [
        f"<TR>{_input(box, into, diagram, named)}{_output(out)}</TR>"
        for into, out in zip_longest(box.inputs, box.outputs)
    ]
    rule = ["<HR/>"] if ports and box.settings else []
    settings = [_setting(name, value) for name, value in box.settings]
    return (
        f'<TABLE BORDER="1" CELLBORDER="0" CELLSPACING="0" CELLPADDING="3" COLOR="#5a6672" BGCOLOR="white">'
        f'<TR><TD COLSPAN="2" BGCOLOR="{_HEADS[_family(box)]}"><B>{_text(box.name)}</B>'
        f"{_people(box.label)}</TD></TR><HR/>"
        f"{''.join(ports)}{''.join(rule)}{''.join(settings)}</TABLE>"
    )


def _family(box: Box) -> str:
    if box.kind in INPUTS:
        return "inputs"
    if box.kind in OUTPUTS:
        return "outputs"
    return "pcap" if box.kind in {"PCAP", CAPTURED} else "other"


def _people(label: str) -> str:
    return f' <FONT POINT-SIZE="9" COLOR="#444444">{_text(label)}</FONT>' if label else ""


def _input(box: Box, port: str | None, diagram: Diagram, named: set[str]) -> str:
    if port is None:
        return "<TD></TD>"
    wire = next(wire for wire in diagram.wires if wire.target == f"{box.name}.{port}")
    text = _text(port)
    if wire.source in named:
        text = f'<FONT COLOR="{_COLOURS[wire.sort]}">&#9668; {_text(wire.source)}</FONT> {text}'
    if wire.delay:
        text += f' <FONT POINT-SIZE="9" COLOR="#666666">+{wire.delay} ticks</FONT>'
    return f'<TD PORT="i_{_port(port)}" ALIGN="LEFT">{text}</TD>'


def _output(port: str | None) -> str:
    return "<TD></TD>" if port is None else f'<TD PORT="o_{_port(port)}" ALIGN="RIGHT">{_text(port)}</TD>'


def _setting(name: str, value: str) -> str:
    shown = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}..."
    small = '<FONT POINT-SIZE="9" COLOR="#333333">{}</FONT>'
    return (
        f'<TR><TD ALIGN="LEFT" CELLPADDING="1">{small.format(f"&#160;{_text(name)}&#160;")}</TD>'
        f'<TD ALIGN="RIGHT" CELLPADDING="1">{small.format(f"&#160;{_text(shown)}&#160;")}</TD></TR>'
    )


def _edge(wire: Wire, diagram: Diagram) -> str:
    source, _, out = wire.source.partition(".")
    target, _, into = wire.target.partition(".")
    style = f'color="{_COLOURS[wire.sort]}", penwidth={_PEN[wire.sort]}'
    if _family(diagram.boxes[target]) == "inputs":
        style += ", constraint=false"
    elif target == CAPTURED:
        style += ", weight=2"  # keep long wires straight
    return f'  {_id(source)}:"o_{_port(out)}":e -> {_id(target)}:"i_{_port(into)}":w [{style}];'


def _ranks(diagram: Diagram) -> Iterator[str]:
    """Place input connectors on the left and output connectors on the right."""
    for family, rank in (("inputs", "source"), ("outputs", "sink")):
        names = [_id(box.name) for box in diagram.boxes.values() if _family(box) == family]
        if family == "outputs" and CAPTURED in diagram.boxes:
            names.append(f'"{CAPTURED}"')
        if names:
            yield f"  {{ rank={rank}; {'; '.join(names)}; }}"


def _port(text: str) -> str:
    """Return the name of a port in DOT: letters, digits and underscores."""
    return "".join(character if character.isalnum() else "_" for character in text)


def _id(name: str) -> str:
    """Return the name of a box in DOT."""
    escaped = _printable(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(text: str) -> str:
    return escape(_printable(text))


def _printable(text: str) -> str:
    """Replace non-printable characters, which pictures cannot contain."""
    return "".join(character if character.isprintable() else "?" for character in text)
