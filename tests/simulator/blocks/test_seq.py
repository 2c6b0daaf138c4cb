"""SEQ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.simulator.blocks.drive import Rows
from panda_ioc.simulator.blocks.seq import Seq

from . import naive
from .sequences import memory, merged, play, row

TWO_ROWS = [*row(2, 0, 0, "3A", "2B"), *row(1, 2, 0, "0", "4F")]
STREAM = 1 << 31

#: The start of a run of TWO_ROWS up to its first repeat.
BEGIN_TWO_ROWS = """
2: REPEATS=2
3: TABLE_LENGTH=8
14: -> STATE=1
20: ENABLE=1 -> ACTIVE=1 OUTA=1 STATE=3 TABLE_REPEAT=1 TABLE_LINE=1 LINE_REPEAT=1
23: -> OUTA=0 OUTB=1 STATE=4
25: -> OUTA=1 OUTB=0 LINE_REPEAT=2 STATE=3
28: -> OUTA=0 OUTB=1 STATE=4
30: -> TABLE_LINE=2 LINE_REPEAT=1 STATE=2
"""


@pytest.mark.parametrize(
    "rows",
    [
        """
        33: BITA=1 -> OUTB=0 OUTF=1 STATE=4
        37: -> OUTF=0 OUTA=1 TABLE_LINE=1 TABLE_REPEAT=2 STATE=3
        40: -> OUTA=0 OUTB=1 STATE=4
        42: -> OUTA=1 OUTB=0 LINE_REPEAT=2 STATE=3
        45: -> OUTA=0 OUTB=1 STATE=4
        47: -> OUTB=0 OUTF=1 TABLE_LINE=2 LINE_REPEAT=1
        51: -> OUTF=0 ACTIVE=0 STATE=1
        """,
        """
        33: BITA=1 ENABLE=0 -> OUTB=0 ACTIVE=0 STATE=1   # overrides the trigger; the counters stay
        34: ENABLE=1 -> ACTIVE=1 OUTA=1 STATE=3 TABLE_LINE=1
        37: -> OUTA=0 OUTB=1 STATE=4
        39: -> OUTA=1 OUTB=0 LINE_REPEAT=2 STATE=3
        40: ENABLE=0 -> OUTA=0 ACTIVE=0 STATE=1
        """,
        """
        31: TABLE_LENGTH=0
        33: BITA=1 -> OUTB=0 OUTF=1 STATE=4              # the row continues to its end
        37: -> OUTF=0 ACTIVE=0 STATE=0 HEALTH=1
        38: TABLE_LENGTH=8                               # refused until it is cleared
        40: TABLE_LENGTH=0
        41: TABLE_LENGTH=8
        52: -> STATE=1
        53: ENABLE=0
        54: ENABLE=1 -> HEALTH=0 ACTIVE=1 OUTA=1 STATE=3 TABLE_LINE=1
        55: ENABLE=0 -> ACTIVE=0 OUTA=0 STATE=1
        """,
    ],
)
def test_a_fixed_table(rows: str) -> None:
    play(lambda: Seq(memory(TWO_ROWS)), BEGIN_TWO_ROWS + rows)


ONE = row(1, 4, 0, "2A", "3")
NEGATIVE = row(1, 7, -5, "2A", "2")


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (
            ONE,
            """
            1: PRESCALE=5 REPEATS=3
            3: TABLE_LENGTH=4
            14: -> STATE=1
            20: ENABLE=1 -> ACTIVE=1 STATE=2 TABLE_REPEAT=1 TABLE_LINE=1 LINE_REPEAT=1
            27: BITB=1 -> OUTA=1 STATE=3
            30: BITB=0
            37: -> OUTA=0 STATE=4
            52: -> TABLE_REPEAT=2 STATE=2
            53: PRESCALE=2
            54: BITB=1 -> OUTA=1 STATE=3
            58: -> OUTA=0 STATE=4
            64: -> OUTA=1 STATE=3 TABLE_REPEAT=3
            66: PRESCALE=1           # applies to the rest of the phase
            67: -> OUTA=0 STATE=4
            70: -> ACTIVE=0 STATE=1
            """,
        ),
        (
            NEGATIVE,
            """
            1: POSA=-10 REPEATS=1
            3: TABLE_LENGTH=4
            14: -> STATE=1
            20: ENABLE=1 -> ACTIVE=1 STATE=2 TABLE_REPEAT=1 TABLE_LINE=1 LINE_REPEAT=1
            23: POSA=-6
            25: POSA=-5 -> OUTA=1 STATE=3
            27: -> OUTA=0 STATE=4
            29: -> ACTIVE=0 STATE=1
            """,
        ),
        (
            row(1, 10, 100, "1", "1C"),
            """
            1: POSB=101
            3: TABLE_LENGTH=4
            14: -> STATE=1
            20: ENABLE=1 -> ACTIVE=1 STATE=2 TABLE_REPEAT=1 TABLE_LINE=1 LINE_REPEAT=1
            25: POSB=100 -> STATE=3
            26: -> OUTC=1 STATE=4
            27: -> OUTC=0 TABLE_REPEAT=2 STATE=3   # REPEATS=0: no limit
            28: -> OUTC=1 STATE=4
            29: POSB=101 -> TABLE_REPEAT=3 STATE=2
            """,
        ),
        (
            row(1, 13, 0, "1A", "1B"),
            """
            3: TABLE_LENGTH=4 BITA=1 BITB=1 BITC=1
            14: -> STATE=1
            20: ENABLE=1 -> ACTIVE=1 STATE=2 TABLE_REPEAT=1 TABLE_LINE=1 LINE_REPEAT=1
            25: BITC=0
            26: POSC=7
            """,
        ),
        (
            row(0, 0, 0, "0", "0A"),
            """
            1: REPEATS=1
            3: TABLE_LENGTH=4
            14: -> STATE=1
            20: ENABLE=1 -> ACTIVE=1 OUTA=1 STATE=4 TABLE_REPEAT=1 TABLE_LINE=1 LINE_REPEAT=1
            21: -> LINE_REPEAT=2     # both times 0: phase 2 lasts one tick; the row repeats without end
            22: -> LINE_REPEAT=3
            23: -> LINE_REPEAT=4
            24: ENABLE=0 -> ACTIVE=0 OUTA=0 STATE=1
            """,
        ),
        (
            row(1, 0, 0, "5A", "1B"),
            """
            1: ENABLE=1              # before the table is loaded: no effect
            3: TABLE_LENGTH=4
            14: -> STATE=1
            16: ENABLE=0
            17: ENABLE=1 -> ACTIVE=1 OUTA=1 STATE=3 TABLE_REPEAT=1 TABLE_LINE=1 LINE_REPEAT=1
            22: -> OUTA=0 OUTB=1 STATE=4
            23: -> OUTA=1 OUTB=0 TABLE_REPEAT=2 STATE=3
            24: TABLE_LENGTH=4
            25: -> ACTIVE=0 OUTA=0 STATE=0 HEALTH=2
            31: ENABLE=0
            32: ENABLE=1
            36: TABLE_LENGTH=0
            38: TABLE_LENGTH=4
            49: -> STATE=1
            59: ENABLE=0
            60: ENABLE=1 -> HEALTH=0 ACTIVE=1 OUTA=1 STATE=3 TABLE_REPEAT=1
            61: ENABLE=0 -> ACTIVE=0 OUTA=0 STATE=1
            62: TABLE_LENGTH=4
            63: -> HEALTH=2          # not running: the old table can still be played
            65: ENABLE=1 -> HEALTH=0 ACTIVE=1 OUTA=1 STATE=3
            66: ENABLE=0 -> ACTIVE=0 OUTA=0 STATE=1
            70: TABLE_LENGTH=0
            72: -> STATE=0
            """,
        ),
    ],
)
def test_one_row(table: list[int], rows: str) -> None:
    play(lambda: Seq(memory(table)), rows, beyond=0)


@pytest.mark.parametrize(
    "rows",
    [
        """
        48: -> OUTC=1 TABLE_LINE=2 LINE_REPEAT=1 STATE=3
        51: -> OUTC=0 OUTD=1 STATE=4
        54: -> OUTD=0 ACTIVE=0 STATE=0
        60: TABLE_LENGTH=0x80000004
        61: -> HEALTH=2
        """,
        """
        45: ENABLE=0 -> OUTA=0 ACTIVE=0 STATE=0     # during a stream: the stream is lost
        46: ENABLE=1
        47: TABLE_LENGTH=4
        48: -> HEALTH=2
        """,
    ],
)
def test_a_stream(rows: str) -> None:
    first, last = row(2, 0, 0, "2A", "2"), row(1, 0, 0, "3C", "3D")
    begin = """
    1: REPEATS=9                                    # ignored by a stream
    3: TABLE_LENGTH=0x80000004
    14: -> STATE=1
    20: TABLE_ADDRESS=1000
    21: TABLE_LENGTH=4
    40: ENABLE=1 -> ACTIVE=1 OUTA=1 STATE=3 TABLE_REPEAT=1 TABLE_LINE=1 LINE_REPEAT=1
    42: -> OUTA=0 STATE=4
    44: -> OUTA=1 LINE_REPEAT=2 STATE=3
    """
    if "45: ENABLE=0" not in rows:
        begin += "46: -> OUTA=0 STATE=4\n"
    play(lambda: Seq(memory(first, last)), begin + rows)


def test_a_stream_that_runs_dry() -> None:
    play(
        lambda: Seq(memory(row(2, 0, 0, "2A", "2"))),
        """
        3: TABLE_LENGTH=0x80000004
        14: -> STATE=1
        40: ENABLE=1 -> ACTIVE=1 OUTA=1 STATE=3 TABLE_REPEAT=1 TABLE_LINE=1 LINE_REPEAT=1
        42: -> OUTA=0 STATE=4
        44: -> OUTA=1 LINE_REPEAT=2 STATE=3
        46: -> OUTA=0 STATE=4
        48: -> ACTIVE=0 STATE=0 HEALTH=1
        50: TABLE_LENGTH=4                          # the first error stays
        52: ENABLE=0
        53: TABLE_LENGTH=0
        54: TABLE_LENGTH=4
        65: -> STATE=1
        66: ENABLE=1 -> HEALTH=0 ACTIVE=1 OUTA=1 STATE=3 LINE_REPEAT=1
        67: ENABLE=0 -> ACTIVE=0 OUTA=0 STATE=1
        """,
    )


def test_a_table_after_the_last_of_a_stream_is_refused() -> None:
    play(
        lambda: Seq(memory(row(1, 0, 0, "2A", "2"))),
        """
        3: TABLE_LENGTH=0x80000004
        14: -> STATE=1
        20: TABLE_LENGTH=4
        30: TABLE_LENGTH=4
        31: -> HEALTH=2
        """,
    )


def test_outputs_that_do_not_change_have_no_glitch() -> None:
    play(
        lambda: Seq(memory([*row(2, 0, 0, "1AE", "1AE"), *row(1, 0, 0, "0", "2AE")])),
        """
        1: REPEATS=1
        3: TABLE_LENGTH=8
        14: -> STATE=1
        30: ENABLE=1 -> ACTIVE=1 OUTA=1 OUTE=1 STATE=3 TABLE_REPEAT=1 TABLE_LINE=1 LINE_REPEAT=1
        31: -> STATE=4
        32: -> STATE=3 LINE_REPEAT=2
        33: -> STATE=4
        34: -> TABLE_LINE=2 LINE_REPEAT=1
        36: -> ACTIVE=0 OUTA=0 OUTE=0 STATE=1
        """,
    )


table_rows = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(0, 12),
        st.integers(-3, 3),
        st.tuples(st.integers(0, 4), st.integers(0, 4)),
        st.tuples(st.integers(0, 63), st.integers(0, 63)),
    ),
    min_size=1,
    max_size=4,
)
bit, position = st.integers(0, 1), st.integers(-4, 4)
input_rows = st.dictionaries(
    st.integers(50, 150),
    st.fixed_dictionaries(
        {},
        optional={"BITA": bit, "BITB": bit, "BITC": bit, "POSA": position, "POSB": position, "POSC": position},
    ),
)
enables = st.dictionaries(st.integers(50, 150), bit, max_size=4)


@given(table_rows, input_rows, enables, st.integers(0, 3), st.integers(0, 3))
def test_seq_against_one_that_counts_ticks(
    table: list[naive.SeqRow], inputs: Rows, enables: dict[int, int], prescale: int, repeats: int
) -> None:
    words = [
        word
        for count, trigger, position, times, outputs in table
        for word in (count | trigger << 16 | outputs[0] << 20 | outputs[1] << 26, position & 0xFFFFFFFF, *times)
    ]
    settings: Rows = {1: {"PRESCALE": prescale, "REPEATS": repeats}, 3: {"TABLE_LENGTH": len(words)}, 49: {"ENABLE": 1}}
    rows = merged(settings, inputs, {tick: {"ENABLE": level} for tick, level in enables.items()})
    naive.compare(Seq(memory(words)), rows, naive.seq(table, loaded=14))
