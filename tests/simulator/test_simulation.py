"""A whole PandA, configured by commands: exact in every tick, and reproducible."""

import random

import numpy as np
import pytest

from panda_ioc.simulator import Simulation, engine, load
from panda_ioc.simulator.blocks.base import Kind
from panda_ioc.simulator.blocks.pcomp import Pcomp
from panda_ioc.simulator.wiring import Delays


@pytest.fixture
def sim() -> Simulation:
    return Simulation(load())


def ok(sim: Simulation, *lines: str) -> None:
    assert set(sim.say(*lines)) == {"OK"}


def samples(sim: Simulation) -> list[tuple[int, ...]]:
    sim.flush()
    acquisition = sim.capture.acquisition
    assert acquisition
    words = [acquisition.read(at, 1) for at in range(acquisition.samples)]
    rows = np.concatenate([one for one in words if one is not None]).astype("<u4").tobytes()
    return list(np.frombuffer(rows, acquisition.layout.raw_dtype).tolist())


#: A clock of 100 ticks counts, and triggers PCAP.
COUNT = (
    "CLOCK1.PERIOD=8e-7",
    "CLOCK1.WIDTH=4e-8",
    "CLOCK1.ENABLE=PCAP.ACTIVE",
    "COUNTER1.TRIG=CLOCK1.OUT",
    "COUNTER1.ENABLE=ONE",
    "PCAP.ENABLE=PCAP.ACTIVE",
    "PCAP.TRIG=CLOCK1.OUT",
    "PCAP.TS_TRIG.CAPTURE=Value",
    "COUNTER1.OUT.CAPTURE=Value",
)


@pytest.mark.parametrize(("delay", "first"), [(0, 0), (1, 1)])
def test_pcap_captures_a_counter_with_the_same_trigger_before_or_after_it_counts(
    sim: Simulation, delay: int, first: int
) -> None:
    ok(sim, *COUNT, f"PCAP.TRIG.DELAY={delay}", "*PCAP.ARM=")
    sim.advance(350)
    # ARM at t: ACTIVE at t+4 enables PCAP, which is timestamp 0; at t+3 it enables CLOCK, whose OUT is high
    # a tick later and takes 4 ticks to TRIG.
    assert samples(sim) == [(first + number, 4 + delay + 100 * number) for number in range(4)]
    assert sim.say("*PCAP.CAPTURED?", "*PCAP.STATUS?", "*PCAP.COMPLETION?") == ["OK =4", "OK =Busy 0 0", "OK =Busy"]
    ok(sim, "*PCAP.DISARM=")
    assert sim.say("*PCAP.STATUS?", "*PCAP.COMPLETION?") == ["OK =Idle 0 0", "OK =Disarmed"]


def test_wires_can_have_the_delays_of_the_reference_model() -> None:
    sim = Simulation(load(), delays=Delays(bit=1, position=1, trigger=1, captured=1))
    ok(sim, *COUNT, "PCAP.TRIG.DELAY=1", "*PCAP.ARM=")
    sim.advance(250)
    assert samples(sim) == [(number + 1, 3 + 100 * number) for number in range(3)]


def test_the_end_of_the_gate_ends_an_acquisition_well(sim: Simulation) -> None:
    ok(sim, *COUNT, "PCAP.ENABLE=BITS.OUTA", "*PCAP.ARM=")
    sim.advance(500)
    assert sim.say("*PCAP.CAPTURED?", "PCAP.ACTIVE?") == ["OK =0", "OK =1"]
    ok(sim, "BITS.A=1")
    sim.advance(1000)
    ok(sim, "BITS.A=0")
    sim.advance(10)
    assert sim.say("*PCAP.CAPTURED?", "*PCAP.COMPLETION?", "PCAP.ACTIVE?") == ["OK =10", "OK =Ok", "OK =0"]
    assert sim.say("*PCAP.ARM=", "*PCAP.ARM=") == ["OK", "ERR Data capture already in progress"]


def test_triggers_that_come_too_close_are_a_framing_error(sim: Simulation) -> None:
    ok(sim, *COUNT, "CLOCK1.WIDTH=0", "CLOCK1.PERIOD=1.6e-8", "*PCAP.ARM=")
    sim.advance(100)
    assert sim.say("*PCAP.COMPLETION?", "PCAP.HEALTH?") == [
        "OK =Framing error",
        "OK =Capture events too close together",
    ]
    ok(sim, "CLOCK1.PERIOD=1e-6", "*PCAP.ARM=")
    assert sim.say("PCAP.HEALTH?", "*PCAP.COMPLETION?") == ["OK =OK", "OK =Busy"]


