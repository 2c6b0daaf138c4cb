"""PCAP."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.simulator.blocks.drive import Driver, Rows, drive
from panda_ioc.simulator.blocks.pcap import Pcap
from panda_ioc.simulator.motion import FRACTION, Ramp, Value, at

from .sequences import merged, parse, play

SLOT = 3
POSITION_MODES = [SLOT << 4 | mode for mode in range(9)]
EVERYTHING = [*POSITION_MODES, *range(0x200, 0x280, 0x10)]


def writing(*codes: int) -> str:
    """Return the rows that write a capture list, in the ticks 1, 2, 3, ..."""
    lines = [f"{tick}: WRITE={code}" for tick, code in enumerate(codes, 2)]
    return "\n".join(["1: START_WRITE=1", *lines, ""])


def listed(*codes: int) -> Rows:
    """Return the same as text."""
    return parse(writing(*codes))[0]


def words(tick: int, *values: int) -> str:
    """Return the rows in which words are sent."""
    return "".join(f"{tick + place}: -> DATA={value}\n" for place, value in enumerate(values))


def test_positions() -> None:
    play(
        Pcap,
        writing(*POSITION_MODES[:6], 0x260)
        + "15: POS[3]=-7\n20: ARM=1 ENABLE=1 GATE=1 -> ACTIVE=1\n22: POS[3]=3\n25: TRIG=1\n26: TRIG=0\n"
        + words(29, 3, 10, -5, -1, -7, 3, 5)
        + "36: TRIG=1\n"
        + words(40, 3, 0, 33, 0, 3, 3, 11),
    )


def test_gates() -> None:
    p = SLOT << 4
    play(
        Pcap,
        writing(0x200, 0x220, p | 4, p | 5, p | 1, p | 2, 0x260)
        + "10: POS[3]=50 ARM=1 -> ACTIVE=1\n12: ENABLE=1\n15: TRIG=1\n16: TRIG=0\n"
        + words(19, -1)
        + "20: GATE=1 -> DATA=-1\n"
        + words(21, 0x7FFFFFFF)
        + "22: POS[3]=60 -> DATA=-2147483648\n23: -> DATA=0\n24: GATE=0 POS[3]=70 -> DATA=0\n25: -> DATA=0\n"
        + "27: GATE=1\n28: GATE=0 POS[3]=5\n30: TRIG=1\n"
        + words(34, 8, 16, 50, 70, -45, 290, 5),
    )


THREE = writing(0x240, 0x240, 0x240)
BEGIN_THREE = THREE + "6: ARM=1 ENABLE=1 -> ACTIVE=1\n"


@pytest.mark.parametrize(
    "rows",
    [
        # Too close: the word in the tick of the error is still sent.
        BEGIN_THREE
        + "10: TRIG=1\n11: TRIG=0\n13: TRIG=1\n"
        + words(14, 4, 4, 4, 7, 7)
        + "14: TRIG=0\n15: TRIG=1\n16: TRIG=0\n19: -> ACTIVE=0 HEALTH=1 DATA=7\n30: ARM=1 -> ACTIVE=1 HEALTH=0\n",
        # ENABLE falls less than 4, exactly 4, and 5 ticks after a trigger.
        BEGIN_THREE + "10: TRIG=1\n13: ENABLE=0 -> ACTIVE=0\n",
        BEGIN_THREE + "10: TRIG=1\n14: ENABLE=0 -> ACTIVE=0 DATA=4\n",
        BEGIN_THREE + "10: TRIG=1\n15: ENABLE=0\n" + words(14, 4, 4, 4) + "18: -> ACTIVE=0\n",
        # ENABLE falls right after the last word was sent, and later.
        BEGIN_THREE + "10: TRIG=1\n17: ENABLE=0\n" + words(14, 4, 4, 4) + "18: -> ACTIVE=0\n",
        BEGIN_THREE + "10: TRIG=1\n18: ENABLE=0 -> ACTIVE=0\n" + words(14, 4, 4, 4),
        # Disarmed: between words, before any trigger, and while words are delayed.
        BEGIN_THREE + "10: TRIG=1\n15: DISARM=1 -> ACTIVE=0\n" + words(14, 4, 4),
        THREE + "6: ARM=1 -> ACTIVE=1\n9: DISARM=1 -> ACTIVE=0\n10: ENABLE=1\n12: TRIG=1\n",
        BEGIN_THREE + "10: TRIG=1\n15: ENABLE=0\n15: DISARM=1 -> ACTIVE=0\n" + words(14, 4, 4),
        # ENABLE must rise after ARM; a fall before that has no effect. Each run needs a new ARM.
        THREE
        + "6: ENABLE=1\n7: ARM=1 -> ACTIVE=1\n8: ARM=1\n9: ENABLE=0 -> ACTIVE=0\n10: ENABLE=1\n12: TRIG=1\n"
        + "14: TRIG=0\n15: ARM=1 -> ACTIVE=1\n20: TRIG=1\n"
        + words(24, 5, 5, 5),
        THREE + "6: ARM=1 -> ACTIVE=1\n8: GATE=1 TRIG=1\n9: TRIG=0\n12: ENABLE=1\n15: TRIG=1\n" + words(19, 3, 3, 3),
        # TRIG is already high when ENABLE rises; TRIG in the tick in which it falls.
        THREE + "5: ARM=1 -> ACTIVE=1\n6: TRIG=1\n8: ENABLE=1\n" + words(12, 0, 0, 0) + "30: TRIG=0\n"
        "31: TRIG=1 ENABLE=0 -> ACTIVE=0\n",
        # Armed with ENABLE and TRIG high: no edge.
        THREE + "6: ENABLE=1 TRIG=1\n8: ARM=1 -> ACTIVE=1\n",
        # Falling and either edges.
        THREE + "5: TRIG_EDGE=1\n6: ARM=1 ENABLE=1 -> ACTIVE=1\n10: TRIG=1\n13: TRIG=0\n" + words(17, 7, 7, 7),
        THREE + "5: TRIG_EDGE=2\n6: ARM=1 ENABLE=1 -> ACTIVE=1\n10: TRIG=1\n13: TRIG=0\n" + words(14, 4, 4, 4, 7, 7, 7),
        # Data overrun.
        BEGIN_THREE + "10: TRIG=1\n15: OVERRUN=1 -> ACTIVE=0 HEALTH=2\n" + words(14, 4, 4),
        # One word: every tick may capture.
        writing(0x240)
        + "6: ARM=1 ENABLE=1 TRIG_EDGE=2 -> ACTIVE=1\n10: TRIG=1\n11: TRIG=0\n12: TRIG=1\n"
        + words(14, 4, 5, 6),
        # Already enabled.
        writing(0x240) + "5: ENABLE=1\n22: ARM=1 -> ACTIVE=1\n25: TRIG=1\n" + words(29, 3),
    ],
)
def test_runs(rows: str) -> None:
    play(Pcap, rows)


def test_bits_times_and_shifts() -> None:
    play(
        Pcap,
        writing(0x270, 0x280, 0x2A0, 0x240, 0x250, 0x260, SLOT << 4 | 2, SLOT << 4 | 3, 0x999, 0x3F)
        + "15: SHIFT_SUM=2 BIT[0]=1 BIT[31]=1 BIT[127]=1 BIT[33]=1 POS[3]=-3\n"
        + "16: ARM=1 ENABLE=1 GATE=1 -> ACTIVE=1\n26: TRIG=1 BIT[33]=0 BIT[32]=1\n27: BIT[0]=0\n"
        + words(30, -(2**31) + 1, 1, -(2**31), 10, 0, 2, -8, -1, 0, 0),
    )


def test_a_gate_that_is_the_trigger_too() -> None:
    """The window ends in the tick of the capture if the gate is high, even if it rose in that tick."""
    play(
        Pcap,
        writing(0x200, 0x220, 0x240, 0x260)
        + "16: ARM=1 ENABLE=1 -> ACTIVE=1\n20: GATE=1 TRIG=1\n"
        + words(24, -1, 4, 4, 0)
        + "22: GATE=0 TRIG=0\n40: GATE=1 TRIG=1\n"
        + words(44, 4, 24, 24, 2)
        + "41: GATE=0 TRIG=0\n",
    )


def test_long_sums() -> None:
    """Sums of 64 bits, squares of 96, and times of 64, over minutes."""
    ticks = 2**33
    rows = merged(
        listed(*POSITION_MODES[2:4], *POSITION_MODES[6:], 0x240, 0x250, 0x260),
        {20: {"POS[3]": -(2**31), "GATE": 1, "ENABLE": 1, "ARM": 1}, 20 + ticks: {"TRIG": 1}},
    )
    block = Pcap()
    drive(block, rows, until=ticks + 50)
    (sample,) = block.samples
    low, high, square_low, square_mid, square_high, time_low, time_high, gate = (word % 2**32 for word in sample)
    assert low + (high << 32) == -(2**31) * ticks % 2**64
    assert square_low + (square_mid << 32) + (square_high << 64) == 2**62 * ticks
    assert time_low + (time_high << 32) == ticks
    assert gate == ticks % 2**32


def naive_captures(rows: Rows, until: int, start: int) -> list[list[int]]:
    """Return the expected words of every capture, computed from a list of all ticks."""
    pos = gate = trig = 0
    ticks: list[tuple[int, int]] = []
    captures = []
    begun = start
    for tick in range(until + 1):
        row = {name: at(value, tick) for name, value in rows.get(tick, {}).items()}
        pos, gate = row.get("POS[3]", pos), row.get("GATE", gate)
        rose = row.get("TRIG", trig) and not trig
        trig = row.get("TRIG", trig)
        ticks.append((pos, gate))
        if tick >= start and rose:
            window = range(begun, tick)
            gated = [one for one in window if ticks[one][1]]
            diff = sum(ticks[one + 1][0] - ticks[one][0] for one in gated)
            total = sum(ticks[one][0] for one in gated)
            squares = sum(ticks[one][0] ** 2 for one in gated)
            values = [ticks[one][0] for one in gated]
            first, end = (gated[0] - start, gated[-1] + 1 - start) if gated else (-1, -1)
            end = tick - start if gate else end  # even if it rises in this tick
            numbers = [pos, diff, total, total >> 32, min(values, default=2**31 - 1), max(values, default=-(2**31))]
            numbers += [squares, squares >> 32, squares >> 64]
            numbers += [first, first >> 32, end, end >> 32, tick - start, 0, len(gated), 0]
            captures.append([(number + 2**31) % 2**32 - 2**31 for number in numbers])
            begun = tick
    return captures


captured = st.dictionaries(
    st.integers(0, 70),
    st.fixed_dictionaries({}, optional={"POS[3]": st.integers(-(2**31), 2**31 - 1), "GATE": st.integers(0, 1)}),
)


@given(captured, st.lists(st.integers(0, 40), max_size=6))
def test_captures_against_a_list_of_all_ticks(changes: Rows, gaps: list[int]) -> None:
    start = 30
    tick = start
    triggers: dict[int, dict[str, Value]] = {}
    for gap in gaps:
        tick += gap + len(EVERYTHING)
        triggers |= {tick: {"TRIG": 1}, tick + 1: {"TRIG": 0}}
    later = {tick + 25: values for tick, values in changes.items()}
    rows = merged(listed(*EVERYTHING), {start: {"ARM": 1, "ENABLE": 1}}, later, triggers)
    until = max(rows) + 40
    block = Pcap()
    drive(block, rows, until=until)
    assert block.samples == naive_captures(rows, until, start)


@given(
    st.integers(-(2**31) + 4096, 2**31 - 4096), st.integers(-(2**50), 2**50), st.lists(st.integers(16, 90), max_size=4)
)
def test_a_moving_position_is_captured_like_its_counts(position: int, rate: int, gaps: list[int]) -> None:
    ramp = Ramp(0, position << FRACTION, rate)
    rows = merged(listed(*POSITION_MODES), {30: {"ARM": 1, "ENABLE": 1}, 33: {"GATE": 1}})
    tick = 30
    for gap in gaps:
        tick += gap
        rows |= {tick: {"TRIG": 1}, tick + 1: {"TRIG": 0}, tick + 5: {"GATE": 0}, tick + 8: {"GATE": 1}}
    moving, counting = Pcap(), Pcap()
    drive(moving, merged({0: {"POS[3]": ramp}}, rows), until=tick + 40)
    drive(counting, merged({now: {"POS[3]": ramp.at(now)} for now in range(tick + 41)}, rows))
    assert moving.samples == counting.samples
    assert len(moving.samples) == len(gaps)


def test_without_data_on_show_only_events_cost() -> None:
    block = Pcap()
    block.show_data = False
    runs: Rows = {4: {"ARM": 1, "ENABLE": 1}, 10: {"TRIG": 1}, 15: {"TRIG": 0}, 20: {"TRIG": 1}, 40: {"ENABLE": 0}}
    rows = merged(listed(0x240, 0x240), runs)
    driver = Driver(block)
    for tick, values in rows.items():
        driver.advance(tick, values)
        assert driver.wake is None
    assert block.samples == [[6, 6], [16, 16]]


def test_callbacks_of_runs() -> None:
    told: list[object] = []
    block = Pcap()
    block.on_start = told.append
    block.on_end = lambda tick, reason: told.append((tick, reason, len(block.samples)))
    rows: Rows = {
        1: {"START_WRITE": 1}, 2: {"WRITE": 0x240}, 3: {"ARM": 1}, 5: {"ENABLE": 1}, 10: {"TRIG": 1},
        15: {"ENABLE": 0}, 20: {"ARM": 1}, 22: {"DISARM": 1}, 25: {"ARM": 1, "OVERRUN": 1}, 30: {"OVERRUN": 1},
    }  # fmt: skip
    drive(block, rows)
    assert told == [5, (16, "Ok", 1), (22, "Disarmed", 1), (30, "Driver data overrun", 1)]
