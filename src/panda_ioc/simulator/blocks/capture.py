"""The capture list of PCAP: the codes that are written to it, and the word that each one captures.

A code is an index and a mode, (index << 4) | mode. Indices 0 to 31 are the position bus; those from 0x20 on are time
stamps, the gate duration and the bit bus.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from ..motion import Value, at
from .base import wrap
from .window import Tally, Window

POSITIONS = 32
BITS = 128


@dataclass(frozen=True)
class Moment:
    """The state of PCAP at a capture.

    Attributes:
        now: tick of the capture
        window: the ticks since the last capture
        shift: right shift of sums and durations, in bits
        values: positions and bits in this tick, by name: "POS[3]", "BIT[7]"
    """

    now: int
    window: Window
    shift: int
    values: Mapping[str, Value]


Word = Callable[[Moment], int]


@dataclass(frozen=True)
class Mode:
    """A way to capture a position.

    Attributes:
        of_tally: returns the number of which a word is sent; None for the value at the capture
        shifted: whether SHIFT_SUM applies
        word: index of the 32-bit word that is sent
    """

    of_tally: Callable[[Tally], int] | None
    shifted: bool = False
    word: int = 0


#: Modes in the order of their codes.
MODES = (
    Mode(None),
    Mode(lambda tally: tally.moved),
    Mode(lambda tally: tally.total, shifted=True),
    Mode(lambda tally: tally.total, shifted=True, word=1),
    Mode(lambda tally: tally.low),
    Mode(lambda tally: tally.high),
    Mode(lambda tally: tally.squares, shifted=True),
    Mode(lambda tally: tally.squares, shifted=True, word=1),
    Mode(lambda tally: tally.squares, shifted=True, word=2),
)
VALUE, DIFF, SUM_LOW, SUM_HIGH, MINIMUM, MAXIMUM, SQUARES_LOW, SQUARES_MID, SQUARES_HIGH = range(len(MODES))

TS_START, TS_END, TS_TRIG, GATE_DURATION, BITS0 = 0x200, 0x220, 0x240, 0x260, 0x270

#: A code without a meaning; it captures 0.
NOTHING = 0x2F0


def _timestamp(tick_of: Callable[[Moment], int | None], word: int) -> Word:
    return lambda moment: wrap(moment.window.since_start(tick_of(moment)) >> 32 * word)


def _bits(word: int) -> Word:
    read = itemgetter(*(f"BIT[{place}]" for place in range(32 * word, 32 * word + 32)))

    def captured(moment: Moment) -> int:
        bits = 0
        for place, value in enumerate(read(moment.values)):
            if value:  # a moving value is true even while it is 0
                bits |= at(value, moment.now) << place
        return wrap(bits)

    return captured


#: Captures other than positions, by code.
_EXTENSIONS: Mapping[int, Word] = {
    **{TS_START + 0x10 * word: _timestamp(lambda moment: moment.window.first, word) for word in (0, 1)},
    **{TS_END + 0x10 * word: _timestamp(lambda moment: moment.window.end, word) for word in (0, 1)},
    **{TS_TRIG + 0x10 * word: _timestamp(lambda moment: moment.now, word) for word in (0, 1)},
    GATE_DURATION: lambda moment: wrap(moment.window.gated >> moment.shift),
    **{BITS0 + 0x10 * word: _bits(word) for word in range(4)},
}


def word_of(code: int) -> Word:
    """Return the function that captures the word of a code; unknown codes capture 0."""
    index, mode_code = code >> 4, code & 0xF
    if index >= POSITIONS or mode_code >= len(MODES):
        return _EXTENSIONS.get(code, lambda _: 0)
    mode = MODES[mode_code]
    of_tally = mode.of_tally
    if of_tally is None:
        name = f"POS[{index}]"
        return lambda moment: wrap(at(moment.values[name], moment.now))
    shift_by_word = 32 * mode.word
    if mode.shifted:
        return lambda moment: wrap(of_tally(moment.window.tallies[index]) >> moment.shift + shift_by_word)
    return lambda moment: of_tally(moment.window.tallies[index])


def tallied(codes: Sequence[int]) -> set[int]:
    """Return the slots of the position bus that need tallies."""
    return {code >> 4 for code in codes if code >> 4 < POSITIONS and 0 < code & 0xF < len(MODES)}


def slots(codes: Sequence[int]) -> tuple[set[int], set[int]]:
    """Return the captured slots of the position bus and of the bit bus."""
    positions = {code >> 4 for code in codes if code >> 4 < POSITIONS}
    words = [(code - BITS0) >> 4 for code in codes if BITS0 <= code < BITS0 + 0x40]
    return positions, {32 * word + place for word in words for place in range(32)}


def needs_squares(codes: Sequence[int]) -> bool:
    """Return whether sums of squares are captured."""
    return any(code >> 4 < POSITIONS and code & 0xF in {SQUARES_LOW, SQUARES_MID, SQUARES_HIGH} for code in codes)
