"""A diagram as DOT, and as a picture by Graphviz, which does the layout."""

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

#: Formats of pictures, by the ending of the file.
FORMATS = ("svg", "png", "pdf")

_COLOURS = {"bit": "#1f5fa8", "position": "#b35900"}
_PEN = {"bit": "1.3", "position": "2.2"}
_HEADS = {"inputs": "#dcebd9", "outputs": "#f3dcdc", "pcap": "#f9e7c4", "other": "#dfe6ee"}
_FONT = "DejaVu Sans,Verdana,Helvetica,sans-serif"

#: Characters of a setting that are shown.
_LONGEST = 44

#: An output with so many wires that arrows would hide the picture is named at each input instead.
_MOST_ARROWS = 6


def as_dot(diagram: Diagram, title: str = "") -> str:
    """Write a diagram in DOT, as Graphviz and others read it."""
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
    """Draw DOT into a file, whose ending says in which format.

    Raises:
        TrialError: the format is none, the file cannot be written, or Graphviz is not there
    """
    suffix = output.suffix.removeprefix(".").lower()
    if suffix == "dot":
        _write(output, dot.encode())
        return
    if suffix not in FORMATS:
        raise TrialError(f"{output}: the ending must be one of .dot, .{', .'.join(FORMATS)}")
    with tempfile.TemporaryDirectory(prefix="panda-ioc-") as folder, _fonts(Path(folder)):
        try:
            graphviz = importlib.import_module("pygraphviz")
        except ImportError as error:
            raise TrialError(
                f"a picture of the wiring needs the package pygraphviz: pip install 'panda-ioc[try]' ({error}); "
                "without it, write a file that ends in .dot"
            ) from error
        with _without_warnings(Path(folder) / "stderr"):
            picture = _drawn(graphviz, dot, suffix)
    _write(output, picture)


def _drawn(graphviz: Any, dot: str, suffix: str) -> bytes:
    try:
        picture: bytes = graphviz.AGraph(string=dot).draw(format=suffix, prog="dot")
    except (OSError, ValueError) as error:
        raise TrialError(
            "Graphviz cannot draw this; write a file that ends in .dot to see what it was given"
        ) from error
    return picture


def _write(output: Path, content: bytes) -> None:
    try:
        output.write_bytes(content)
    except OSError as error:
        raise TrialError(f"{output}: {error.strerror}") from error


@contextlib.contextmanager
def _fonts(folder: Path) -> Iterator[None]:
    """Let Graphviz use the fonts that matplotlib brings: the same on every machine, and containers often have none."""
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
    """Keep from standard error what fontconfig says of system files that are newer than it; pass on all else."""
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
                print(line, file=sys.stderr)  # noqa: T201 - what Graphviz itself wrote there


def _named(diagram: Diagram) -> set[str]:
    """Sources that are named at the inputs, as arrows from them would hide the others."""
    arrows = Counter(wire.source for wire in diagram.wires)
    return {source for source, count in arrows.items() if count > _MOST_ARROWS or _goes_back(source)}


def _goes_back(source: str) -> bool:
    """Whether wires from an output go from right to left: those of PCAP, which comes last."""
    return source.startswith("PCAP.")


def _legend(title: str, named: set[str]) -> str:
    bit, position = (f'<FONT COLOR="{colour}"><B>&#8594;</B></FONT>' for colour in _COLOURS.values())
    text = f"{bit} bit &#160;&#160; {position} position"
    if named:
        text += f' &#160;&#160; <FONT COLOR="{_COLOURS["bit"]}">&#9668; NAME</FONT> wire from the output of that name'
    head = f'<FONT POINT-SIZE="14"><B>{_text(title)}</B></FONT><BR ALIGN="LEFT"/>' if title else ""
    return f'{head}{text}<BR ALIGN="LEFT"/>&#160;<BR ALIGN="LEFT"/>'  # an empty line between it and the boxes


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
        style += ", weight=2"  # long wires are to be straight ones
    return f'  {_id(source)}:"o_{_port(out)}":e -> {_id(target)}:"i_{_port(into)}":w [{style}];'


def _ranks(diagram: Diagram) -> Iterator[str]:
    """Connectors to the left and to the right."""
    for family, rank in (("inputs", "source"), ("outputs", "sink")):
        names = [_id(box.name) for box in diagram.boxes.values() if _family(box) == family]
        if family == "outputs" and CAPTURED in diagram.boxes:
            names.append(f'"{CAPTURED}"')
        if names:
            yield f"  {{ rank={rank}; {'; '.join(names)}; }}"


def _port(text: str) -> str:
    """The name of a port in DOT: letters, digits and underscores."""
    return "".join(character if character.isalnum() else "_" for character in text)


def _id(name: str) -> str:
    """The name of a box in DOT."""
    escaped = _printable(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(text: str) -> str:
    return escape(_printable(text))


def _printable(text: str) -> str:
    """The text without characters that no picture can have."""
    return "".join(character if character.isprintable() else "?" for character in text)
