"""The divider of FILTER: 64 bits by 32, one bit of the result in a tick.

The divider can be loaded in any tick, and a load does not start its count again: a division whose operands change
has the bits that each of them gave in its turn. So the operands are noted while they come, and put together when
the result is due.
"""

from bisect import bisect_right

_MASK = 0xFFFFFFFF

#: Bits of a result, and so ticks from the first load until the last of them.
_BITS = 32

#: Ticks from the first load until the result, if no load comes after the last bit.
_LATENCY = _BITS + 1

#: Ticks after a result in which the divider still takes a division for finished.
_SETTLING = 2

#: Ticks of loads that count: a trigger that lasts longer gives a result that means nothing anyway.
_MOST_LOADS = 64


class Divider:
    """Divides.

    Attributes:
        running: whether a division is under way
        result: the quotient, in the one tick in which it is there, and while loads follow that; otherwise None
    """

    def __init__(self) -> None:
        self.running = False
        self.result: int | None = None
        self._start = 0
        self._finished = -_LATENCY  # when the last division was
        self._ticks: list[int] = []  # when operands were set, and to what
        self._operands: list[tuple[int, int]] = []

    def set(self, now: int, dividend: int, divisor: int) -> None:
        """Set the operands that are loaded at the next edge."""
        if not self.running:
            self._ticks.clear()
            self._operands.clear()
        self._ticks.append(now)
        self._operands.append((dividend & (1 << 64) - 1, divisor & _MASK))

    def hold(self, now: int) -> None:
        """Keep the operands, which are loaded at the next edge again."""
        self.set(now, *self._operands[-1])

    def step(self, now: int, *, load: bool) -> None:
        """Do what happens at a clock edge."""
        if load:  # which leaves a result where it is
            if not self.running:
                self.running, self._start = True, now
            return
        self.result = None
        if self.running and (now >= self._start + _LATENCY or now <= self._finished + _SETTLING):
            self.running = False
            self.result = self._quotient(now)
            self._finished = now

    def due(self, now: int, *, load: bool) -> int | None:
        """The next tick in which it must be called: that of the result, or of a load that matters."""
        if not self.running:
            return None
        if load:
            return now + 1 if now < self._start + _MOST_LOADS else None
        return max(now + 1, self._start + _LATENCY)

    def _quotient(self, end: int) -> int:
        """The result of the edges between the first load and the end."""
        dividend, divisor = self._operands[0]
        if len(self._operands) == 1 and end == self._start + _LATENCY and dividend < divisor << _BITS:
            return dividend // divisor
        result = 0
        for edge in range(self._start + 1, min(end, self._start + _MOST_LOADS)):
            place = _BITS - 1 - min(edge - self._start - 1, _BITS - 1)
            latest = bisect_right(self._ticks, edge - 1) - 1
            divisor = self._operands[latest][1]
            loaded = self._operands[latest][0] if self._ticks[latest] == edge - 1 else dividend
            part = dividend >> place & _MASK
            if part >= divisor:
                result |= 1 << place
                loaded = loaded & ~(_MASK << place) | part - divisor << place
            dividend = loaded
        return result
