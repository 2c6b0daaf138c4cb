"""What PCAP knows about the ticks since the last capture: the window of which the next capture tells.

Ticks count while the gate is high. A window is the ticks from the previous capture, or the start of the run, up
to the tick before a capture; the tick of the capture is the first of the next window.
"""

from ..motion import Ramp, at, extremes, squares, total
from .base import wrap

Position = int | Ramp

#: The minimum and the maximum of no ticks at all.
_NO_MINIMUM, _NO_MAXIMUM = 2**31 - 1, -(2**31)


class Tally:
    """One position over the gated ticks of a window.

    Attributes:
        value: what it is now
        total, squares: sums over the gated ticks
        low, high: the lowest and the highest value in them
        moved: how far it went while the gate was high
    """

    __slots__ = ("_from", "high", "low", "moved", "squares", "total", "value")

    def __init__(self, value: Position) -> None:
        self.value = value
        self._from = 0  # the value where the gate rose, or where the window began if it was high
        self.reset()

    def reset(self) -> None:
        """Begin a window."""
        self.total = self.squares = self.moved = 0
        self.low, self.high = _NO_MINIMUM, _NO_MAXIMUM

    def add(self, start: int, end: int, *, sum_squares: bool) -> None:
        """Count the ticks from start up to, not including, end, in which the gate was high."""
        self.total += total(self.value, start, end)
        if sum_squares:
            self.squares += squares(self.value, start, end)
        for value in extremes(self.value, start, end):
            self.low, self.high = min(self.low, value), max(self.high, value)

    def gate_on(self, now: int) -> None:
        """The gate is high from this tick on."""
        self._from = at(self.value, now)

    def gate_off(self, now: int) -> None:
        """The gate was high up to the tick before."""
        self.moved = wrap(self.moved + at(self.value, now) - self._from)


class Window:
    """The ticks since the last capture.

    Attributes:
        start: the tick with timestamp 0
        tallies: the positions that are summed, by slot
        gated: how many ticks the gate was high
        first, end: the first tick with the gate high, and the one after the last; None if there is none
    """

    def __init__(self, start: int, tallies: dict[int, Tally], *, sum_squares: bool) -> None:
        self.start = start
        self.tallies = tallies
        self._sum_squares = sum_squares
        self._gate = False
        self._counted = start  # up to, not including, this tick
        self._reset()

    def _reset(self) -> None:
        self.gated = 0
        self.first: int | None = None
        self.end: int | None = None
        for tally in self.tallies.values():
            tally.reset()

    def count(self, now: int) -> None:
        """Count the ticks before this one, in which the positions and the gate were as they are known."""
        if self._gate and now > self._counted:
            for tally in self.tallies.values():
                tally.add(self._counted, now, sum_squares=self._sum_squares)
            self.gated += now - self._counted
            self.first = self._counted if self.first is None else self.first
            self.end = now
        self._counted = now

    def close(self, now: int) -> None:
        """A capture or an edge of the gate: a stretch of high gate ends here, if there was one."""
        if self._gate:
            for tally in self.tallies.values():
                tally.gate_off(now)

    def open(self, now: int, *, gate: bool, captured: bool) -> None:
        """After `close`: go on, in a new window if there was a capture."""
        if captured:
            self._reset()
        self._gate = gate
        if gate:
            for tally in self.tallies.values():
                tally.gate_on(now)

    def since_start(self, tick: int | None) -> int:
        """A timestamp; -1 for none."""
        return -1 if tick is None else tick - self.start
