"""PCOMP."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.simulator.blocks.drive import Driver
from panda_ioc.simulator.blocks.pcomp import Pcomp

from .sequences import play


@pytest.mark.parametrize(
    "rows",
    [
        """
        1: START=100 WIDTH=10 STEP=25 PULSES=2
        2: INP=90
        3: ENABLE=1 -> ACTIVE=1 STATE=2
        4: -> STATE=3
        6: INP=105 -> OUT=1 PRODUCED=1 STATE=4
        8: INP=115 -> OUT=0 STATE=3
        9: INP=126 -> OUT=1 PRODUCED=2 STATE=4
        10: INP=135 -> OUT=0 ACTIVE=0 STATE=0
        """,
        """
        1: START=100 WIDTH=10 STEP=25
        3: ENABLE=1 -> ACTIVE=1 STATE=2
        4: -> STATE=3
        12: INP=124 -> ACTIVE=0 HEALTH=1 STATE=0
        13: ENABLE=0
        14: ENABLE=1 -> ACTIVE=1 HEALTH=0 STATE=2
        15: INP=99 -> STATE=3
        16: INP=123 -> OUT=1 PRODUCED=1 STATE=4
        17: -> OUT=0 STATE=3
        """,
        """
        1: START=10 PRE_START=4 WIDTH=3 STEP=5 PULSES=1 DIR=1
        2: INP=0
        3: ENABLE=1 -> ACTIVE=1 STATE=2
        5: INP=14
        6: INP=15 -> STATE=3
        9: INP=10 -> OUT=1 PRODUCED=1 STATE=4
        10: INP=7 -> OUT=0 ACTIVE=0 STATE=0
        """,
        """
        1: START=100 WIDTH=10 PULSES=1
        3: ENABLE=1 -> ACTIVE=1 STATE=2
        4: -> STATE=3
        6: INP=110 -> OUT=1 PRODUCED=1 STATE=4
        7: -> OUT=0 ACTIVE=0 STATE=0
        """,
        """
        1: START=5 WIDTH=2 STEP=4
        2: ENABLE=1 -> ACTIVE=1 STATE=2
        3: -> STATE=3
        4: INP=5 ENABLE=0 -> ACTIVE=0 STATE=0    # the end overrides a match
        6: INP=0 ENABLE=1 -> ACTIVE=1 STATE=2
        7: -> STATE=3
        8: INP=5 -> OUT=1 PRODUCED=1 STATE=4
        9: ENABLE=0 -> OUT=0 ACTIVE=0 STATE=0    # PRODUCED stays
        10: ENABLE=1 -> ACTIVE=1 PRODUCED=0 STATE=2
        """,
        """
        1: START=10 WIDTH=2 STEP=5 PULSES=2 DIR=2
        2: INP=10 ENABLE=1 -> ACTIVE=1 STATE=1   # no direction while it is at START
        5: INP=12 -> STATE=2                     # above START, so the direction is down
        6: -> STATE=3
        7: INP=10 -> OUT=1 PRODUCED=1 STATE=4
        8: INP=9
        9: INP=8 -> OUT=0 STATE=3
        10: INP=5 -> OUT=1 PRODUCED=2 STATE=4
        11: INP=3 -> OUT=0 ACTIVE=0 STATE=0
        """,
        """
        1: RELATIVE=1 WIDTH=2 STEP=5 PULSES=2    # START 0: at once
        2: INP=1000
        3: ENABLE=1 -> ACTIVE=1 OUT=1 PRODUCED=1 STATE=4
        4: INP=1001
        5: INP=1002 -> OUT=0 STATE=3
        6: INP=1005 -> OUT=1 PRODUCED=2 STATE=4
        7: INP=1007 -> OUT=0 ACTIVE=0 STATE=0
        """,
        """
        1: RELATIVE=1 START=10 WIDTH=2 STEP=5 PULSES=1 DIR=1   # 10 to the negative side
        2: INP=50
        3: ENABLE=1 -> ACTIVE=1 STATE=2
        4: -> STATE=3
        5: INP=41
        6: INP=40 -> OUT=1 PRODUCED=1 STATE=4
        7: INP=38 -> OUT=0 ACTIVE=0 STATE=0
        """,
        """
        1: RELATIVE=1 START=10 DIR=2 WIDTH=2 STEP=5 PULSES=1
        2: INP=-7
        3: ENABLE=1 -> ACTIVE=1 STATE=1
        4: INP=-16
        5: INP=-17 -> OUT=1 PRODUCED=1 STATE=4
        6: INP=-19 -> OUT=0 ACTIVE=0 STATE=0
        """,
        """
        1: RELATIVE=1 START=10 PRE_START=5 DIR=2 WIDTH=2 STEP=5 PULSES=1
        2: ENABLE=1 -> ACTIVE=1 STATE=1
        3: INP=-15 -> STATE=2                    # it moved away and will come back upwards
        4: -> STATE=3
        5: INP=9
        6: INP=10 -> OUT=1 PRODUCED=1 STATE=4
        7: INP=12 -> OUT=0 ACTIVE=0 STATE=0
        """,
        """
        1: RELATIVE=1 DIR=2 WIDTH=2 STEP=5
        2: ENABLE=1 -> ACTIVE=1 STATE=1
        3: -> HEALTH=2 ACTIVE=0 STATE=0          # no way to guess
        """,
        """
        1: START=10 WIDTH=-4                     # a Schmitt trigger: on at 10, off at 6
        2: ENABLE=1 -> ACTIVE=1 STATE=2
        3: -> STATE=3
        4: INP=12 -> OUT=1 PRODUCED=1 STATE=4
        5: INP=7
        6: INP=6 -> OUT=0 STATE=3
        7: INP=9
        8: INP=10 -> OUT=1 PRODUCED=2 STATE=4
        """,
        """
        1: START=10 WIDTH=4                      # on at 10, off at 14, on again at 10
        2: ENABLE=1 -> ACTIVE=1 STATE=2
        3: -> STATE=3
        4: INP=12 -> OUT=1 PRODUCED=1 STATE=4
        5: INP=14 -> OUT=0 STATE=3
        6: INP=11
        7: INP=10 -> OUT=1 PRODUCED=2 STATE=4
        """,
        """
        1: START=-5 WIDTH=3 STEP=10 PULSES=3     # parameters are live, but the next edge is kept
        2: INP=-10 ENABLE=1 -> ACTIVE=1 STATE=2
        3: -> STATE=3
        4: INP=-5 -> OUT=1 PRODUCED=1 STATE=4
        5: WIDTH=1 STEP=6
        6: INP=-3
        7: INP=-2 -> OUT=0 STATE=3
        8: INP=1 -> OUT=1 PRODUCED=2 STATE=4
        9: PULSES=2
        10: INP=2 -> OUT=0 ACTIVE=0 STATE=0
        """,
        """
        1: START=0x7FFFFFFE WIDTH=3 STEP=10      # over the highest position
        2: ENABLE=1 -> ACTIVE=1 STATE=2
        3: -> STATE=3
        4: INP=0x7FFFFFFE -> OUT=1 PRODUCED=1 STATE=4
        5: INP=0x7FFFFFFF                        # the next edge has wrapped, so it is approached from above
        6: INP=-2147483648 -> OUT=0 STATE=3
        """,
        """
        1: START=10 WIDTH=4 INP=100 RELATIVE=1   # RELATIVE is live; INP is kept when ENABLE rises in any case
        2: ENABLE=1 -> ACTIVE=1 STATE=2
        3: -> STATE=3
        4: INP=105
        5: RELATIVE=0 -> OUT=1 PRODUCED=1 STATE=4
        6: RELATIVE=1
        7: INP=112
        8: RELATIVE=0 -> OUT=0 STATE=3
        """,
    ],
)
def test_pcomp(rows: str) -> None:
    play(Pcomp, rows)


params = st.fixed_dictionaries(
    {
        "PRE_START": st.integers(-2, 3),
        "START": st.integers(-6, 6),
        "WIDTH": st.integers(-3, 4),
        "STEP": st.integers(0, 8),
        "PULSES": st.integers(0, 3),
        "RELATIVE": st.integers(0, 1),
        "DIR": st.integers(0, 2),
    }
)


@given(params, st.lists(st.integers(-12, 12), min_size=5, max_size=60), st.lists(st.integers(1, 50), max_size=3))
def test_quiet_ranges_are_quiet(params: dict[str, int], positions: list[int], toggles: list[int]) -> None:
    """While the position stays in the quiet range, a call changes nothing."""
    driver = Driver(Pcomp())
    driver.advance(0, params)
    enable = 0
    for tick, position in enumerate(positions, 1):
        values = {"INP": position}
        if tick in {1, *toggles}:
            enable = 1 - enable
            values["ENABLE"] = enable
        low, high = driver.block.quiet["INP"]
        quiet = low <= position <= high and "ENABLE" not in values and driver.wake != tick
        changed = driver.advance(tick, values)
        assert not (quiet and changed), (tick, changed)
