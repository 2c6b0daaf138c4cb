"""CLOCK and PULSE."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.simulator.blocks.clock import Clock
from panda_ioc.simulator.blocks.drive import Rows, drive
from panda_ioc.simulator.blocks.pulse import Pulse

from . import naive
from .sequences import merged, play


@pytest.mark.parametrize(
    "rows",
    [
        """
        2: PERIOD=6
        4: ENABLE=1
        5: -> OUT=1
        8: -> OUT=0
        11: -> OUT=1
        12: PERIOD=6    # the same value starts a new phase
        16: -> OUT=0
        17: ENABLE=0
        """,
        """
        2: WIDTH=3
        4: ENABLE=1
        5: -> OUT=1
        8: -> OUT=0
        9: -> OUT=1
        12: -> OUT=0
        13: -> OUT=1
        15: PERIOD=2    # not over WIDTH, so it is 4
        19: -> OUT=0
        20: -> OUT=1
        22: WIDTH=0
        24: -> OUT=0
        25: ENABLE=0
        25: -> OUT=1
        26: -> OUT=0
        """,
        """
        1: ENABLE=1 PERIOD=5 WIDTH=2
        2: -> OUT=1
        4: -> OUT=0
        7: -> OUT=1
        8: ENABLE=0
        9: ENABLE=1 -> OUT=0
        10: -> OUT=1
        12: PERIOD=0 WIDTH=0 -> OUT=0
        """,
        """
        1: PERIOD=4 ENABLE=1
        2: -> OUT=1
        3: PERIOD=0     # nothing left to run with, but the old waveform holds for this tick
        4: -> OUT=0
        """,
        """
        1: ENABLE=1     # no period yet
        5: PERIOD=1     # acts as 2
        6: -> OUT=1
        7: -> OUT=0
        8: ENABLE=0
        8: -> OUT=1
        9: -> OUT=0
        """,
        """
        1: PERIOD=7 ENABLE=1   # odd: the high part is the shorter one
        2: -> OUT=1
        5: -> OUT=0
        9: ENABLE=0 -> OUT=1   # an edge in the tick in which ENABLE falls still comes
        10: -> OUT=0
        """,
    ],
)
def test_clock(rows: str) -> None:
    play(Clock, rows)


clock_rows = st.dictionaries(
    st.integers(0, 60),
    st.fixed_dictionaries(
        {}, optional={"ENABLE": st.integers(0, 1), "PERIOD": st.integers(0, 7), "WIDTH": st.integers(0, 5)}
    ),
    min_size=1,
)


@given(clock_rows)
def test_clock_against_one_that_counts_ticks(rows: Rows) -> None:
    naive.compare(Clock(), rows, naive.clock)


def test_a_slow_clock_costs_nothing_but_its_edges() -> None:
    period = 2**32 - 1
    found = drive(Clock(), {1: {"PERIOD": period, "WIDTH": 3, "ENABLE": 1}}, until=3 * period)
    starts = [2 + number * period for number in range(3)]
    assert found == {start + late: {"OUT": level} for start in starts for late, level in ((0, 1), (3, 0))}


@pytest.mark.parametrize(
    "rows",
    [
        """
        1: WIDTH=8
        3: ENABLE=1
        6: TRIG=1 -> OUT=1
        7: -> QUEUED=1
        9: TRIG=0
        10: TRIG=1 -> DROPPED=1
        14: -> OUT=0 QUEUED=0
        15: TRIG=0
        16: TRIG=1 -> OUT=1
        17: -> QUEUED=1
        24: -> OUT=0 QUEUED=0
        """,
        """
        1: WIDTH=6 DELAY=20
        3: ENABLE=1
        6: TRIG=1
        7: TRIG=0 -> QUEUED=1
        12: TRIG=1 -> DROPPED=1
        13: TRIG=0
        19: TRIG=1
        20: TRIG=0 -> QUEUED=2
        26: TRIG=1 -> OUT=1
        27: TRIG=0 -> QUEUED=3
        32: -> OUT=0 QUEUED=2
        39: -> OUT=1
        45: -> OUT=0 QUEUED=1
        46: -> OUT=1
        52: -> OUT=0 QUEUED=0
        """,
        """
        1: WIDTH=6 PULSES=3 STEP=0
        2: ENABLE=1
        5: TRIG=1 -> OUT=1
        6: -> QUEUED=1
        11: -> OUT=0
        12: -> OUT=1
        18: -> OUT=0
        19: -> OUT=1
        25: -> OUT=0 QUEUED=0
        """,
        """
        1: ENABLE=1            # no WIDTH, no DELAY: OUT is TRIG, from the first edge on
        3: TRIG=1 -> OUT=1
        4: TRIG=0 -> OUT=0
        5: TRIG=1 -> OUT=1
        6: ENABLE=0 -> OUT=0
        7: ENABLE=1
        9: TRIG=0
        """,
        """
        1: DELAY=2 ENABLE=1    # at least 5
        3: TRIG=1
        4: TRIG=0 -> QUEUED=1
        5: TRIG=1 -> QUEUED=2
        6: -> QUEUED=3
        8: -> OUT=1 QUEUED=2
        9: -> OUT=0 QUEUED=1
        10: -> OUT=1 QUEUED=0
        """,
        """
        1: WIDTH=1 ENABLE=1    # at least 5; a write and ENABLE in one tick: enabled in the next
        2: TRIG=1
        3: TRIG=0
        4: TRIG=1 -> OUT=1
        5: -> QUEUED=1
        9: -> OUT=0 QUEUED=0
        """,
        """
        1: WIDTH=6
        2: ENABLE=1 TRIG=1     # the edge in the tick of ENABLE is not counted
        3: TRIG=0
        4: TRIG=1 -> OUT=1
        5: TRIG=0 -> QUEUED=1
        6: TRIG=1 -> DROPPED=1
        8: WIDTH=6 -> OUT=0 QUEUED=0      # the same value
        9: TRIG=0 -> DROPPED=0
        10: TRIG=1 -> OUT=1
        11: -> QUEUED=1
        13: ENABLE=0 -> OUT=0 QUEUED=0
        """,
        """
        1: WIDTH=5 DELAY=5 TRIG_EDGE=2
        2: ENABLE=1
        4: TRIG=1
        5: -> QUEUED=1
        9: -> OUT=1
        10: TRIG=0               # six ticks later: just not too early
        11: -> QUEUED=2
        14: -> OUT=0 QUEUED=1
        15: TRIG=1 -> OUT=1 DROPPED=1
        20: -> OUT=0 QUEUED=0
        25: ENABLE=0             # DROPPED stays
        26: ENABLE=1 -> DROPPED=0
        """,
        """
        1: WIDTH=5 TRIG_EDGE=1 ENABLE=1
        4: TRIG=1
        6: TRIG=0 -> OUT=1
        7: -> QUEUED=1
        9: TRIG_EDGE=0 -> OUT=0 QUEUED=0
        """,
        """
        1: WIDTH_L=6 WIDTH_H=0 DELAY_L=5
        2: ENABLE=1
        4: TRIG=1
        5: -> QUEUED=1
        9: -> OUT=1
        15: -> OUT=0 QUEUED=0
        """,
    ],
)
def test_pulse(rows: str) -> None:
    play(Pulse, rows)


def test_a_pulse_of_hours() -> None:
    rows = {1: {"WIDTH_H": 1, "WIDTH_L": 7}, 2: {"ENABLE": 1}, 5: {"TRIG": 1}}
    end = 5 + 2**32 + 7
    assert drive(Pulse(), rows, until=2 * end) == {5: {"OUT": 1}, 6: {"QUEUED": 1}, end: {"OUT": 0, "QUEUED": 0}}


def test_a_queue_that_is_full_drops() -> None:
    rows = {1: {"DELAY": 10_000}, 2: {"ENABLE": 1}} | {tick: {"TRIG": tick % 2} for tick in range(5, 305)}
    last: dict[str, int] = {}
    for changes in drive(Pulse(), rows).values():
        last |= changes
    assert last == {"QUEUED": 256, "DROPPED": 300 - 256}


pulse_rows = st.dictionaries(
    st.integers(0, 120),
    st.fixed_dictionaries(
        {},
        optional={"TRIG": st.integers(0, 1)},
    ),
    min_size=1,
)


@given(
    pulse_rows,
    st.dictionaries(st.integers(0, 100), st.integers(0, 1), max_size=3),
    st.dictionaries(
        st.integers(0, 60),
        st.fixed_dictionaries(
            {},
            optional={
                "DELAY": st.integers(0, 20),
                "WIDTH": st.integers(0, 9),
                "PULSES": st.integers(0, 3),
                "STEP": st.integers(0, 14),
                "TRIG_EDGE": st.integers(0, 2),
            },
        ),
        max_size=3,
    ),
)
def test_pulse_against_a_list_of_edges(triggers: Rows, enables: dict[int, int], params: Rows) -> None:
    levels: Rows = {tick: {"ENABLE": level} for tick, level in enables.items()}
    naive.compare(Pulse(), merged({1: {"ENABLE": 1}}, triggers, levels, params), naive.pulse, beyond=120)
