"""BITS, LUT, SRGATE, CALC and DIV: blocks that respond in the same tick and have no delays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.simulator.blocks.bits import Bits
from panda_ioc.simulator.blocks.calc import Calc
from panda_ioc.simulator.blocks.div import Div
from panda_ioc.simulator.blocks.drive import drive
from panda_ioc.simulator.blocks.lut import Lut
from panda_ioc.simulator.blocks.srgate import Srgate

from .sequences import play


def test_bits() -> None:
    play(
        Bits,
        """
        2: A=1 D=1 -> OUTA=1 OUTD=1
        4: A=0 C=1 -> OUTA=0 OUTC=1
        5: C=1
        """,
    )


@pytest.mark.parametrize(
    "rows",
    [
        """
        1: FUNC=0x0000CACA   # ~A&(C?D:E)
        2: INPC=1
        3: INPD=1 -> OUT=1
        5: INPA=1 -> OUT=0
        6: TYPED=1
        8: INPD=0
        9: INPA=0
        10: INPD=1 -> OUT=1
        11: -> OUT=0
        """,
        """
        1: FUNC=1 -> OUT=1   # follows FUNC with all inputs low
        3: INPE=1 -> OUT=0
        4: FUNC=2 -> OUT=1
        """,
        """
        1: FUNC=0xFFFF0000 TYPEA=2  # A, at its falling edge
        2: INPA=1
        3: INPA=0 -> OUT=1
        4: -> OUT=0
        6: INPA=1
        7: INPA=0 -> OUT=1
        8: TYPEA=0 -> OUT=0
        9: INPA=1 -> OUT=1
        """,
        """
        1: FUNC=0xAAAAAAAA TYPEE=3  # E, at either edge, in consecutive ticks
        2: INPE=1 -> OUT=1
        3: INPE=0
        4: INPE=1
        5: -> OUT=0
        7: INPE=0 -> OUT=1
        8: -> OUT=0
        """,
        """
        1: FUNC=0xCCCC0000 TYPEA=1 TYPED=1   # both must rise in the same tick
        2: INPA=1
        3: INPA=0 INPD=1
        4: INPD=0
        5: INPA=1 INPD=1 -> OUT=1
        6: -> OUT=0
        """,
        """
        1: INPA=1 FUNC=0xFFFF0000 -> OUT=1
        2: TYPEA=1 -> OUT=0   # high already: no edge
        """,
    ],
)
def test_lut(rows: str) -> None:
    play(Lut, rows)


@pytest.mark.parametrize(
    ("inp", "mask"),
    [("A", 0xFFFF0000), ("B", 0xFF00FF00), ("C", 0xF0F0F0F0), ("D", 0xCCCCCCCC), ("E", 0xAAAAAAAA)],
)
def test_lut_masks(inp: str, mask: int) -> None:
    play(Lut, f"1: FUNC={mask}\n2: INP{inp}=1 -> OUT=1\n3: INP{inp}=0 -> OUT=0")


@pytest.mark.parametrize(
    "rows",
    [
        """
        1: SET=1
        3: ENABLE=1
        5: SET=0
        6: SET=1 RST=1
        7: SET=0 RST=0
        8: SET=1 -> OUT=1
        9: FORCE_SET=1 FORCE_RST=1 -> OUT=0
        """,
        """
        1: ENABLE=1 SET=1 -> OUT=1
        14: WHEN_DISABLED=1
        15: ENABLE=0
        16: ENABLE=1
        17: WHEN_DISABLED=2 RST=1 -> OUT=0
        18: ENABLE=0
        19: SET=0
        20: SET=1 ENABLE=1 -> OUT=1
        """,
        """
        1: WHEN_DISABLED=1 -> OUT=1     # acts while disabled, all the time
        2: WHEN_DISABLED=0 -> OUT=0
        3: FORCE_SET=1 SET=1
        4: ENABLE=1
        5: FORCE_SET=0 -> OUT=1         # the value does not matter
        6: FORCE_RST=0 -> OUT=0
        7: FORCE_SET=0 RST=1 -> OUT=1   # FORCE overrides inputs
        8: WHEN_DISABLED=2
        9: ENABLE=0
        10: RST=0 SET=0
        11: ENABLE=1
        """,
        """
        1: SET_EDGE=1 RST_EDGE=2 ENABLE=1
        2: SET=1
        3: SET=0 -> OUT=1
        4: RST=1 -> OUT=0
        5: SET=1
        6: SET=0 -> OUT=1
        7: RST=0 -> OUT=0
        8: SET=1 SET_EDGE=0 -> OUT=1    # the setting in this tick applies
        9: RST=1 RST_EDGE=1
        """,
    ],
)
def test_srgate(rows: str) -> None:
    play(Srgate, rows)


def test_calc() -> None:
    play(
        Calc,
        """
        1: INPA=0x7FFFFFFF -> OUT=2147483647
        2: INPB=0x7FFFFFFF -> OUT=-2
        3: SHIFT=1 -> OUT=2147483647
        4: TYPEA=1 TYPEB=1 -> OUT=-2147483647
        5: SHIFT=2 -> OUT=-1073741824
        6: SHIFT=3
        7: INPA=0 INPB=0 INPC=-1 -> OUT=-1
        8: INPD=5 TYPED=1 -> OUT=-2      # -6 / 4, rounded down
        9: TYPEC=1 -> OUT=-1
        """,
    )


@given(*[st.integers(-(2**31), 2**31 - 1)] * 4, st.integers(0, 15), st.integers(0, 3))
def test_calc_against_arithmetic(a: int, b: int, c: int, d: int, signs: int, shift: int) -> None:
    total = sum(-value if signs >> place & 1 else value for place, value in enumerate((a, b, c, d)))
    shifted = (total // 2 ** min(shift, 2)) % 2**32
    expected = shifted - 2**32 if shifted >= 2**31 else shifted
    types = {f"TYPE{letter}": signs >> place & 1 for place, letter in enumerate("ABCD")}
    answer = drive(Calc(), {1: {"INPA": a, "INPB": b, "INPC": c, "INPD": d, "SHIFT": shift, **types}})
    assert answer.get(1, {"OUT": 0}) == {"OUT": expected}


@pytest.mark.parametrize(
    "rows",
    [
        """
        1: DIVISOR=2 ENABLE=1
        3: INP=1 -> OUTN=1 COUNT=1
        5: DIVISOR=2 -> OUTN=0 COUNT=0
        6: INP=0
        8: INP=1 -> OUTN=1 COUNT=1
        9: ENABLE=0 -> OUTN=0 COUNT=0
        11: ENABLE=1
        """,
        """
        1: DIVISOR=2 ENABLE=1
        2: INP=1 -> OUTN=1 COUNT=1
        3: INP=0 -> OUTN=0
        4: INP=1 -> OUTD=1 COUNT=0
        16: FIRST_PULSE=1 -> OUTD=0 COUNT=1
        17: INP=0
        18: INP=1 -> OUTD=1 COUNT=0
        19: INP=0 -> OUTD=0
        """,
        """
        1: ENABLE=1 INP=1 -> OUTD=1   # DIVISOR 0 acts as 1; the edge in the tick of ENABLE counts
        2: INP=0 -> OUTD=0
        3: INP=1 -> OUTD=1
        """,
        """
        1: DIVISOR=3 FIRST_PULSE=1 -> COUNT=2   # while disabled the count follows
        2: FIRST_PULSE=0 -> COUNT=0
        3: FIRST_PULSE=1 -> COUNT=2
        4: ENABLE=1
        5: INP=1 -> OUTD=1 COUNT=0
        6: INP=0 -> OUTD=0
        7: INP=1 -> OUTN=1 COUNT=1
        8: INP=0 -> OUTN=0
        9: INP=1 -> OUTN=1 COUNT=2
        10: INP=0 -> OUTN=0
        11: INP=1 -> OUTD=1 COUNT=0
        12: ENABLE=0 -> OUTD=0 COUNT=2
        """,
        """
        1: DIVISOR=5 ENABLE=1
        2: DIVISOR=4 INP=1   # an edge in the tick of a write is ignored
        3: INP=0
        4: INP=1 -> OUTN=1 COUNT=1
        """,
    ],
)
def test_div(rows: str) -> None:
    play(Div, rows)
