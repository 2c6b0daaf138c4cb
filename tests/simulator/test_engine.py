"""The engine: wires have their delays, idle ticks cost nothing, and moving positions are exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.simulator.blocks import Block
from panda_ioc.simulator.blocks.base import Changes, bit_in, bit_out, param, pos_in, pos_out
from panda_ioc.simulator.blocks.bits import Bits
from panda_ioc.simulator.blocks.calc import Calc
from panda_ioc.simulator.blocks.clock import Clock
from panda_ioc.simulator.blocks.pcomp import Pcomp
from panda_ioc.simulator.engine import Engine, Node
from panda_ioc.simulator.motion import FRACTION, Ramp


class Probe(Block):
    """A block that records its inputs."""

    BIT: int = bit_in()
    POS: int = pos_in()
    OUT: int = bit_out()

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, str, int]] = []

    def step(self, now: int, changes: object) -> None:
        assert isinstance(changes, dict)
        self.seen += [(now, name, value) for name, value in changes.items()]
        self.OUT = self.BIT


class Mover(Block):
    """A block that outputs a moving position."""

    SET: object = pos_in(moving=True)
    OUT: object = pos_out()

    def step(self, now: int, changes: object) -> None:
        self.OUT = self.SET


class Later(Block):
    """A block that asks for a call long after each input."""

    BIT: int = bit_in()
    OUT: int = bit_out()

    def step(self, now: int, changes: object) -> int | None:
        self.OUT = self.BIT
        return now + 10**9 if changes else None


def probed(engine: Engine, source: Node, port: str, ticks: int, to: str = "BIT") -> Probe:
    probe = Probe()
    engine.connect(source.slots[port], engine.add(f"PROBE{len(engine.nodes)}", probe), to, ticks)
    return probe


def test_a_wire_has_its_delay() -> None:
    engine = Engine()
    bits = engine.add("BITS", Bits())
    near, far = (probed(engine, bits, "OUTA", ticks) for ticks in (1, 35))
    engine.run(100)
    engine.put(110, bits, {"A": 1})
    engine.put(112, bits, {"A": 0})
    engine.run(1000)
    assert near.seen == [(111, "BIT", 1), (113, "BIT", 0)]
    assert far.seen == [(145, "BIT", 1), (147, "BIT", 0)]


def test_a_new_wire_drops_values_in_transit() -> None:
    engine = Engine()
    bits = engine.add("BITS", Bits())
    probe = probed(engine, bits, "OUTA", 10)
    node = engine.nodes["PROBE1"]
    engine.put(20, bits, {"A": 1, "B": 1})
    engine.run(25)
    engine.connect(bits.slots["OUTB"], node, "BIT", 3)
    engine.run(27)
    assert probe.seen == []
    engine.run(50)
    assert probe.seen == [(28, "BIT", 1)]
    engine.disconnect(node, "BIT")
    engine.put(60, bits, {"B": 0})
    engine.run(90)
    assert len(probe.seen) == 1


def test_hours_of_idle_are_free() -> None:
    engine = Engine()
    clock = engine.add("CLOCK", Clock())
    engine.put(1, clock, {"PERIOD": 1000, "ENABLE": 1})
    engine.put(2001, clock, {"ENABLE": 0})
    engine.run(10**15)
    assert engine.events < 10
    assert engine.next_due() is None
    assert engine.now == 10**15


def test_a_rescheduled_block_is_called_once() -> None:
    engine = Engine()
    clock, later = engine.add("CLOCK", Clock()), engine.add("LATER", Later())
    engine.connect(clock.slots["OUT"], later, "BIT", 1)
    engine.put(1, clock, {"PERIOD": 10, "ENABLE": 1})
    engine.run(50_000)
    assert engine.queued < 200
    engine.put(60_000, clock, {"ENABLE": 0})
    engine.run(70_000)
    due = later.wake
    assert due is not None
    assert engine.next_due() == due
    events = engine.events
    engine.run(due)
    assert (engine.events, engine.next_due(), engine.queued) == (events + 1, None, 0)


def test_rescheduling_a_block_keeps_other_events_of_the_tick() -> None:
    engine = Engine()
    bits, later = engine.add("BITS", Bits()), engine.add("LATER", Later())
    probe = probed(engine, bits, "OUTA", 1)
    called: list[int] = []
    engine.put(1, later, {"BIT": 1})
    engine.run(1)
    engine.call_at(10**9 + 1, lambda: called.append(1))
    engine.put(2, later, {"BIT": 0})
    engine.run(2)
    engine.put(10**9 + 2, bits, {"A": 1})
    engine.put(3, later, {"BIT": 1})
    engine.run(10**9 + 2)
    assert called == [1]
    engine.run(10**9 + 4)
    assert (10**9 + 3, "BIT", 1) in probe.seen


def test_a_run_can_be_split() -> None:
    engine = Engine()
    clock = engine.add("CLOCK", Clock())
    engine.put(1, clock, {"PERIOD": 2, "ENABLE": 1})
    assert not engine.run(10**9, limit=50)
    assert 50 <= engine.events <= 52
    assert 40 < engine.now < 60
    with pytest.raises(ValueError, match="has passed"):
        engine.put(engine.now, clock, {"ENABLE": 0})
    engine.put(engine.now + 1, clock, {"ENABLE": 0})
    assert engine.run(10**9, limit=50)


def test_calls_come_before_the_blocks_of_their_tick() -> None:
    engine = Engine()
    bits = engine.add("BITS", Bits())
    probe = probed(engine, bits, "OUTA", 1)
    engine.call_at(50, lambda: engine.write(bits, {"A": 1}))
    engine.run(100)
    assert probe.seen == [(52, "BIT", 1)]
    with pytest.raises(ValueError, match="has passed"):
        engine.call_at(100, lambda: None)


class Forgetful(Block):
    """A block that asks for a call in the past."""

    A: int = param()

    def step(self, now: int, changes: Changes) -> int | None:
        return now if "A" in changes else None


def test_a_block_cannot_ask_for_a_call_in_the_past() -> None:
    engine = Engine()
    node = engine.add("BAD", Forgetful())
    engine.put(5, node, {"A": 1})
    with pytest.raises(RuntimeError, match="BAD asked in tick 5 for a call in tick 5"):
        engine.run(100)


positions = st.integers(-(2**20), 2**20)


@given(positions, st.integers(-(2**46), 2**46), st.integers(1, 60), positions)
def test_a_moving_position_reaches_a_block_count_by_count(base: int, rate: int, ticks: int, later: int) -> None:
    """A block without support for moving positions sees each count."""
    ramp = Ramp(5, base << FRACTION, rate)
    engine = Engine()
    mover = engine.add("MOVER", Mover())
    calc = engine.add("CALC", Calc())
    engine.connect(mover.slots["OUT"], calc, "INPA", 2)
    probe = probed(engine, calc, "OUT", 1, "POS")
    engine.put(5, mover, {"SET": ramp})
    engine.put(5 + ticks, mover, {"SET": later})
    engine.run(200)
    expected = []
    value = 0
    for tick in range(5, 6 + ticks):
        new = later if tick == 5 + ticks else ramp.at(tick)
        if new != value:
            expected.append((tick + 3, "POS", new))
        value = new
    assert probe.seen == expected


def test_pcomp_costs_one_event_for_each_edge_of_a_motor_that_moves() -> None:
    engine = Engine()
    mover = engine.add("MOVER", Mover())
    pcomp = engine.add("PCOMP", Pcomp())
    engine.connect(mover.slots["OUT"], pcomp, "INP", 2)
    probe = probed(engine, pcomp, "OUT", 1)
    engine.put(5, pcomp, {"START": 1000, "WIDTH": 10, "STEP": 100, "PULSES": 3})
    engine.put(6, pcomp, {"ENABLE": 1})
    engine.put(10, mover, {"SET": Ramp(10, 0, 1 << FRACTION - 3)})  # a count in 8 ticks
    engine.run(10**6)
    at = [12 + 8 * position + 1 for position in (1000, 1010, 1100, 1110, 1200, 1210)]
    assert [tick for tick, _, _ in probe.seen] == at
    assert engine.events < 40
