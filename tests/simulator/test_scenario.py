"""Scenarios and single steps: their effects, and messages for invalid ones."""

import gc
import json
import logging
import sys
from pathlib import Path

import pytest

from panda_ioc.simulator import Simulation, load, load_scenario
from panda_ioc.simulator.faults import Faults
from panda_ioc.simulator.numbers import Refused
from panda_ioc.simulator.scenario import DEMO, Scenario, ScenarioError, drive, play
from panda_ioc.simulator.steps import Stage, Step
from panda_ioc.validation import validated
from panda_ioc.yamlfile import YamlFileError

SECOND = 125_000_000


@pytest.fixture
def stage() -> Stage:
    return Stage(Simulation(load()), Faults())


def test_the_demo_scans_again_and_again(stage: Stage) -> None:
    play(load_scenario(DEMO), stage)
    sim = stage.simulation
    for _ in range(3):
        sim.advance(4 * SECOND)
        assert sim.say("*PCAP.COMPLETION?") == ["OK =Busy"]
        sim.advance(6 * SECOND)
        assert sim.say("*PCAP.COMPLETION?", "*PCAP.CAPTURED?", "PCOMP1.HEALTH?") == ["OK =Ok", "OK =180", "OK =OK"]
    assert sim.capture.acquisition
    layout = sim.capture.acquisition.layout
    column = [item.name for item in layout.items].index("INENC1.VAL")
    words = [sim.capture.acquisition.read(sample, 1) for sample in range(180)]
    assert [int(one[0, column]) for one in words if one is not None] == list(range(1000, 19000, 100))


def test_the_demo_does_not_grow_with_age(stage: Stage) -> None:
    """Setting a mux scans the event queue; if its cost does not grow, the queue does not grow."""
    play(load_scenario(DEMO), stage)
    queued, blocks = [], []
    for _ in range(5):
        stage.simulation.advance(10 * SECOND)
        gc.collect()
        queued.append(stage.simulation.engine.queued)
        blocks.append(sys.getallocatedblocks())
    assert max(queued) < 500
    assert blocks[-1] - blocks[1] < 5000


