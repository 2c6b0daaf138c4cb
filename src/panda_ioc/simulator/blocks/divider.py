"""The divider in FILTER: 64 bits by 32 bits, one bit of the quotient per tick.

The divider accepts new operands in any tick without restarting its bit count: if the operands change during a division,
each bit of the quotient comes from the operands of its tick. So the operands are recorded as they arrive, and the
quotient is computed when it is due.
"""

from bisect import bisect_right

_MASK = 0xFFFFFFFF

#: Bits of the quotient, which is also the number of ticks from the first load to the last bit.
_BITS = 32

#: Ticks from the first load to the quotient, if no load follows the last bit.
_LATENCY = _BITS + 1

#: Ticks after a quotient in which a new division ends immediately.
_SETTLING = 2

#: Limit of recorded loads: the quotient of a trigger that lasts longer is meaningless anyway.
_MOST_LOADS = 64


class Divider:
    """A sequential divider.

    Attributes:
        running: whether a division is in progress
        result: quotient in the tick in which it is ready, and during loads that follow; otherwise None
    """

    def __init__(self) -> None:
        self.running = False
        self.result: int | None = None
        self._start = 0
        self._finished = -_LATENCY  # tick of the last quotient
        self._ticks: list[int] = []  # ticks in which operands were set
        self._operands: list[tuple[int, int]] = []  # dividend and divisor in these ticks

    def set(self, now: int, dividend: int, divisor: int) -> None:
        """Set the operands to load at the next edge."""
        if not self.running:
            self._ticks.clear()
            self._operands.clear()
        self._ticks.append(now)
        self._operands.append((dividend & (1 << 64) - 1, divisor & _MASK))

    def hold(self, now: int) -> None:
        """Keep the operands, to load them again at the next edge."""
        self.set(now, *self._operands[-1])

    def step(self, now: int, *, load: bool) -> None:
        """Compute a clock edge."""
        if load:  # a load does not clear the result
            if not self.running:
                self.running, self._start = True, now
            return
        self.result = None
        if self.running and (now >= self._start + _LATENCY or now <= self._finished + _SETTLING):
            self.running = False
            self.result = self._quotient(now)
            self._finished = now

    def due(self, now: int, *, load: bool) -> int | None:
        """Return the next tick in which a call is needed: that of the quotient, or of a load that matters."""
        if not self.running:
            return None
        if load:
            return now + 1 if now < self._start + _MOST_LOADS else None
        return max(now + 1, self._start + _LATENCY)

    def _quotient(self, end: int) -> int:
        """Return the quotient of the edges between the first load and the end."""
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
