"""COUNTER."""

import pytest

from panda_ioc.simulator.blocks.counter import Counter

from .sequences import play


@pytest.mark.parametrize(
    "rows",
    [
        """
        2: START=7 STEP=5
        4: ENABLE=1 TRIG=1 -> OUT=7   # the trigger is lost
        5: TRIG=0
        6: TRIG=1 -> OUT=12
        7: TRIG=0
        8: TRIG=1 SET=100 -> OUT=100
        9: TRIG=0
        10: TRIG=1 -> OUT=105
        """,
        """
        1: MAX=10 MIN=0 STEP=4 START=8
        2: ENABLE=1 -> OUT=8
        3: TRIG=1 -> OUT=1 CARRY=1
        5: SET=2 -> OUT=2
        6: TRIG=0 -> CARRY=0
        7: TRIG=1 -> OUT=6
        """,
        """
        1: OUT_MODE=1 MAX=3 STEP=3
        2: ENABLE=1
        3: TRIG=1
        4: TRIG=0
        5: TRIG=1
        6: TRIG=0
        7: ENABLE=0 -> OUT=2 CARRY=1
        10: ENABLE=1            # both stay until the next disable
        11: TRIG=1
        12: SET=9               # clears the overflow, but only what a trigger counted is published
        13: ENABLE=0 -> OUT=3 CARRY=0
        """,
        """
        1: SET=5 -> OUT=5       # also while disabled
        2: TRIG=1               # which is no time to count
        3: ENABLE=1 SET=9 -> OUT=0      # SET is lost
        4: TRIG=0
        5: TRIG=1 -> OUT=1
        6: TRIG=0 ENABLE=0
        7: SET=1
        8: SET=2 -> OUT=2
        """,
        """
        1: DIR=1 ENABLE=1 START=2
        1: -> OUT=2
        2: TRIG=1 -> OUT=1
        3: TRIG=0 DIR=0
        4: TRIG=1 DIR=1 -> OUT=0        # the direction of this very tick
        5: TRIG=0
        6: TRIG=1 -> OUT=-1
        """,
        """
        1: TRIG_EDGE=2 ENABLE=1
        2: TRIG=1 -> OUT=1
        3: TRIG=0 -> OUT=2
        4: TRIG_EDGE=1 TRIG=1
        5: TRIG=0 -> OUT=3
        6: TRIG=1 TRIG_EDGE=0 -> OUT=4
        """,
        """
        1: START=0x7FFFFFFF ENABLE=1 -> OUT=2147483647
        2: TRIG=1 -> OUT=-2147483648 CARRY=1    # the full range
        3: TRIG=0 -> CARRY=0
        4: DIR=1 TRIG=1 -> OUT=2147483647 CARRY=1
        5: ENABLE=0 -> CARRY=0
        """,
        """
        1: MIN=-3 MAX=3 STEP=20 ENABLE=1
        2: TRIG=1 -> OUT=13 CARRY=1     # only one correction
        3: TRIG=0 -> CARRY=0
        4: MAX=40 TRIG=1 -> OUT=26 CARRY=1      # MAX is in force a tick later: 33 - 7
        5: TRIG=0 -> CARRY=0
        6: TRIG=1 -> OUT=2 CARRY=1              # 46 - 44
        """,
        """
        1: STEP=0xFFFFFFFF START=10 ENABLE=1 -> OUT=10
        2: TRIG=1 -> OUT=9              # a step of -1, and no carry
        """,
        """
        1: OUT_MODE=1 START=4
        2: ENABLE=1
        3: ENABLE=0 -> OUT=4            # without a trigger: what the count is
        5: ENABLE=1 OUT_MODE=0
        6: TRIG=1 -> OUT=5
        """,
        """
        1: OUT_MODE=1 MAX=5 START=5
        2: ENABLE=1
        3: TRIG=1
        4: ENABLE=0 SET=8               # SET is first, so nothing is published
        5: ENABLE=1
        6: ENABLE=0                     # the count after the last trigger, and that overflow was forgotten
        7: OUT_MODE=0 -> OUT=5
        8: OUT_MODE=1 -> OUT=0
        """,
    ],
)
def test_counter(rows: str) -> None:
    play(Counter, rows)
