"""PCAP: position capture.

Between ARM and the falling edge of ENABLE, each selected edge of TRIG is a capture: the list in `capture` defines its
words, which are sent one per tick, starting four ticks after the trigger. `window` accumulates values between captures.
"""

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto
from types import MappingProxyType

from . import capture
from .base import ANY, Block, Changes, bit_in, bit_out, earliest, matches, param, pos_in, readback, stream
from .window import Tally, Window

OK, TOO_CLOSE, OVERFLOW = range(3)

#: Ticks from a trigger to its first word, and to HEALTH if the trigger came too early.
_LATENCY = 4

#: Reasons for the end of a run, in the words of the server.
ENDED_OK, DISARMED, FRAMING_ERROR, OVERRUN = "Ok", "Disarmed", "Framing error", "Driver data overrun"

_POSITIONS = {f"POS[{slot}]": pos_in(moving=True) for slot in range(capture.POSITIONS)}
_BITS = {f"BIT[{slot}]": bit_in(moving=True) for slot in range(capture.BITS)}
_QUIET = dict.fromkeys((*_POSITIONS, *_BITS), ANY)

Words = list[int]


class _State(Enum):
    IDLE = auto()
    ARMED = auto()
    RUNNING = auto()
    DRAINING = auto()  # ENABLE fell, but words are still being sent


