"""The values that PCAP accumulates between captures.

Ticks count while the gate is high. A window is the ticks from the previous capture, or from the start of the run, to
the tick before a capture; the tick of the capture is the first one of the next window.
"""

from ..motion import Ramp, at, extremes, squares, total
from .base import wrap

Position = int | Ramp

#: Minimum and maximum over no ticks.
_NO_MINIMUM, _NO_MAXIMUM = 2**31 - 1, -(2**31)


class Tally:
    """The accumulated values of one position over the gated ticks of a window.

    Attributes:
        value: current position
        total, squares: sum of the values, and of their squares
        low, high: lowest and highest value
        moved: distance moved while the gate was high
    """

    __slots__ = ("_from", "high", "low", "moved", "squares", "total", "value")

    def __init__(self, value: Position) -> None:
        self.value = value
        self._from = 0  # value when the gate rose, or when the window began
        self.reset()

    def reset(self) -> None:
        """Start a window."""
        self.total = self.squares = self.moved = 0
        self.low, self.high = _NO_MINIMUM, _NO_MAXIMUM

    def add(self, start: int, end: int, *, sum_squares: bool) -> None:
        """Add the ticks from start to end, excluding end, in which the gate was high."""
        self.total += total(self.value, start, end)
        if sum_squares:
            self.squares += squares(self.value, start, end)
        for value in extremes(self.value, start, end):
            self.low, self.high = min(self.low, value), max(self.high, value)

    def gate_on(self, now: int) -> None:
        """Start a stretch with the gate high, from this tick on."""
        self._from = at(self.value, now)

    def gate_off(self, now: int) -> None:
        """End a stretch with the gate high; the tick before was its last."""
        self.moved = wrap(self.moved + at(self.value, now) - self._from)


class Window:
    """The ticks since the last capture.

    Attributes:
        start: tick with time stamp 0
        tallies: accumulated positions, by slot
        gated: number of ticks with the gate high
        first, end: first tick with the gate high, and the one after the last; None if there was none
    """

    def __init__(self, start: int, tallies: dict[int, Tally], *, sum_squares: bool) -> None:
        self.start = start
        self.tallies = tallies
        self._sum_squares = sum_squares
        self._gate = False
        self._counted = start  # first tick that is not counted yet
        self._reset()

    def _reset(self) -> None:
        self.gated = 0
        self.first: int | None = None
        self.end: int | None = None
        for tally in self.tallies.values():
            tally.reset()

    def count(self, now: int) -> None:
        """Count the ticks before this one, with the positions and the gate level since the last call."""
        if self._gate and now > self._counted:
            for tally in self.tallies.values():
                tally.add(self._counted, now, sum_squares=self._sum_squares)
            self.gated += now - self._counted
            self.first = self._counted if self.first is None else self.first
            self.end = now
        self._counted = now

    def close(self, now: int) -> None:
        """End a stretch with the gate high, if any, at a capture or an edge of the gate."""
        if self._gate:
            for tally in self.tallies.values():
                tally.gate_off(now)

    def open(self, now: int, *, gate: bool, captured: bool) -> None:
        """Continue after `close`; start a new window if there was a capture."""
        if captured:
            self._reset()
        self._gate = gate
        if gate:
            for tally in self.tallies.values():
                tally.gate_on(now)

    def since_start(self, tick: int | None) -> int:
        """Return a time stamp; -1 for none."""
        return -1 if tick is None else tick - self.start
