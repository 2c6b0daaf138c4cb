"""QDEC, POSENC, INENC, OUTENC, and the connectors of the front panel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.simulator.blocks.drive import Driver, Rows, drive
from panda_ioc.simulator.blocks.inenc import Inenc
from panda_ioc.simulator.blocks.io import Input, Output
from panda_ioc.simulator.blocks.outenc import Outenc
from panda_ioc.simulator.blocks.posenc import Posenc
from panda_ioc.simulator.blocks.qdec import Qdec
from panda_ioc.simulator.blocks.sfp_sync import SfpSyncIn
from panda_ioc.simulator.blocks.system import System
from panda_ioc.simulator.motion import FRACTION, Ramp

from . import naive
from .sequences import merged, play


@pytest.mark.parametrize(
    "rows",
    [
        """
        1: LINKUP_INCR=1
        3: A=1
        5: B=1 -> OUT=1
        7: A=0 -> OUT=2
        9: -> OUT=3
        12: SETP=50 -> OUT=50 HOMED=1
        13: B=0
        15: -> OUT=51
        17: RST_ON_Z=1
        18: Z=1 -> OUT=0
        19: A=1                        # lost
        23: Z=0
        24: B=1
        26: -> OUT=1
        29: LINKUP_INCR=0 -> HOMED=0
        31: SETP=9                     # ignored
        36: LINKUP_INCR=1
        38: SETP=0 -> OUT=0 HOMED=1
        """,
        """
        1: LINKUP_INCR=1
        7: A=1
        8: B=1
        9: A=0 -> OUT=1
        10: B=0
        11: A=1 -> OUT=2
        13: -> OUT=3
        """,
        """
        1: LINKUP_INCR=1
        3: B=1
        5: -> OUT=-1
        6: A=1 B=0                     # both at once: illegal, but remembered
        8: B=1
        10: -> OUT=0
        11: A=0
        13: SETP=7 -> OUT=7 HOMED=1    # the step due in this tick is lost
        15: RST_ON_Z=1 Z=1 SETP=5 -> OUT=0
        """,
        """
        1: LINKUP_INCR=1 SETP=0x7FFFFFFF -> OUT=2147483647 HOMED=1
        3: A=1
        5: -> OUT=-2147483648
        6: B=1
        7: LINKUP_INCR=0 -> HOMED=0
        8: LINKUP_INCR=1 -> OUT=-2147483647   # the link is back when the step is due
        """,
    ],
)
def test_qdec(rows: str) -> None:
    play(Qdec, rows)


@pytest.mark.parametrize(
    "rows",
    [
        """
        1: PERIOD=3
        2: ENABLE=1 -> STATE=1
        7: INP=3 -> STATE=2
        8: -> A=1
        11: -> B=1
        14: INP=1 -> A=0
        17: -> A=1
        20: -> B=0 STATE=1
        30: ENABLE=0 -> A=0 STATE=0
        """,
        """
        1: PERIOD=4 PROTOCOL=1
        3: ENABLE=1 -> STATE=1 B=1
        8: INP=2 -> STATE=2 B=0
        10: -> A=1
        11: -> A=0
        14: -> A=1 B=1 STATE=1
        15: -> A=0
        25: INP=-1 -> STATE=2
        26: -> A=1
        27: -> A=0
        30: -> A=1
        31: -> A=0
        34: -> A=1 STATE=1
        35: -> A=0
        """,
        """
        1: INP=5
        3: ENABLE=1 -> STATE=1         # starts where INP is, and never steps
        5: INP=7 -> STATE=2
        6: -> A=1                      # no PERIOD: in every tick
        7: -> B=1 STATE=1
        9: INP=3 -> STATE=2
        10: -> B=0
        11: -> A=0
        12: -> B=1
        13: -> A=1 STATE=1
        """,
        """
        1: PROTOCOL=1 INP=5 PERIOD=1
        3: ENABLE=1 -> STATE=1
        4: -> B=1                      # one later, for INP > 0
        8: INP=7 -> STATE=2 B=0        # PERIOD 1 acts as 2
        10: -> A=1
        11: -> A=0
        12: -> A=1 B=1 STATE=1
        13: ENABLE=0 -> A=0 B=0 STATE=0
        """,
    ],
)
def test_posenc(rows: str) -> None:
    play(Posenc, rows)


@given(
    st.integers(0, 1),
    st.dictionaries(
        st.integers(0, 80),
        st.fixed_dictionaries(
            {}, optional={"INP": st.integers(-6, 6), "ENABLE": st.integers(0, 1), "PERIOD": st.integers(0, 5)}
        ),
    ),
)
def test_posenc_against_one_that_counts_ticks(protocol: int, rows: Rows) -> None:
    naive.compare(Posenc(), merged({1: {"PERIOD": 2, "PROTOCOL": protocol}}, rows), naive.posenc)


def test_quadrature_from_outenc_is_counted_by_qdec() -> None:
    out = drive(Outenc(), {1: {"QPERIOD": 4, "ENABLE": 1}, 10: {"VAL": 25}, 150: {"VAL": -3}}, until=400)
    pins = {
        tick: {name[-1]: level for name, level in changes.items() if name in {"PIN_A", "PIN_B"}}
        for tick, changes in out.items()
    }
    counts = [
        changes["OUT"]
        for changes in drive(Qdec(), {0: {"LINKUP_INCR": 1}} | pins, until=400).values()
        if "OUT" in changes
    ]
    assert counts == [*range(1, 26), *range(24, -4, -1)]


def test_outenc_disabled_stops_where_it_is() -> None:
    play(
        Outenc,
        """
        1: QPERIOD=2
        3: ENABLE=1 -> QSTATE=1
        5: VAL=5 -> QSTATE=2
        6: -> PIN_A=1
        8: -> PIN_B=1
        9: ENABLE=0 -> QSTATE=0
        15: ENABLE=1 -> QSTATE=1     # from VAL on, with A and B as they are
        20: VAL=6 -> QSTATE=2
        22: -> PIN_A=0 QSTATE=1
        30: PROTOCOL=4 A=1 Z=1 -> PIN_A=1 PIN_B=0 PIN_Z=1 QSTATE=0
        31: PROTOCOL=3 -> HEALTH=2 PIN_A=0 PIN_B=1 PIN_Z=0
        32: PROTOCOL=5 DATA=1 -> HEALTH=0 PIN_DATA=1
        """,
    )


@pytest.mark.parametrize(
    "rows",
    [
        """
        1: POSITION=5 -> VAL=5 A=1
        2: POSITION=6 -> VAL=6 B=1
        3: SETP=100 -> VAL=100 HOMED=1
        4: POSITION=5 -> VAL=99 B=0
        6: LINK=0 -> CONN=0 HEALTH=1 HOMED=0
        7: POSITION=50 SETP=3 -> B=1         # frozen, and deaf
        8: LINK=1 -> CONN=1 HEALTH=0
        9: POSITION=51 -> VAL=100 A=0
        10: RST_ON_Z=1
        11: PIN_Z=1 -> Z=1 VAL=0 HOMED=1
        12: POSITION=53 -> A=1 B=0           # discarded
        13: PIN_Z=0 -> Z=0
        14: POSITION=54 -> VAL=1 B=1
        """,
        """
        1: EXACT=1
        3: PIN_A=1 POSITION=500 -> A=1       # edges count, not what the encoder claims
        5: PIN_B=1 -> B=1 VAL=1
        6: SETP=9 -> VAL=9 HOMED=1
        7: -> VAL=10
        8: RST_ON_Z=1 PIN_Z=1 -> Z=1 VAL=0
        """,
        """
        1: PROTOCOL=1 POSITION=-1 -> VAL=-1 HOMED=1    # no discard: as it is, even unsigned
        2: LSB_DISCARD=4 -> VAL=0xFFFFFFF
        3: ENCODING=2 -> VAL=-1
        4: BITS=8 POSITION=0x17C LSB_DISCARD=0 -> VAL=0x7C
        5: MSB_DISCARD=1 -> VAL=-4
        6: ENCODING=1 -> VAL=0x7C
        7: LSB_DISCARD=2 -> VAL=0x1F
        8: LSB_DISCARD=7 -> VAL=0
        9: LSB_DISCARD=0 -> VAL=0x7C
        10: FAULT=3 POSITION=1 -> HEALTH=3             # the last valid position is kept
        11: FAULT=0 -> HEALTH=0 VAL=1
        12: SETP=9                                     # no effect
        13: LINK=0 -> CONN=0 HEALTH=1
        14: LINK=1 -> CONN=1 HEALTH=0
        15: PROTOCOL=3 -> CONN=0 HEALTH=5 VAL=0
        """,
    ],
)
def test_inenc(rows: str) -> None:
    play(Inenc, rows)


def counts_of(block: Inenc, rows: Rows, until: int) -> list[int | None]:
    """Return VAL in every tick; calls in every tick must make no difference."""
    rarely = driven(block, rows, until)
    often = driven(Inenc(), {tick: rows.get(tick, {}) for tick in range(until + 1)}, until)
    assert rarely == often
    return rarely


def driven(block: Inenc, rows: Rows, until: int) -> list[int | None]:
    driver = Driver(block)
    values = []
    for tick in range(until + 1):
        if tick in rows or driver.wake == tick:
            driver.advance(tick, rows.get(tick))
        values.append(block.shown("VAL", tick))
    return values


@given(
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**50), 2**50),
    st.integers(0, 3),
    st.integers(0, 10),
    st.integers(0, 6),
    st.integers(0, 6),
)
def test_a_moving_position_is_truncated_like_a_constant(
    start: int, rate: int, encoding: int, bits: int, lsb: int, msb: int
) -> None:
    ramp = Ramp(0, start << FRACTION, rate)
    params = {"PROTOCOL": 1, "ENCODING": encoding, "BITS": bits, "LSB_DISCARD": lsb, "MSB_DISCARD": msb}
    moving = counts_of(Inenc(), {0: {**params, "POSITION": ramp}}, 60)
    standing = []
    for tick in range(61):
        still = Inenc()
        drive(still, {0: {**params, "POSITION": ramp.at(tick)}})
        standing.append(still.shown("VAL", 0))
    assert moving == standing


def test_a_moving_encoder_with_markers() -> None:
    ramp = Ramp(0, 0, 1 << (FRACTION - 1))  # a count every two ticks
    rows: Rows = {0: {"POSITION": ramp, "MARK_EVERY": 10}, 5: {"SETP": 1000}, 15: {"RST_ON_Z": 1}}
    values = counts_of(Inenc(), rows, 60)
    assert values == [
        *(tick // 2 for tick in range(5)),
        *(998 + tick // 2 for tick in range(5, 20)),
        *(tick // 2 % 10 for tick in range(20, 61)),
    ]


def test_connectors() -> None:
    play(Input, "3: PIN=1 -> VAL=1\n4: PIN=0 -> VAL=0")
    play(Output, "3: VAL=1 -> PIN=1\n4: VAL=0 -> PIN=0")


def test_system_and_sync() -> None:
    play(System, "3: CLOCK_SOURCE=1 -> CLK_SEL_STAT=1")
    assert SfpSyncIn().HEALTH == 1
    assert SfpSyncIn().LINKUP == 0