def test_steps_happen_at_their_time(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(
        """
settings: [COUNTER1.ENABLE=ONE, COUNTER1.TRIG=TTLIN1.VAL]
steps:
  - {at: 0.5, pulses: {input: TTLIN1, width: 0.001, cycles: 3}}
  - {at: 0.25, jump: {motor: INENC1, to: 5}}
  - {at: 0.75, commands: {lines: [BITS.A=1, COUNTER2.START=7]}}
repeat: 1.0
"""
    )
    play(load_scenario(path), stage)
    sim = stage.simulation
    sim.advance(SECOND // 5)
    assert sim.say("INENC1.VAL?", "COUNTER1.OUT?", "BITS.A?") == ["OK =0", "OK =0", "OK =0"]
    sim.advance(SECOND // 5)
    assert sim.say("INENC1.VAL?", "COUNTER1.OUT?", "BITS.A?") == ["OK =5", "OK =0", "OK =0"]
    sim.advance(SECOND // 5)
    assert sim.say("INENC1.VAL?", "COUNTER1.OUT?", "BITS.A?") == ["OK =5", "OK =3", "OK =0"]
    sim.advance(SECOND)
    assert sim.say("COUNTER1.OUT?", "BITS.A?", "COUNTER2.START?") == ["OK =6", "OK =1", "OK =7"]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("steps: 3", 1, "steps"),
        ("repeat: 0\nsteps: []", 1, "repeat"),
        ("settings: []\nsteps:\n  - {at: 2, arm: {}}\nrepeat: 1\n", 4, "repeat: 1 s is too short"),
        ("steps:\n  - {at: 0, arm: {}}\n  - {at: 1}\n", 3, "a step needs exactly one action"),
        ("steps:\n  - {arm: {}, stall: {}}\n", 2, "not 2: one of"),
        ("steps:\n  - {at: .nan, arm: {}}\n", 2, "at"),
        ("steps:\n  - {fly: {}}\n", 2, "fly"),
        ("steps:\n  - at: 1\n    move: {motor: INENC1, to: 5, speed: fast}\n", 3, "speed"),
        ("steps:\n  - at: 1\n    move: {motor: INENC1, to: .inf, speed: 1}\n", 3, "finite"),
        ("steps:\n  - at: 1\n    fail: {reason: tired}\n", 3, "reason"),
        ('settings: ["PULSE1.WIDTH=1\\nBITS.A=1"]', 1, "settings.0"),
    ],
)
def test_invalid_files_are_reported_with_the_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    with pytest.raises(YamlFileError, match=says) as caught:
        load_scenario(path)
    assert f"scenario.yaml:{line}:" in str(caught.value)


def test_a_refused_setting_is_an_error(stage: Stage) -> None:
    with pytest.raises(ScenarioError, match="Invalid bit bus selection .and 1 more"):
        play(Scenario(settings=("BITS.A=1", "PCAP.TRIG=nothing", "NOPE.X=1")), stage)


def test_an_invalid_step_is_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    steps = [{"at": 0.1, "level": {"input": "TTLIN9", "high": True}}, {"at": 0.2, "cut": {}}]
    play(validated({"steps": steps}, Scenario), stage)
    with caplog.at_level(logging.WARNING):
        stage.simulation.advance(SECOND)
    assert "step level at 0.1 s: TTLIN9 is not an input" in caplog.text
    assert "this simulation has no server" in caplog.text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("no json", "invalid JSON: Expecting value"),
        ("[" * 1000, "invalid JSON"),
        ("1" * 5000, "invalid JSON"),
        ("[]", "must be a mapping, not a list"),
        ('{"jump": {"motor": "INENC1\\n", "to": 1}}', "jump.motor: must be capitals"),
        ('{"jump": {"motor": "INENC1", "to": NaN}}', "jump.to: must be a finite number"),
        ('{"fly": {}}', "fly: unknown key: use at, move"),
        ("{}", "a step needs exactly one action, not 0: one of move, sine"),
        ('{"move": {"motor": "INENC1", "to": 1}}', "move.speed: this key is required"),
        ('{"move": {"motor": "INENC9", "to": 1, "speed": 1}}', "INENC9 is not an encoder input"),
        ('{"health": {"field": "PCAP.TRIG"}}', "PCAP.TRIG is not a read-only field"),
        ('{"health": {"field": "SEQ1.HEALTH", "shows": "ill"}}', "Invalid enumeration value"),
        ('{"broken": {"field": "SEQ1.NOPE"}}', "unknown field SEQ1.NOPE"),
        ('{"restart": {"without": ["NOPE"]}}', "unknown block NOPE"),
        ('{"restart": {}}', "this simulation has no server"),
        ('{"commands": {"lines": ["PULSE1.OUT=1"]}}', "Field not writeable"),
    ],
)
def test_invalid_steps_are_refused(stage: Stage, text: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        drive(text, stage)


def do(stage: Stage, action: str, **parameters: object) -> None:
    drive(json.dumps({action: parameters}), stage)


def test_health_and_fields_that_break(stage: Stage) -> None:
    sim = stage.simulation
    sim.say("*CHANGES?")
    do(stage, "health", field="SEQ1.HEALTH", shows="DMA underrun")
    do(stage, "health", field="SYSTEM.PLL_LOCKED", shows="1")
    do(stage, "broken", field="SYSTEM.TEMP_ZYNQ")
    assert sim.say("SEQ1.HEALTH?", "SYSTEM.TEMP_ZYNQ?") == ["OK =DMA underrun", "ERR Error reading register"]
    assert sorted(sim.say("*CHANGES.READ?")) == ["!SEQ1.HEALTH=DMA underrun", "!SYSTEM.PLL_LOCKED=1", "."]
    sim.say("*CHANGES.READ=S")
    assert "!SYSTEM.TEMP_ZYNQ (error)" in sim.say("*CHANGES.READ?")
    do(stage, "health", field="SEQ1.HEALTH")
    do(stage, "broken", field="SYSTEM.TEMP_ZYNQ", broken=False)
    assert sim.say("SEQ1.HEALTH?") == ["OK =OK"]
    assert sim.say("*CHANGES.READ?") == ["!SEQ1.HEALTH=OK", "."]


@pytest.mark.parametrize("reason", ["Driver data overrun", "DMA data error", "Framing error"])
def test_an_acquisition_that_fails(stage: Stage, reason: str) -> None:
    sim = stage.simulation
    sim.say("PCAP.TS_TRIG.CAPTURE=Value", "PCAP.ENABLE=ONE")
    do(stage, "arm")
    do(stage, "arm")  # nothing happens
    assert sim.say("*PCAP.COMPLETION?") == ["OK =Busy"]
    do(stage, "fail", reason=reason)
    assert sim.say("*PCAP.COMPLETION?", "PCAP.ACTIVE?") == [f"OK ={reason}", "OK =0"]
    health = "Samples overflow" if reason == "Driver data overrun" else "OK"
    assert sim.say("PCAP.HEALTH?") == [f"OK ={health}"]
    do(stage, "arm")
    sim.say("*PCAP.DISARM=")
    assert sim.say("*PCAP.COMPLETION?") == ["OK =Disarmed"]


def test_a_step_later(stage: Stage) -> None:
    drive('{"at": 0.5, "level": {"input": "TTLIN2", "high": true}}', stage)
    stage.simulation.advance(SECOND // 4)
    assert stage.simulation.say("TTLIN2.VAL?") == ["OK =0"]
    stage.simulation.advance(SECOND // 2)
    assert stage.simulation.say("TTLIN2.VAL?") == ["OK =1"]


def test_every_action_has_a_description() -> None:
    """The documentation is generated from them."""
    for name in Step.actions():
        assert Step.action_class(name).__doc__
        assert hasattr(Step.action_class(name), "do")
