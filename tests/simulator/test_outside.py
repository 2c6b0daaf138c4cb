"""Motors and inputs: they do what they are asked, and blocks see it exact to the tick."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.simulator import Simulation, load
from panda_ioc.simulator.motion import at
from panda_ioc.simulator.numbers import Refused
from panda_ioc.simulator.outside import Outside
from panda_ioc.simulator.profiles import Profile, move, noisy, pulses, sine

MS = 125_000


def values(profile: Profile, ticks: range) -> list[int]:
    """Return the values of a profile at some ticks; 0 before it begins."""
    found = []
    value: object = 0
    following = next(profile, None)
    for tick in ticks:
        while following is not None and following[0] <= tick:
            value = following[1]
            following = next(profile, None)
        found.append(at(value, tick))  # type: ignore[arg-type]
    return found


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(1, 1e6), st.floats(1, 1e7) | st.just(math.inf))
def test_a_motor_arrives_on_time(position: float, to: float, speed: float, acceleration: float) -> None:
    last = position
    way = abs(to - position)
    top = min(speed, math.sqrt(way * acceleration)) if way else speed
    end = 2 * top / acceleration + (way - top * top / acceleration) / top if way else 0.0
    for tick, value in move(1000, position, to, speed, acceleration):
        here = at(value, tick)
        assert min(position, to) - 2 <= here <= max(position, to) + 2
        assert (here - last) * math.copysign(1, to - position) >= -2
        last = here
    assert last == math.floor(to)
    assert tick == pytest.approx(1000 + end * 125e6, abs=10)


def test_a_trapezoid() -> None:
    found = values(move(0, 0, 3000, 1000, 1000), range(0, 4001 * MS, 500 * MS))
    assert found == [0, 125, 500, 1000, 1500, 2000, 2500, 2875, 3000]
    assert values(move(0, 10, -10, 1e6, 10), range(0, 3000 * MS, 707_107 * MS // 1000))[1:4] == [7, -1, -8]


def test_a_sine() -> None:
    assert values(sine(0, 100, 50, 1.0, 1), range(0, 1001 * MS, 250 * MS)) == [100, 150, 100, 50, 100]
    forever = sine(0, 0, 1000, 0.001, None)
    assert values(forever, range(MS * 1000 + MS // 4, MS * 1000 + MS // 4 + 1)) == [1000]


def test_noise_is_the_same_each_time_and_within_bounds() -> None:
    one, other = (values(noisy(move(0, 0, 100, 100, math.inf), 0, 0, 5, 0.01), range(0, 2000 * MS, MS)) for _ in "12")
    assert one == other
    off = [abs(value - min(tick // 10, 100)) for tick, value in enumerate(one)]
    assert max(off) in {5, 6}
    assert len(set(one[1500:])) > 5


def test_pulses() -> None:
    assert list(pulses(7, 0.001, 0.004, 2)) == [(7, 1), (7 + MS, 0), (7 + 4 * MS, 1), (7 + 5 * MS, 0)]


def test_blocks_see_the_world_outside() -> None:
    sim = Simulation(load())
    assert set(sim.say("COUNTER1.TRIG=TTLIN3.VAL", "COUNTER1.ENABLE=ONE", "TTLOUT2.VAL=TTLIN3.VAL")) == {"OK"}
    sim.outside.input("TTLIN3").pulses(1e-6, 3e-6, 5)
    sim.advance(4 * 375 + 100)
    assert sim.say("COUNTER1.OUT?", "TTLIN3.VAL?") == ["OK =5", "OK =1"]
    assert sim.outside.output("TTLOUT2") == 1
    sim.advance(100)
    assert sim.outside.output("TTLOUT2") == 0
    sim.outside.input("TTLIN3").level(1)
    sim.advance(4)
    assert sim.say("COUNTER1.OUT?") == ["OK =6"]


def test_an_encoder_follows_its_motor() -> None:
    sim = Simulation(load())
    motor = sim.outside.motor("INENC2")
    motor.move(1000, speed=1e6)
    sim.say("*CHANGES?")
    sim.advance(125 * 500 + 1)  # the wire from the motor takes a tick
    assert sim.say("INENC2.VAL?") == ["OK =500"]
    assert "!INENC2.VAL=500" in sim.say("*CHANGES.POSN?")
    sim.advance(125 * 100)
    assert "!INENC2.VAL=600" in sim.say("*CHANGES.POSN?")
    motor.stop()
    sim.advance(1000)
    sim.say("*CHANGES.POSN?")
    sim.advance(1000)
    assert sim.say("*CHANGES.POSN?") == ["."]
    sim.say("INENC2.SETP=-7")
    assert sim.say("INENC2.VAL?", "INENC2.HOMED?", "INENC2.CONN?") == ["OK =-7", "OK =1", "OK =1"]
    motor.link(up=False)
    motor.jump(0)
    sim.advance(10)
    assert sim.say("INENC2.VAL?", "INENC2.HEALTH?") == ["OK =-7", "OK =Linkup error (=not CONN)"]


def test_a_scan() -> None:
    """A motor sweeps, PCOMP triggers, PCAP captures: the captured positions are as configured."""
    sim = Simulation(load())
    settings = {
        "PCOMP1.INP": "INENC1.VAL", "PCOMP1.START": "1000", "PCOMP1.STEP": "100", "PCOMP1.WIDTH": "50",
        "PCOMP1.PULSES": "20", "PCOMP1.ENABLE": "PCAP.ACTIVE", "PCAP.ENABLE": "PCOMP1.ACTIVE",
        "PCAP.TRIG": "PCOMP1.OUT", "INENC1.VAL.CAPTURE": "Value", "PCAP.TS_TRIG.CAPTURE": "Value",
    }  # fmt: skip
    assert set(sim.say(*(f"{name}={value}" for name, value in settings.items()), "*PCAP.ARM=")) == {"OK"}
    sim.outside.motor("INENC1").move(4000, speed=100_000, acceleration=1e6)
    events = sim.engine.events
    sim.advance(125_000_000)
    assert sim.say("*PCAP.COMPLETION?", "*PCAP.CAPTURED?") == ["OK =Ok", "OK =20"]
    assert sim.capture.acquisition
    words = sim.capture.acquisition.read(0, 20)
    assert words is not None
    assert words[:, 0].tolist() == list(range(1000, 3000, 100))
    assert sim.engine.events - events < 800


@pytest.mark.parametrize(
    ("do", "says"),
    [
        (lambda outside: outside.motor("TTLIN1"), "TTLIN1 is not an encoder input"),
        (lambda outside: outside.input("TTLOUT1"), "TTLOUT1 is not an input"),
        (lambda outside: outside.input("nothing"), "nothing is not an input"),
        (lambda outside: outside.output("TTLIN1"), "TTLIN1 is not an output"),
        (lambda outside: outside.motor("INENC1").move(1e10, 5), "position 1e.10 is out of range"),
        (lambda outside: outside.motor("INENC1").move(1, 0), "speed 0 is out of range"),
        (lambda outside: outside.motor("INENC1").move(1, math.nan), "speed nan is out of range"),
        (lambda outside: outside.motor("INENC1").sine(5, math.inf), "time inf is out of range"),
        (lambda outside: outside.input("TTLIN1").pulses(2, 1), "a pulse width of 2 s needs"),
    ],
)
def test_invalid_requests(do: object, says: str) -> None:
    assert callable(do)
    with pytest.raises(Refused, match=says):
        do(Simulation(load()).outside)


def test_slow_motors_do_not_take_memory() -> None:
    corners = 0
    for _ in move(0, 0, 1e6, 1e9, 1e-6):
        corners += 1
    assert corners < 20_000


def test_sources_are_made_on_demand() -> None:
    sim = Simulation(load())
    nodes = len(sim.engine.nodes)
    assert isinstance(sim.outside, Outside)
    sim.outside.motor("INENC1")
    assert sim.outside.motor("INENC1") is sim.outside.motor("INENC1")
    assert len(sim.engine.nodes) == nodes + 1
