"""Recordings are exact in each tick, and do not affect the simulation."""

import random

import numpy as np
import pytest

from panda_ioc.simulator import Simulation, load
from panda_ioc.simulator.numbers import Refused

from .test_simulation import ok

WIRED = (
    "CLOCK1.PERIOD=1e-6",
    "CLOCK1.WIDTH=2e-7",
    "CLOCK1.ENABLE=BITS.OUTA",
    "COUNTER1.TRIG=CLOCK1.OUT",
    "COUNTER1.ENABLE=ONE",
    "PULSE1.TRIG=CLOCK1.OUT",
    "PULSE1.ENABLE=ONE",
    "PULSE1.WIDTH=9.6e-8",
    "PULSE1.DELAY=3e-7",
    "TTLOUT1.VAL=PULSE1.OUT",
    "PCOMP1.INP=INENC1.VAL",
    "PCOMP1.ENABLE=ONE",
    "PCOMP1.WIDTH=5",
    "PCOMP1.STEP=10",
)


@pytest.fixture
def sim() -> Simulation:
    return Simulation(load())


def test_each_edge_has_its_tick(sim: Simulation) -> None:
    ok(sim, *WIRED)
    recorded = sim.record("CLOCK1.OUT", "PULSE1.OUT", "TTLOUT1")
    ok(sim, "BITS.A=1")
    sim.advance(1000)
    clock = recorded["CLOCK1.OUT"].rising
    assert np.diff(clock).tolist() == [125] * (len(clock) - 1)
    assert (recorded["CLOCK1.OUT"].falling[:3] - clock[:3]).tolist() == [25, 25, 25]
    pulses = recorded["PULSE1.OUT"].pulses
    assert (pulses[:, 1] - pulses[:, 0] == 12).all()
    assert (pulses[:7, 0] - clock[:7]).tolist() == [pulses[0, 0] - clock[0]] * 7
    assert (recorded["TTLOUT1"].pulses[:7] - pulses[:7]).tolist() == [[3, 3]] * 7  # a wire takes 3 ticks


def test_the_value_in_a_tick_is_what_the_fields_show_then(sim: Simulation) -> None:
    ok(sim, *WIRED)
    names = ("CLOCK1.OUT", "COUNTER1.OUT", "PCOMP1.OUT", "INENC1.VAL", "INENC1.A")
    recorded = sim.record(*names)
    ok(sim, "BITS.A=1")
    sim.outside.motor("INENC1").sine(100, 2e-5)
    chance = random.Random(1)
    shown, ticks = [], []
    for _ in range(300):
        sim.advance(chance.randrange(1, 60))
        ticks.append(sim.engine.now)
        shown.append([int(answer.removeprefix("OK =")) for answer in sim.say(*(f"{name}?" for name in names))])
    assert np.stack([recorded[name].at(ticks) for name in names], axis=1).tolist() == shown
    assert len(set(np.array(shown)[:, 3])) > 50


def test_recording_changes_nothing() -> None:
    def run(*, recorded: bool) -> tuple[int, list[str]]:
        sim = Simulation(load())
        if recorded:
            sim.record()
            sim.record("*.HEALTH", "PCOMP1.PRODUCED")
        ok(
            sim,
            *WIRED,
            "COUNTER1.OUT.CAPTURE=Value",
            "PCAP.TRIG=PULSE1.OUT",
            "PCAP.ENABLE=ONE",
            "*PCAP.ARM=",
            "BITS.A=1",
        )
        sim.outside.motor("INENC1").move(1000, speed=1e8)
        sim.advance(10_000)
        return sim.engine.events, sim.say("*PCAP.CAPTURED?", "*CHANGES?")

    plain, recorded = run(recorded=False), run(recorded=True)
    assert plain == recorded
    assert int(plain[1][0].removeprefix("OK =")) > 50


def test_patterns_name_signals_and_readbacks(sim: Simulation) -> None:
    assert list(sim.record("SEQ?.OUTA", "TTLOUT1")) == ["SEQ1.OUTA", "SEQ2.OUTA", "TTLOUT1"]
    assert set(sim.record("SEQ1.*")) == {"SEQ1.ACTIVE", *(f"SEQ1.OUT{letter}" for letter in "ABCDEF")}
    assert "PCAP.HEALTH" in sim.record("*.HEALTH")
    with pytest.raises(Refused, match=r"no signal matches 'PULSE1.OUTA'; did you mean PULSE1.OUT\?"):
        sim.record("PULSE1.OUTA")


def test_a_readback_is_recorded_and_its_field_stays_what_it_is(sim: Simulation) -> None:
    ok(sim, *WIRED)
    produced = sim.record("PCOMP1.PRODUCED")["PCOMP1.PRODUCED"]
    sim.outside.motor("INENC1").jump(-5)
    sim.advance(10)
    sim.outside.motor("INENC1").move(60, speed=1e6)
    sim.advance(20_000)
    assert produced.values.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert sim.say("PCOMP1.PRODUCED?", "PCOMP1.INP?") == ["OK =7", "OK =INENC1.VAL"]


def test_a_stopped_recording_stays_as_it_is(sim: Simulation) -> None:
    ok(sim, *WIRED, "BITS.A=1")
    first, second = sim.record("CLOCK1.OUT"), sim.record("CLOCK1.OUT")
    sim.advance(1000)
    first.stop()
    sim.advance(1000)
    assert len(second["CLOCK1.OUT"]) == 2 * len(first["CLOCK1.OUT"]) - 1
    assert second.changes > first.changes


def test_until_is_exact_to_the_tick(sim: Simulation) -> None:
    ok(sim, *WIRED)
    recorded = sim.record("TTLOUT1", "INENC1.VAL")
    ok(sim, "BITS.A=1")
    tick = sim.until("TTLOUT1", 1)
    assert tick == sim.engine.now == recorded["TTLOUT1"].rising[0]
    assert sim.until("TTLOUT1", 1) == tick
    sim.outside.motor("INENC1").move(500, speed=1e6)
    tick = sim.until("INENC1.VAL", above=123)
    assert recorded["INENC1.VAL"].at([tick - 1, tick]).tolist() == [123, 124]
    assert recorded["INENC1.VAL"].at(sim.until("INENC1.VAL", 200)) == 200
    assert sim.until("COUNTER1.OUT", above=300, limit=0.001) > tick
    with pytest.raises(TimeoutError, match=r"INENC1.VAL did not reach the wanted value within 0.01 s"):
        sim.until("INENC1.VAL", below=-3, limit=0.01)


@pytest.mark.parametrize("wanted", [{}, {"value": 1, "above": 0}, {"above": 1, "below": 5}])
def test_until_needs_exactly_one_condition(sim: Simulation, wanted: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="one of value, above and below"):
        sim.until("TTLOUT1", **wanted)
    with pytest.raises(Refused, match="matches 2 signals"):
        sim.until("SEQ?.OUTA", 1)
