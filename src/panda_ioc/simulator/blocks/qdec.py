"""QDEC: a quadrature decoder; INENC contains the same counter."""

from .base import Block, Changes, bit_in, earliest, param, pos_out, readback, wrap

#: Places of (A, B) in a cycle when counting up.
_CYCLE = {(0, 0): 0, (1, 0): 1, (1, 1): 2, (0, 1): 3}

#: Count for each move in the cycle; a move by two places is illegal and counts nothing.
_STEPS = {1: 1, 3: -1}

#: Ticks from an edge to the change of the count.
_LATENCY = 2


class QuadratureCounter:
    """Counts edges of A and B.

    As in the hardware, a step in the tick right after a counted one is lost, and a step right after a step down,
    counted or lost, counts as a step up.

    Attributes:
        count: current count
        homed: whether the count was set, or zeroed by Z
    """

    def __init__(self) -> None:
        self.count = 0
        self.homed = 0
        self._place = 0
        self._counted = -1  # tick of the last counted step
        self._down = -1  # tick of the last step that was treated as a step down
        self._due: dict[int, int] = {}  # pending steps by the tick in which they are counted

    def step(self, now: int, a: int, b: int, *, linked: int, reset: int, setp: int | None) -> int | None:
        """Compute a tick.

        Args:
            now: current tick
            a: level of A
            b: level of B
            linked: whether an encoder is connected; without one, `homed` is cleared
            reset: whether the count is held at zero
            setp: count to load in this tick; None for none

        Returns:
            tick of the next change of the count if nothing else happens
        """
        place = _CYCLE[a, b]
        step = _STEPS.get((place - self._place) % 4)
        self._place = place
        if step == -1 and self._down != now - 1:
            self._down = now
        if step is not None and self._counted != now - 1:
            self._counted = now
            self._due[now + _LATENCY] = -1 if self._down == now else 1
        due = self._due.pop(now, 0)
        if not linked:
            self.homed = 0
        elif reset:
            self.count, self.homed = 0, 1
        elif setp is not None:
            self.count, self.homed = setp, 1
        else:
            self.count = wrap(self.count + due)
        return earliest(*self._due)


class Qdec(Block):
    """Counts A and B up and down."""

    A: int = bit_in()
    B: int = bit_in()
    Z: int = bit_in()
    LINKUP_INCR: int = param(bits=1)
    RST_ON_Z: int = param(bits=1)
    SETP: int = param(signed=True)
    HOMED: int = readback()
    OUT: int = pos_out()

    def __init__(self) -> None:
        super().__init__()
        self._counter = QuadratureCounter()

    def step(self, now: int, changes: Changes) -> int | None:
        counter = self._counter
        setp = self.SETP if "SETP" in changes else None
        wake = counter.step(now, self.A, self.B, linked=self.LINKUP_INCR, reset=self.RST_ON_Z & self.Z, setp=setp)
        self.OUT, self.HOMED = counter.count, counter.homed
        return wake
