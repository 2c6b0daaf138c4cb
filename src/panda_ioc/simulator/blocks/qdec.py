"""QDEC: counts quadrature signals; INENC has the same counter inside."""

from .base import Block, Changes, bit_in, earliest, param, pos_out, readback, wrap

#: The states of (A, B) in the order in which they follow each other when counting up.
_CYCLE = {(0, 0): 0, (1, 0): 1, (1, 1): 2, (0, 1): 3}

#: What a move in the cycle counts; one by two places is illegal and counts nothing.
_STEPS = {1: 1, 3: -1}

#: Ticks from an edge to the count.
_LATENCY = 2


class QuadratureCounter:
    """Counts edges of A and B.

    A step in the tick right after a counted one is lost. One right after a step down, counted or lost, is taken for a
    step up: the hardware forgets its direction then.

    Attributes:
        count: where it is
        homed: whether it was told, or found, a zero
    """

    def __init__(self) -> None:
        self.count = 0
        self.homed = 0
        self._place = 0
        self._counted = -1  # the tick of the last step that was counted
        self._down = -1  # the tick of the last step that was taken for one down
        self._due: dict[int, int] = {}  # steps that do not show yet, by the tick in which they will

    def step(self, now: int, a: int, b: int, *, linked: int, reset: int, setp: int | None) -> int | None:
        """Do what happens in a tick.

        Args:
            now: the tick
            a: the signal A
            b: the signal B
            linked: whether there is an encoder; without one nothing counts
            reset: whether the count is held at zero
            setp: the count to load in this tick

        Returns:
            the tick in which the count changes next if nothing else happens
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