class Pcap(Block):
    """Captures positions, bits and times.

    Attributes:
        samples: captures whose words have all been sent; the caller removes them
        show_data: whether DATA shows each word in its tick; if not, no events are needed between captures
        on_start: called with the tick in which a run starts
        on_capture: called with the tick of each capture, also of captures that the end of ENABLE discards
        on_end: called with the tick in which a run ends, and the reason
    """

    more_ports = MappingProxyType({**_POSITIONS, **_BITS})

    ENABLE: int = bit_in()
    GATE: int = bit_in()
    TRIG: int = bit_in()
    TRIG_EDGE: int = param()
    SHIFT_SUM: int = param()
    START_WRITE: int = param()
    WRITE: int = param()
    ARM: int = param()
    DISARM: int = param()
    OVERRUN: int = param(outside=True)
    ACTIVE: int = bit_out()
    HEALTH: int = readback()
    DATA: int | None = stream()

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[Words] = []
        self.show_data = True
        self.on_start: Callable[[int], None] = lambda _: None
        self.on_capture: Callable[[int], None] = lambda _: None
        self.on_end: Callable[[int, str], None] = lambda *_: None
        self.quiet = _QUIET
        self._codes: list[int] = []
        self._state = _State.IDLE
        self._window = Window(0, {}, sum_squares=False)
        self._words: list[capture.Word] = []
        self._trig = 0  # TRIG and ENABLE in the previous tick
        self._sending: deque[tuple[int, Words]] = deque()  # captures that are not sent yet: tick and words
        self._recent: deque[int] = deque()  # ticks of captures that may still be in the pipeline
        self._error_at: int | None = None
        self._ends_at: int | None = None

    def step(self, now: int, changes: Changes) -> int | None:
        self._write_list(changes)
        ended = self._follow_actions(now, changes) or self._follow_enable(now)
        trig = self.TRIG & self.ENABLE
        if self._state is _State.RUNNING:
            self._run(now, changes, captured=trig != self._trig and matches(self.TRIG_EDGE, trig))
        self._trig = trig
        self._send(now)
        if ended:
            self._sending.clear()
            self.on_end(now, ended)
        return earliest(self._error_at, self._ends_at, self._next_word(now) if self.show_data else None)

    def choose(self, codes: Sequence[int]) -> None:
        """Set the whole capture list, instead of by writes to START_WRITE and WRITE."""
        self._codes = list(codes)

    def complete(self, now: int) -> None:
        """Collect the captures that were complete in a past tick."""
        self._send(now)

    def _write_list(self, changes: Changes) -> None:
        if "START_WRITE" in changes:
            self._codes = []
        if "WRITE" in changes:
            self._codes = [*self._codes, self.WRITE]

    def _follow_actions(self, now: int, changes: Changes) -> str:
        """Handle arm, disarm and errors; return the reason if the run ends."""
        if self._error_at == now:
            return self._end(FRAMING_ERROR, TOO_CLOSE)
        if self._ends_at == now:
            return self._end(ENDED_OK)
        if self.ACTIVE and "OVERRUN" in changes:
            return self._end(OVERRUN, OVERFLOW)
        if self.ACTIVE and "DISARM" in changes:
            return self._end(DISARMED)
        if not self.ACTIVE and "ARM" in changes:
            self.ACTIVE, self.HEALTH = 1, OK
            self._state = _State.ARMED
        return ""

    def _follow_enable(self, now: int) -> str:
        """Start a run, or end it and return the reason."""
        if self._state is _State.ARMED and self.ENABLE:
            self._start(now)
        elif self._state is _State.RUNNING and not self.ENABLE:
            return self._disabled(now)
        return ""

    def _start(self, now: int) -> None:
        tallies = {slot: Tally(vars(self)[f"POS[{slot}]"]) for slot in sorted(capture.tallied(self._codes))}
        self._window = Window(now, tallies, sum_squares=capture.needs_squares(self._codes))
        self._window.open(now, gate=bool(self.GATE), captured=False)
        self._words = [capture.word_of(code) for code in self._codes]
        self.quiet = {name: band for name, band in _QUIET.items() if name not in {f"POS[{slot}]" for slot in tallies}}
        self._recent.clear()
        self._state = _State.RUNNING
        self.on_start(now)

    def _disabled(self, now: int) -> str:
        """Handle the falling edge of ENABLE: unsent captures are lost; a capture that is being sent delays the end."""
        while self._recent and now - self._recent[-1] < _LATENCY:
            self._recent.pop()
            self._sending.pop()
        if self._error_at is not None and self._error_at > now:
            self._error_at = None
        length = len(self._words)
        if not any(tick + _LATENCY < now <= tick + _LATENCY + length for tick in self._recent):
            return self._end(ENDED_OK)
        self._state = _State.DRAINING
        self._ends_at = self._recent[-1] + _LATENCY + length + 1
        return ""

    def _end(self, reason: str, health: int | None = None) -> str:
        self.ACTIVE = 0
        self.HEALTH = self.HEALTH if health is None else health
        self._state = _State.IDLE
        self._error_at = self._ends_at = None
        self.quiet = _QUIET
        return reason

    def _run(self, now: int, changes: Changes, *, captured: bool) -> None:
        window = self._window
        window.count(now)
        for slot, tally in window.tallies.items():
            if f"POS[{slot}]" in changes:
                tally.value = vars(self)[f"POS[{slot}]"]
        if captured or "GATE" in changes:
            window.close(now)
            if captured:
                self._capture(now)
            window.open(now, gate=bool(self.GATE), captured=captured)

    def _capture(self, now: int) -> None:
        recent, length = self._recent, len(self._words)
        if self._error_at is not None or not length:
            return
        if recent and now - recent[-1] < length:
            self._error_at = now + _LATENCY
            return
        while recent and recent[0] + _LATENCY + length < now:
            recent.popleft()
        recent.append(now)
        self.on_capture(now)
        if self.GATE:  # even if it rises in this tick
            self._window.end = now
        moment = capture.Moment(now, self._window, self.SHIFT_SUM, vars(self))
        self._sending.append((now, [word(moment) for word in self._words]))

    def _send(self, now: int) -> None:
        """Send the word of this tick, and collect complete captures."""
        self.DATA = None
        sending, length = self._sending, len(self._words)
        while sending:
            place = now - sending[0][0] - _LATENCY
            if place < 0:
                return
            words = sending[0][1]
            if place < length:
                self.DATA = words[place]
            if place < length - 1:
                return
            self.samples.append(words)
            sending.popleft()

    def _next_word(self, now: int) -> int | None:
        return max(self._sending[0][0] + _LATENCY, now + 1) if self._sending else None
