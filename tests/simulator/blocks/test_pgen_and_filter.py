"""PGEN and FILTER."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.simulator.blocks.drive import Rows, drive
from panda_ioc.simulator.blocks.filter import Filter
from panda_ioc.simulator.blocks.pgen import Pgen
from panda_ioc.simulator.motion import FRACTION, Ramp

from . import naive
from .sequences import memory, merged, play


@pytest.mark.parametrize(
    "rows",
    [
        """
        1: REPEATS=2
        3: TABLE_LENGTH=3
        11: -> STATE=1
        20: ENABLE=1 TRIG=1 -> ACTIVE=1 STATE=2   # this trigger is ignored
        21: TRIG=0
        23: TRIG=1 -> OUT=100
        24: TRIG=0
        26: TRIG=1 -> OUT=200
        27: TRIG=0
        28: ENABLE=0 -> ACTIVE=0 STATE=1
        30: ENABLE=1 -> ACTIVE=1 STATE=2
        31: TRIG=1 -> OUT=100
        32: TRIG=0
        33: TRIG=1 -> OUT=200
        34: TRIG=0
        35: TRIG=1 -> OUT=-300
        36: TRIG=0
        37: TRIG=1 -> OUT=100
        38: TRIG=0
        39: TRIG=1 -> OUT=200
        40: TRIG=0
        41: TRIG=1 -> OUT=-300 ACTIVE=0 STATE=1
        42: TRIG=0
        43: TRIG=1                                # no longer active
        """,
        """
        1: ENABLE=1
        3: TABLE_LENGTH=3
        5: TABLE_LENGTH=3
        6: -> HEALTH=2
        11: -> STATE=1
        14: ENABLE=0
        15: ENABLE=1 -> ACTIVE=1 STATE=2 HEALTH=0
        16: TABLE_LENGTH=3
        17: -> ACTIVE=0 STATE=0 HEALTH=2
        20: TABLE_LENGTH=0
        21: TABLE_LENGTH=3
        29: -> STATE=1
        30: TABLE_LENGTH=0
        32: -> STATE=0
        """,
        """
        3: TABLE_LENGTH=3                         # REPEATS=0: no limit
        11: -> STATE=1
        20: ENABLE=1 -> ACTIVE=1 STATE=2
        21: TRIG=1 -> OUT=100
        22: TRIG=0
        23: TRIG=1 -> OUT=200
        24: TRIG=0 TABLE_LENGTH=0
        26: TRIG=1 -> ACTIVE=0 STATE=0 HEALTH=1   # cleared while it was played
        """,
    ],
)
def test_pgen(rows: str) -> None:
    play(lambda: Pgen(memory([100, 200, -300 & 0xFFFFFFFF])), rows)


@pytest.mark.parametrize(
    "rows",
    [
        """
        35: TRIG=1 -> ACTIVE=0 STATE=0 HEALTH=1
        39: ENABLE=0
        40: ENABLE=1 -> HEALTH=0                  # in any state
        """,
        """
        25: TABLE_ADDRESS=1000 TABLE_LENGTH=2
        35: TRIG=1 -> OUT=7
        36: TRIG=0
        37: TRIG=1 -> OUT=8 ACTIVE=0 STATE=0
        """,
        """
        26: ENABLE=0 -> ACTIVE=0 STATE=0
        """,
        """
        25: TABLE_LENGTH=0                        # a loaded row can still be played one tick later
        26: TABLE_LENGTH=0x80000001
        27: TRIG=1 -> ACTIVE=0 STATE=0 HEALTH=1
        """,
    ],
)
def test_pgen_with_a_stream(rows: str) -> None:
    begin = """
    1: REPEATS=5
    3: TABLE_LENGTH=0x80000001
    11: -> STATE=1
    20: ENABLE=1 -> ACTIVE=1 STATE=2
    21: TRIG=1 -> OUT=100
    22: TRIG=0
    """
    play(lambda: Pgen(memory([100], [7, 8])), begin + rows)


@pytest.mark.parametrize(
    "rows",
    [
        """
        1: INP=4
        5: ENABLE=1 INP=6 TRIG=1
        6: TRIG=0
        8: INP=9 TRIG=1 -> OUT=3 READY=1
        9: -> READY=0
        10: TRIG=0
        11: TRIG=1 INP=-1 -> OUT=-10 READY=1
        12: TRIG=0 -> READY=0
        13: TRIG=1 -> OUT=0 READY=1
        14: ENABLE=0 TRIG=0 -> READY=0
        16: INP=5
        17: TRIG=1 -> OUT=6 READY=1               # as in the hardware, even without ENABLE
        18: -> READY=0
        """,
        """
        1: INP=0x80000000
        2: ENABLE=1
        3: INP=0x7FFFFFFF TRIG=1 -> OUT=-1 READY=1
        4: -> READY=0
        """,
        """
        1: MODE=1
        3: ENABLE=1
        4: INP=-7
        6: INP=-8
        7: TRIG=1
        8: TRIG=0
        42: -> OUT=-7 READY=1
        43: -> READY=0
        50: TRIG=1
        51: TRIG=0
        85: -> READY=1
        86: -> READY=0
        """,
        """
        1: MODE=1 INP=10
        3: ENABLE=1
        6: TRIG=1
        7: TRIG=0
        30: TRIG=1
        31: TRIG=0
        32: -> HEALTH=2
        90: ENABLE=0
        91: ENABLE=1 -> HEALTH=0
        93: TRIG=1
        94: TRIG=0
        128: -> OUT=10 READY=1
        129: -> READY=0
        """,
        """
        1: MODE=1 INP=10
        3: ENABLE=1
        6: TRIG=1
        7: TRIG=0
        41: TRIG=1 -> OUT=10 READY=1              # a trigger just in time
        42: TRIG=0 -> READY=0
        75: TRIG=1
        76: TRIG=0 -> READY=1                     # too early, but the result before it still comes
        77: -> HEALTH=2                           # and READY stays as it is
        90: ENABLE=0
        91: ENABLE=1 -> HEALTH=0
        92: -> READY=0
        """,
        """
        1: MODE=1 INP=10
        3: ENABLE=1 TRIG=1                        # ignored
        4: TRIG=0
        5: TRIG=1
        6: TRIG=0
        20: ENABLE=0                              # does not stop the division
        25: TRIG=1
        26: TRIG=0                                # not enabled: nothing
        40: -> OUT=10 READY=1
        41: -> READY=0
        """,
        """
        1: MODE=1 INP=10
        3: ENABLE=1
        4: TRIG=1                                 # no tick to average over: divides by zero
        5: TRIG=0
        39: -> OUT=-1 READY=1
        40: -> READY=0
        41: TRIG=1
        42: TRIG=0
        45: ENABLE=0
        46: ENABLE=1
        47: -> HEALTH=2                           # enabled again during a division
        """,
        """
        1: MODE=1 INP=10
        3: ENABLE=1
        10: TRIG=1
        13: TRIG=0 INP=100                        # TRIG loads the divider in each tick, but it counts from the first
        45: -> OUT=10 READY=1
        46: -> READY=0
        """,
        """
        1: MODE=1 INP=10
        3: ENABLE=1
        10: TRIG=1
        50: TRIG=0
        52: -> OUT=11 READY=1                     # two ticks after a trigger of 35 ticks or more, and no average
        53: -> READY=0
        """,
        """
        1: MODE=1 INP=10
        3: ENABLE=1
        6: TRIG=1
        7: TRIG=0
        20: MODE=0                                # the division ends unseen
        50: INP=12 TRIG=1 -> OUT=12 READY=1
        51: TRIG=0 -> READY=0
        60: MODE=1
        70: TRIG=1
        71: TRIG=0
        105: -> OUT=10 READY=1
        106: -> READY=0
        """,
        """
        1: MODE=1 INP=10
        3: ENABLE=1
        6: TRIG=1
        7: TRIG=0
        20: MODE=0
        30: MODE=1                                # back before the division ends
        41: -> OUT=10 READY=1
        42: -> READY=0
        """,
    ],
)
def test_filter(rows: str) -> None:
    play(Filter, rows)


filter_rows = st.dictionaries(
    st.integers(2, 200),
    st.fixed_dictionaries(
        {},
        optional={
            "TRIG": st.integers(0, 1),
            "INP": st.one_of(st.integers(-50, 50), st.integers(-(2**31), 2**31 - 1)),
            "ENABLE": st.sampled_from([0, 1, 1]),
            "MODE": st.sampled_from([0, 1, 1, 1]),
        },
    ),
    max_size=40,
)


@given(filter_rows)
def test_filter_against_one_with_registers(rows: Rows) -> None:
    naive.compare(Filter(), merged({1: {"MODE": 1, "ENABLE": 1, "INP": 7}}, rows), naive.filter_, beyond=80)


def test_a_sum_that_overflows() -> None:
    rows = {1: {"MODE": 1, "INP": -(2**31)}, 3: {"ENABLE": 1}}
    when = 3 + 2**31 + 3  # 2**31 ticks give -2**62, which is still fine; two registers are behind the next one
    rows[when + 10] = {"TRIG": 1}
    rows[when + 11] = {"TRIG": 0}
    assert drive(Filter(), rows, until=when + 100) == {when: {"HEALTH": 1}}


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**20), 2**20), st.integers(5, 5000))
def test_the_average_of_a_ramp_is_that_of_its_counts(position: int, rate: int, ticks: int) -> None:
    ramp = Ramp(0, position << FRACTION, rate << (FRACTION - 10))
    trigger = 3 + ticks
    rows: Rows = {1: {"MODE": 1, "INP": ramp}, 3: {"ENABLE": 1}, trigger: {"TRIG": 1}, trigger + 1: {"TRIG": 0}}
    counts = [ramp.at(tick) for tick in range(4, trigger)]
    average = abs(sum(counts)) // len(counts) * (1 if sum(counts) > 0 else -1)
    found = drive(Filter(), rows, until=trigger + 60)
    assert found.get(trigger + 35, {}).get("OUT", 0) == (average + 2**31) % 2**32 - 2**31
