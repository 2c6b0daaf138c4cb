"""SEQ: a sequencer of outputs.

One execution of a row consists of a trigger, phase 1 and phase 2; executions, rows and repeats of the table follow one
another without idle ticks. A row is read when it begins, so a stream can be extended while it is played.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .base import ANY, Changes, bit_in, bit_out, earliest, param, pos_in, readback, wrap
from .loader import Memory
from .player import UNDERRUN, WAIT_ENABLE, Player

WAIT_TRIGGER, PHASE1, PHASE2 = range(WAIT_ENABLE + 1, WAIT_ENABLE + 4)

_Met = Callable[["Seq", int], bool]

#: The condition of each trigger code, given the POSITION of the row. Other codes are never met.
_TRIGGERS: dict[int, _Met] = {
    0: lambda _seq, _: True,
    1: lambda seq, _: not seq.BITA,
    2: lambda seq, _: bool(seq.BITA),
    3: lambda seq, _: not seq.BITB,
    4: lambda seq, _: bool(seq.BITB),
    5: lambda seq, _: not seq.BITC,
    6: lambda seq, _: bool(seq.BITC),
    7: lambda seq, position: seq.POSA >= position,
    8: lambda seq, position: seq.POSA <= position,
    9: lambda seq, position: seq.POSB >= position,
    10: lambda seq, position: seq.POSB <= position,
    11: lambda seq, position: seq.POSC >= position,
    12: lambda seq, position: seq.POSC <= position,
}

#: The input that each trigger code uses.
_LOOKS_AT = {code: ("BITA", "BITB", "BITC", "POSA", "POSB", "POSC")[(code - 1) // 2] for code in range(1, 13)}

#: While no trigger is awaited, only ENABLE matters.
_QUIET = dict.fromkeys(_LOOKS_AT.values(), ANY)


#: While a bit is awaited, no other input matters.
_QUIET_BUT = {bit: {name: ANY for name in _QUIET if name != bit} for bit in ("BITA", "BITB", "BITC")}


@dataclass(frozen=True, slots=True)
class _Row:
    repeats: int
    trigger: int
    position: int
    times: tuple[int, int]
    outputs: tuple[int, int]


def _decoded(words: list[int]) -> _Row:
    flags, position, time1, time2 = words
    return _Row(
        repeats=flags & 0xFFFF,
        trigger=flags >> 16 & 0xF,
        position=wrap(position),
        times=(time1 & 0xFFFFFFFF, max(time2 & 0xFFFFFFFF, 1)),
        outputs=(flags >> 20 & 0x3F, flags >> 26 & 0x3F),
    )


class Seq(Player):
    """Plays a table of outputs."""

    row_words = 4

    BITA: int = bit_in()
    BITB: int = bit_in()
    BITC: int = bit_in()
    POSA: int = pos_in()
    POSB: int = pos_in()
    POSC: int = pos_in()
    PRESCALE: int = param()
    OUTA: int = bit_out()
    OUTB: int = bit_out()
    OUTC: int = bit_out()
    OUTD: int = bit_out()
    OUTE: int = bit_out()
    OUTF: int = bit_out()
    TABLE_REPEAT: int = readback()
    TABLE_LINE: int = readback()
    LINE_REPEAT: int = readback()

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self.quiet = _QUIET
        self._row = _Row(1, 0, 0, (0, 1), (0, 0))
        self._unit_start = 0  # start of the current unit of PRESCALE ticks
        self._units_left = 0  # units left in the phase, including the current one
        self._prescale = 1

    def step(self, now: int, changes: Changes) -> int | None:
        if "PRESCALE" in changes:
            self._rescale(now)
        load = super().step(now, changes)
        self._listen()
        return earliest(load, self._phase_end() if self.STATE >= PHASE1 else None)

    def begin(self, now: int) -> None:
        self.TABLE_REPEAT = self.TABLE_LINE = self.LINE_REPEAT = 1
        self._next_row(now)

    def play(self, now: int, changes: Changes) -> None:
        if self.STATE == WAIT_TRIGGER:
            if self._met():
                self._begin_phase(now, 0)
        elif now >= self._phase_end():
            if self.STATE == PHASE1:
                self._begin_phase(now, 1)
            else:
                self._end_pass(now)

    def stop(self, state: int) -> None:
        super().stop(state)
        self._set_outputs(0)

    def _phase_end(self) -> int:
        return self._unit_start + self._units_left * self._prescale

    def _end_pass(self, now: int) -> None:
        loader = self.loader
        if self.LINE_REPEAT != self._row.repeats:
            self.LINE_REPEAT = (self.LINE_REPEAT + 1) & 0xFFFFFFFF
            self._begin_pass(now)
        elif not loader.at_end:
            self._advance(now, self.TABLE_LINE + 1)
        elif loader.streams or self.TABLE_REPEAT == self.REPEATS:
            self.finish()
        else:
            loader.rewind()
            self.TABLE_REPEAT = (self.TABLE_REPEAT + 1) & 0xFFFFFFFF
            self._advance(now, 1)

    def _advance(self, now: int, line: int) -> None:
        """Go to another row; if it is not available, the counters keep their values."""
        if self._next_row(now):
            self.TABLE_LINE, self.LINE_REPEAT = line, 1

    def _next_row(self, now: int) -> bool:
        words = self.loader.take(now)
        if words is None:
            self.fail(UNDERRUN)
            return False
        self._row = _decoded(words)
        self._begin_pass(now)
        return True

    def _begin_pass(self, now: int) -> None:
        if self._met():
            self._begin_phase(now, 0)
        else:
            self.STATE = WAIT_TRIGGER

    def _begin_phase(self, now: int, phase: int) -> None:
        if not self._row.times[phase]:
            phase = 1
        self.STATE = PHASE2 if phase else PHASE1
        self._set_outputs(self._row.outputs[phase])
        self._unit_start, self._units_left = now, self._row.times[phase]
        self._prescale = self.PRESCALE or 1

    def _rescale(self, now: int) -> None:
        """Apply a write to PRESCALE, starting with the current unit of the phase."""
        done = max((now - self._unit_start) // self._prescale, 0)
        done = min(done, max(self._units_left - 1, 0))
        self._unit_start += done * self._prescale
        self._units_left -= done
        self._prescale = self.PRESCALE or 1

    def _set_outputs(self, bits: int) -> None:
        self.OUTA = bits & 1
        self.OUTB = bits >> 1 & 1
        self.OUTC = bits >> 2 & 1
        self.OUTD = bits >> 3 & 1
        self.OUTE = bits >> 4 & 1
        self.OUTF = bits >> 5 & 1

    def _met(self) -> bool:
        met = _TRIGGERS.get(self._row.trigger)
        return met is not None and met(self, self._row.position)

    def _listen(self) -> None:
        """Declare which inputs matter: only the one that the row waits for."""
        name = _LOOKS_AT.get(self._row.trigger)
        if self.STATE != WAIT_TRIGGER or name is None:
            self.quiet = _QUIET
        elif name.startswith("BIT"):
            self.quiet = _QUIET_BUT[name]
        else:
            position = self._row.position
            self.quiet = {**_QUIET, name: (ANY[0], position - 1) if self._row.trigger % 2 else (position + 1, ANY[1])}
