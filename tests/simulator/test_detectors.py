"""Detectors: they answer a trigger, and ignore and log triggers in their dead time."""

import json
import logging

import pytest

from panda_ioc.simulator import Simulation, load
from panda_ioc.simulator.detectors import Behaviour
from panda_ioc.simulator.faults import Faults
from panda_ioc.simulator.numbers import Refused
from panda_ioc.simulator.scenario import drive
from panda_ioc.simulator.steps import Stage

from .test_simulation import ok


@pytest.fixture
def stage() -> Stage:
    stage = Stage(Simulation(load()), Faults())
    ok(stage.simulation, "TTLOUT1.VAL=BITS.OUTA", "TTLOUT2.VAL=BITS.OUTB")
    return stage


def step(stage: Stage, **parameters: object) -> None:
    drive(json.dumps({"detector": parameters}), stage)


def trigger(sim: Simulation, ticks: int) -> None:
    ok(sim, "BITS.A=1")
    sim.advance(10)
    ok(sim, "BITS.A=0")
    sim.advance(ticks)


def test_it_answers_after_its_delay(stage: Stage) -> None:
    sim = stage.simulation
    step(stage, trigger="TTLOUT1", answer="TTLIN3", dead_time=8e-6, delay=1.6e-6, width=8e-7)
    recorded = sim.record("TTLOUT1", "TTLIN3.VAL")
    trigger(sim, 2000)
    (pin,) = recorded["TTLOUT1"].rising
    # A tick to the detector, 200 of delay, a tick to the pin of the input.
    assert recorded["TTLIN3.VAL"].pulses.tolist() == [[pin + 202, pin + 302]]
    assert sim.outside.detectors["TTLOUT1"].frames == 1


def test_a_trigger_in_the_dead_time_is_ignored_and_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    sim = stage.simulation
    step(stage, trigger="TTLOUT1", answer="TTLIN3", dead_time=8e-6)
    recorded = sim.record("TTLIN3.VAL")
    with caplog.at_level(logging.WARNING):
        for pause in (500, 500, 1500, 20):
            trigger(sim, pause)
        sim.advance(1500)
    detector = sim.outside.detectors["TTLOUT1"]
    # Triggers at 0, 512, 1024 and 2536; only the second one is within 1000 ticks of an accepted one.
    assert detector.frames == len(recorded["TTLIN3.VAL"].pulses)
    assert detector.frames + len(detector.early) == 4
    assert len(detector.early) == 1
    (record,) = caplog.records  # 488 ticks
    assert "s, 3.904e-06 s too early" in record.getMessage()


def test_a_trigger_at_the_end_of_the_dead_time_is_accepted(stage: Stage) -> None:
    sim = stage.simulation
    step(stage, trigger="TTLOUT1", dead_time=520 * 8e-9)
    ok(sim, "CLOCK1.PERIOD=4.16e-6", "TTLOUT1.VAL=CLOCK1.OUT", "CLOCK1.ENABLE=ONE")  # 520 ticks
    sim.advance(520 * 10 + 100)
    detector = sim.outside.detectors["TTLOUT1"]
    assert (detector.frames, detector.early) == (11, [])
    step(stage, trigger="TTLOUT1", dead_time=521 * 8e-9)
    sim.advance(520 * 10)
    assert (detector.frames, len(detector.early)) == (16, 5)


def test_a_level_that_is_high_at_the_beginning_is_no_trigger(stage: Stage) -> None:
    ok(stage.simulation, "BITS.A=1")
    stage.simulation.advance(10)
    step(stage, trigger="TTLOUT1", dead_time=1e-6)
    stage.simulation.advance(100)
    assert stage.simulation.outside.detectors["TTLOUT1"].frames == 0
    step(stage, trigger="TTLOUT1", dead_time=1e-6, edge="Falling")
    ok(stage.simulation, "BITS.A=0")
    stage.simulation.advance(10)
    assert stage.simulation.outside.detectors["TTLOUT1"].frames == 1


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"trigger": "TTLIN1", "dead_time": 1}, "TTLIN1 is not an output"),
        ({"trigger": "TTLOUT1", "dead_time": 1, "answer": "TTLOUT2"}, "TTLOUT2 is not an input"),
        ({"trigger": "TTLOUT1", "dead_time": 0}, "too short for a delay of"),
        ({"trigger": "TTLOUT1", "dead_time": 1e-3, "delay": 5e-4, "width": 6e-4}, "too short for a delay of"),
        ({"trigger": "TTLOUT1", "dead_time": 1, "answer": "TTLIN1"}, "is in use"),
        ({"trigger": "TTLOUT1", "dead_time": 1, "answer": "TTLIN2"}, "is in use"),
        ({"trigger": "TTLOUT1", "dead_time": -1}, "dead_time: must be a number >= 0"),
    ],
)
def test_invalid_detectors_are_refused(stage: Stage, parameters: dict[str, object], told: str) -> None:
    outside = stage.simulation.outside
    outside.input("TTLIN1").level(1)
    outside.detector("TTLOUT2", Behaviour(100, 0, 100), "TTLIN2")
    with pytest.raises(Refused, match=told):
        step(stage, **parameters)
    assert set(outside.detectors) == {"TTLOUT2"}
    with pytest.raises(Refused, match="the detector at TTLOUT2 already drives TTLIN2"):
        outside.input("TTLIN2")