def test_every_way_to_capture(sim: Simulation) -> None:
    """Capture a counter that increments every 20 ticks, with a trigger every 100 ticks, in all ways."""
    place = sim.panda.buses.bits.index("CLOCK1.OUT")
    ok(
        sim,
        *COUNT,
        "CLOCK2.PERIOD=1.6e-7",
        "CLOCK2.ENABLE=PCAP.ACTIVE",
        "COUNTER2.TRIG=CLOCK2.OUT",
        "COUNTER2.ENABLE=ONE",
        "PCAP.GATE=ONE",
        "COUNTER2.OUT.CAPTURE=Value Diff Sum Min Max Mean StdDev",
        "PCAP.GATE_DURATION.CAPTURE=Value",
        "PCAP.TS_START.CAPTURE=Value",
        "PCAP.TS_END.CAPTURE=Value",
        f"PCAP.BITS{place // 32}.CAPTURE=Value",
        "*PCAP.ARM=",
    )
    sim.advance(450)
    assert sim.capture.acquisition
    columns = [f"{item.name}.{item.capture}" for item in sim.capture.acquisition.layout.items]
    third = dict(zip(columns, samples(sim)[2], strict=True))
    # CLOCK2 is high at timestamp 0; COUNTER2 counts 3 ticks later, and its bus takes 2: it is seen at 5, 25, 45...
    values = [(tick - 5) // 20 + 1 if tick >= 5 else 0 for tick in range(500)]
    window = values[104:204]
    bits = third.pop(f"PCAP.BITS{place // 32}.Value")
    assert bits >> place % 32 & 1 == 1
    assert np.array(third.pop("COUNTER2.OUT.StdDev")).tolist() == [sum(value**2 for value in window), 0, 0]
    assert third == {
        "PCAP.GATE_DURATION.Value": 100,
        "COUNTER1.OUT.Value": 2,
        "COUNTER2.OUT.Value": values[204],
        "COUNTER2.OUT.Diff": values[204] - values[104],
        "COUNTER2.OUT.Min": min(window),
        "COUNTER2.OUT.Max": max(window),
        "PCAP.TS_START.Value": 104,
        "PCAP.TS_END.Value": 204,
        "PCAP.TS_TRIG.Value": 204,
        "COUNTER2.OUT.Sum": sum(window),
        "COUNTER2.OUT.Mean": sum(window),
    }


def test_a_table_reaches_its_block_and_a_stream_is_fed_buffer_by_buffer(sim: Simulation) -> None:
    row = [1 | 1 << 20, 0, 5, 5]  # immediately, OUTA for 5 ticks, then nothing for 5
    lines = [" ".join(map(str, row))] * 3
    ok(sim, "SEQ1.TABLE<", *lines, "", "SEQ1.REPEATS=2", "SEQ1.ENABLE=BITS.OUTA", "COUNTER1.TRIG=SEQ1.OUTA")
    ok(sim, "COUNTER1.ENABLE=ONE")
    sim.advance(20)
    assert sim.say("SEQ1.STATE?", "SEQ1.TABLE.MODE?") == ["OK =WAIT_ENABLE", "OK =FIXED"]
    ok(sim, "BITS.A=1")
    sim.advance(100)
    assert sim.say("COUNTER1.OUT?", "SEQ1.STATE?", "SEQ1.TABLE_REPEAT?") == ["OK =6", "OK =WAIT_ENABLE", "OK =2"]
    ok(sim, "BITS.A=0", "SEQ1.TABLE<", "", "SEQ1.TABLE<<", *lines, "", "SEQ1.TABLE<<", *lines, "")
    sim.advance(50)
    assert sim.say("SEQ1.TABLE.MODE?", "SEQ1.TABLE.QUEUED_LINES?") == ["OK =STREAMING", "OK =6"]
    ok(sim, "BITS.A=1", "SEQ1.TABLE<<|", *lines, "")
    sim.advance(55)
    assert sim.say("SEQ1.TABLE.QUEUED_LINES?")[0] in {"OK =3", "OK =4"}
    sim.advance(100)
    assert sim.say("COUNTER1.OUT?", "SEQ1.STATE?", "SEQ1.HEALTH?", "SEQ1.TABLE.MODE?", "SEQ1.TABLE.QUEUED_LINES?") == [
        *("OK =15", "OK =UNREADY", "OK =OK", "OK =STREAMING_LAST", "OK =0")
    ]


def test_changes_of_buses_and_readbacks_are_reported(sim: Simulation) -> None:
    sim.say("*CHANGES?")
    ok(sim, "COUNTER1.ENABLE=ONE", "COUNTER1.START=7")
    sim.advance(10)
    assert "!COUNTER1.OUT=0" not in sim.say("*CHANGES.POSN?")
    ok(sim, "COUNTER1.SET=5", "BITS.A=1", "TTLIN1.TERM=50-Ohm")
    assert sim.say("*CHANGES.POSN?", "*CHANGES.BITS?") == ["!COUNTER1.OUT=5", ".", "!BITS.OUTA=1", "."]
    ok(sim, "BITS.A=0", "BITS.A=1")
    assert sim.say("*CHANGES.BITS?") == ["!BITS.OUTA=1", "."]
    assert sim.say("*CHANGES.BITS?") == ["."]


#: Fields by type that blocks must have a port for.
NOT_SIMULATED = {
    "TTLIN.TERM", "INENC.CLK_SRC", "INENC.CLK_PERIOD", "INENC.FRAME_PERIOD", "INENC.DCARD_TYPE",
    "OUTENC.GENERATOR_ERROR", "OUTENC.ENCODING", "OUTENC.BITS", "OUTENC.DCARD_TYPE",
}  # fmt: skip


def test_every_field_of_a_pandabox_reaches_a_block(sim: Simulation) -> None:
    """The few fields without an effect are listed here."""
    missing = set()
    for name, field in sim.panda.fields.items():
        instance, _, port = name.partition(".")
        kind = instance.rstrip("0123456789") if instance.rstrip("0123456789") in sim.panda.spec.blocks else instance
        node = sim.engine.nodes.get(instance)
        assert node is not None, name
        port = f"{port}_LENGTH" if field.spec.kind == "table" else port
        known = node.block.ports.get(port)
        if field.spec.kind != "ext_out" and (known is None or known.kind is Kind.STREAM):
            missing.add(f"{kind}.{port}")
    assert {name for name in missing if not name.startswith(("SYSTEM", "SFP"))} == NOT_SIMULATED


def run_anything(seed: int, slices: list[int]) -> tuple[list[tuple[int, ...]], dict[str, int]]:
    """Wire blocks at random, move motors, let time pass in pieces, and return the captured samples."""
    chance = random.Random(seed)
    sim = Simulation(load())
    ok(sim, *COUNT, "COUNTER2.OUT.CAPTURE=Min Max Mean", "PCAP.BITS0.CAPTURE=Value", "PCAP.BITS1.CAPTURE=Value")
    ok(sim, "INENC1.VAL.CAPTURE=Value Diff Sum Min Max", "CALC1.OUT.CAPTURE=Value Mean", "PCAP.GATE=CLOCK2.OUT")
    bits, positions = list(sim.panda.buses.bits), list(sim.panda.buses.positions)
    for name, field in sim.panda.fields.items():
        if name.startswith(("PCAP", "CLOCK")) or chance.random() < 0.5:
            continue
        if field.spec.kind == "bit_mux":
            ok(sim, f"{name}={chance.choice(bits)}", f"{name}.DELAY={chance.randrange(32)}")
        elif field.spec.kind == "pos_mux":
            ok(sim, f"{name}={chance.choice(positions)}")
    position_rows = [1 | 7 << 16 | 1 << 20, 20, 3, 4, 1 | 8 << 16 | 2 << 26, 10, 0, 9]
    ok(sim, "SEQ1.TABLE<", " ".join(map(str, position_rows)), "", "SEQ1.POSA=INENC1.VAL", "SEQ1.ENABLE=ONE")
    ok(sim, "PCOMP1.INP=INENC1.VAL", "PCOMP1.ENABLE=CLOCK2.OUT", "PCOMP1.START=10", "PCOMP1.WIDTH=3", "PCOMP1.STEP=7")
    ok(sim, "CLOCK2.PERIOD=3e-5", "CLOCK2.ENABLE=ONE", "LUT1.FUNC=A^B", "PULSE1.WIDTH=1e-7", "*PCAP.ARM=")
    sim.outside.motor("INENC1").sine(50, 5e-5)
    sim.outside.motor("INENC2").move(-300, speed=5e6, acceleration=1e11)
    sim.outside.input("TTLIN1").pulses(1e-6, 3e-6, cycles=None)
    for ticks in slices:
        sim.advance(ticks)
    return samples(sim), {name: field.raw for name, field in sim.panda.fields.items() if field.group}


@pytest.mark.parametrize("seed", range(4))
def test_the_same_wiring_gives_the_same_samples_every_time(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    once = run_anything(seed, [20_000])
    assert len(once[0]) > 100
    assert run_anything(seed, [1] * 50 + [950] + [1000] * 19) == once
    # Call blocks for each count and each change, even in their quiet range.
    monkeypatch.setattr(engine, "_all_quiet", lambda *_: False)
    monkeypatch.setattr(Pcomp, "_band", lambda block: (block.INP, block.INP))
    assert run_anything(seed, [20_000]) == once
