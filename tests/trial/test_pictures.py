"""The products of a trial: waveforms, timing diagrams, pictures of the wiring."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from panda_ioc.settings import parse
from panda_ioc.simulator import load, load_scenario
from panda_ioc.simulator.scenario import DEMO
from panda_ioc.trial.dot import as_dot, draw
from panda_ioc.trial.errors import TrialError
from panda_ioc.trial.run import Outcome, Plan, run
from panda_ioc.trial.signals import chosen, split
from panda_ioc.trial.timing import draw as draw_timing
from panda_ioc.trial.vcd import write
from panda_ioc.trial.wiring import Wire, diagram

from .designs import BEAMLINE, snake

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    design, scenario, seconds = snake(2, 20)
    return run(Plan(load(), design, scenario, seconds))


def changes(path: Path) -> Iterator[tuple[str, int, str]]:
    """Return all changes in a VCD file: signal, time in ns, value."""
    reader = pytest.importorskip("vcd.reader")
    names, scope, now = {}, "", 0
    with path.open("rb") as file:
        for token in reader.tokenize(file):
            match token.kind:
                case reader.TokenKind.SCOPE:
                    scope = token.data.ident
                case reader.TokenKind.VAR:
                    names[token.data.id_code] = f"{scope}.{token.data.reference}"
                case reader.TokenKind.CHANGE_TIME:
                    now = token.data
                case reader.TokenKind.CHANGE_SCALAR | reader.TokenKind.CHANGE_VECTOR | reader.TokenKind.CHANGE_STRING:
                    yield names[token.data.id_code], now, str(token.data.value)


def test_waveforms_are_exact_to_the_tick(outcome: Outcome, tmp_path: Path) -> None:
    names = split(outcome, chosen(outcome, []))[0]
    write(outcome, names, tmp_path / "x.vcd")
    read = list(changes(tmp_path / "x.vcd"))
    start = outcome.recording.start
    for name in ("SEQ1.OUTA", "TTLOUT1"):
        trace = outcome.recording[name]
        wanted = [
            (8 * (tick - start), str(value))
            for tick, value in zip(trace.ticks.tolist(), trace.values.tolist(), strict=True)
        ]
        vcd_name = name if "." in name else f"{name}.PIN"
        assert [(when, value) for signal, when, value in read if signal == vcd_name] == wanted
    motor = np.array([(when, int(value)) for signal, when, value in read if signal == "INENC1.VAL"])
    assert np.abs(np.diff(motor[:, 1])).max() == 1  # count by count
    assert (outcome.recording["INENC1.VAL"].at(motor[:, 0] // 8 + start) == motor[:, 1]).all()
    assert {value for signal, _, value in read if signal == "SEQ1.HEALTH"} == {"OK"}
    assert sum(signal == "PCAP.SAMPLE" for signal, _, _ in read) == 40


def test_a_timing_diagram_of_each_format_and_zoom(outcome: Outcome, tmp_path: Path) -> None:
    names = chosen(outcome, ["INENC1.VAL", "SEQ1.OUTA", "TTLOUT1"])
    for ending, mark in ((".png", PNG), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        draw_timing(outcome, names, tmp_path / f"x{ending}", between=(0.1, 0.2), title="a title", note="a note")
        assert (tmp_path / f"x{ending}").read_bytes().startswith(mark)
    with pytest.raises(TrialError, match="nothing to draw"):
        draw_timing(run(Plan(load(), seconds=1e-6)), [], tmp_path / "x.png")
    with pytest.raises(TrialError, match="--between needs two times"):
        draw_timing(outcome, names, tmp_path / "x.png", between=(0.2, 0.1))
    with pytest.raises(TrialError, match="--between begins at 99 s, but the trial ends at"):
        draw_timing(outcome, names, tmp_path / "x.png", between=(99, 100))
    with pytest.raises(TrialError, match="nowhere"):
        draw_timing(outcome, names, tmp_path / "nowhere" / "x.png")


def test_readbacks_are_drawn_with_labels_and_user_labels_are_literal(tmp_path: Path) -> None:
    design, scenario, seconds = snake(2, 20)
    names = ['*METADATA.LABEL_INENC1=$x$ \\frac{ <b>&"', "INENC1.VAL.UNITS=$\\mu"]
    watch = ["SEQ1.STATE", "SEQ1.TABLE_LINE", "INENC1.VAL", "*.HEALTH"]
    outcome = run(Plan(load(), [*design, *names], scenario, seconds, watch=watch))
    draw_timing(outcome, chosen(outcome, watch[:3]), tmp_path / "x.svg", title="$a$ \\frac{")
    write(outcome, chosen(outcome, watch), tmp_path / "x.vcd")
    drawn = (tmp_path / "x.svg").read_text()
    assert "<!-- WAIT_TRIGGER -->" in drawn
    assert "$x$ \\frac{ &lt;b&gt;&amp;" in drawn
    with pytest.raises(TrialError, match="SEQ1.LINE_REPEAT was not recorded"):
        chosen(outcome, ["SEQ1.LINE_REPEAT"])


def test_texts_of_a_timing_diagram_do_not_overlap(outcome: Outcome, tmp_path: Path) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    scenario = load_scenario(BEAMLINE)
    busy = run(Plan(load(), scenario=scenario, seconds=0.01))
    for one in (outcome, busy):
        names = split(one, chosen(one, []))[0]
        kept: list[object] = []
        closing, plt.close = plt.close, kept.append
        try:
            draw_timing(one, names, tmp_path / "x.png", title="a title")
        finally:
            plt.close = closing
        (figure,) = kept
        figure.draw_without_rendering()  # type: ignore[attr-defined]
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        texts = [
            text
            for axis in figure.axes  # type: ignore[attr-defined]
            for text in (
                axis.yaxis.label,
                axis.xaxis.label,
                *axis.texts,
                *(
                    tick.label1
                    for ticks in (axis.xaxis, axis.yaxis)
                    for tick in ticks.get_major_ticks()
                    if min(ticks.get_view_interval()) <= tick.get_loc() <= max(ticks.get_view_interval())
                ),
            )
            if text.get_text() and text.get_visible()
        ]
        boxes = [(text.get_text(), text.get_window_extent(renderer).padded(-1)) for text in texts]
        assert len(boxes) > 10
        page = figure.bbox  # type: ignore[attr-defined]
        overlapping = [
            (name, other)
            for number, (name, box) in enumerate(boxes)
            for other, beside in boxes[number + 1 :]
            if box.overlaps(beside) and name != other
        ]
        assert overlapping == []
        assert [name for name, box in boxes if box.x0 < page.x0 or box.x1 > page.x1] == []
        closing(figure)


def test_the_wiring_of_a_design() -> None:
    scenario = load_scenario(BEAMLINE)
    made = diagram(parse(scenario.settings), load())
    assert len(made.boxes) >= 25
    assert Wire("SRGATE1.OUT", "SEQ1.ENABLE", "bit") in made.wires
    assert Wire("LUT1.OUT", "SEQ1.BITA", "bit", 3) in made.wires
    assert Wire("INENC1.VAL", "CALC1.INPA", "position") in made.wires
    assert Wire("COUNTER1.OUT", "Captured.COUNTER1.OUT Diff", "position") in made.wires
    assert dict(made.boxes["PULSE2"].settings) == {"ENABLE": "1", "WIDTH": "900 us"}
    assert ("VAL scale", "0.0001 mm/count + 12.5 mm") in made.boxes["INENC1"].settings
    assert ("1", "1x POSA>=1000: A 1 ms, low 100 us") in made.boxes["SEQ1"].settings
    assert made.boxes["SEQ1"].label == "fast axis forward"
    prescaled = diagram(parse([*scenario.settings, "SEQ1.PRESCALE.UNITS=us", "SEQ1.PRESCALE=2"]), load())
    assert ("1", "1x POSA>=1000: A 250 ms, low 25 ms") in prescaled.boxes["SEQ1"].settings
    prescaled = diagram(parse([*scenario.settings, "SEQ1.PRESCALE=0.001"]), load())
    assert ("1", "1x POSA>=1000: A 125 s, low 12.5 s") in prescaled.boxes["SEQ1"].settings
    assert {value for name, value in made.boxes["PCAP"].settings if name == "captures"} == {
        "TS_TRIG",
        "GATE_DURATION",
        "BITS0",
    }
    assert "TTLIN5" not in made.boxes


def test_unknown_fields_of_a_design_are_drawn_by_their_values() -> None:
    made = diagram(
        parse(["FOO1.TRIG=BAR2.OUT", "FOO1.TRIG.DELAY=4", "FOO1.MODE=fast", "FOO1.N=0", "BAR2.X=ZERO"]), load()
    )
    assert made.wires == [Wire("BAR2.OUT", "FOO1.TRIG", "bit", 4)]
    assert made.boxes["FOO1"].settings == [("MODE", "fast")]
    assert made.boxes["BAR2"].settings == []


@pytest.mark.parametrize("scenario", [DEMO, BEAMLINE])
def test_boxes_are_drawn_apart_from_each_other(scenario: Path, tmp_path: Path) -> None:
    pytest.importorskip("pygraphviz")
    made = diagram(parse(load_scenario(scenario).settings), load())
    draw(as_dot(made, "<a> & b"), tmp_path / "x.svg")
    name = "{http://www.w3.org/2000/svg}"
    places = {}
    for group in ET.parse(tmp_path / "x.svg").iter(f"{name}g"):
        if group.get("class") == "node":
            points = [
                tuple(map(float, point.split(",")))
                for polygon in group.iter(f"{name}polygon")
                for point in polygon.get("points", "").split()
            ]
            x, y = zip(*points, strict=True)
            places[group.findtext(f"{name}title")] = (min(x), min(y), max(x), max(y))
    assert set(places) == set(made.boxes)
    apart = [
        a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        for one, a in places.items()
        for other, b in places.items()
        if one is not other
    ]
    assert all(apart)
    inputs = [box[2] for block, box in places.items() if block and block.startswith(("TTLIN", "INENC"))]
    outputs = [box[0] for block, box in places.items() if block and block.startswith(("TTLOUT", "LVDSOUT", "Captured"))]
    assert max(inputs) < min(outputs)


def test_user_labels_are_escaped(tmp_path: Path) -> None:
    pytest.importorskip("pygraphviz")
    hostile = ['*METADATA.LABEL_CLOCK1=<b>"\\N&\x01', "TTLOUT1.VAL=CLOCK1.OUT", 'A"\\>b>;.B&=C\x02"{}.OUT', "A.B=1"]
    made = diagram(parse(hostile), load())
    assert len(made.wires) == 2
    for ending in (".svg", ".png", ".pdf", ".dot"):
        draw(as_dot(made), tmp_path / f"x{ending}")
    assert "&lt;b&gt;" in (tmp_path / "x.svg").read_text()
    with pytest.raises(TrialError, match=r"the suffix must be one of .dot, .svg"):
        draw(as_dot(made), tmp_path / "x.gif")
    with pytest.raises(TrialError, match="No such file"):
        draw(as_dot(made), tmp_path / "nowhere" / "x.svg")


def test_missing_libraries_are_reported_with_what_to_install(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules["pygraphviz"] = sys.modules["vcd"] = sys.modules["matplotlib"] = None
from pathlib import Path
from panda_ioc.simulator import load
from panda_ioc.trial import Plan, TrialError, dot, run, timing, vcd
outcome = run(Plan(load(), seconds=1e-6))
for call in (
    lambda: dot.draw("digraph {{}}", Path("{tmp_path}/x.svg")),
    lambda: timing.draw(outcome, ["CLOCK1.OUT"], Path("{tmp_path}/x.png")),
    lambda: vcd.write(outcome, ["CLOCK1.OUT"], Path("{tmp_path}/x.vcd")),
):
    try:
        call()
    except TrialError as error:
        print(error)
dot.draw("digraph {{}}", Path("{tmp_path}/x.dot"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.count("pip install 'panda-ioc[try]'") == 3
    assert (tmp_path / "x.dot").read_text() == "digraph {}"
