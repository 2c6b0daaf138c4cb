"""The base of all encoder inputs: a position from outside, the selection of its bits, and counting.

POSITION is the position of the device at the connector. Quadrature edges are counted one by one only if EXACT is set;
the pins A, B and Z are then used instead of POSITION.
"""

from ..motion import Pattern, Ramp, Value, at
from .base import Block, Changes, bit_in, bit_out, earliest, param, pos_in, pos_out, readback, wrap
from .qdec import QuadratureCounter

#: HEALTH.
OK, LINK_DOWN, TIMEOUT, CRC, ERROR_BIT, ENDAT_MISSING = range(6)

#: Counts within a cycle of four at which A and B are high.
_A, _B = (1, 2), (2, 3)

#: The first encoding with a sign.
_SIGNED = 2


class EncoderInput(Block):
    """An encoder input with a position from outside."""

    ENCODING: int = param()
    BITS: int = param()
    LSB_DISCARD: int = param()
    MSB_DISCARD: int = param()
    POSITION: int | Ramp = pos_in(outside=True, moving=True)
    LINK: int = bit_in(outside=True, initial=1)
    CONN: int = bit_out(initial=1)
    VAL: int | Ramp = pos_out()
    HOMED: int = readback()
    HEALTH: int = readback()

    def show(self, now: int, raw: int | Ramp) -> int | None:
        """Set VAL to the selected bits of a count; return the tick in which a moving one leaves their range."""
        bits = self.BITS % 32 or 32
        width = bits - self.LSB_DISCARD - self.MSB_DISCARD
        if width <= 0:
            self.VAL = 0
            return None
        signed = self.ENCODING >= _SIGNED or width == 32
        low = -(1 << (width - 1)) if signed else 0
        kept = raw >> self.LSB_DISCARD if isinstance(raw, int) else raw.halved(self.LSB_DISCARD)
        value = at(kept, now)
        self.VAL = _plus(kept, ((value - low) % (1 << width)) + low - value)
        return None if isinstance(self.VAL, int) else self.VAL.leaves(now + 1, low, low + (1 << width) - 1)


class QuadratureInput(EncoderInput):
    """An encoder input that counts A and B."""

    SETP: int = param(signed=True)
    RST_ON_Z: int = param(bits=1)
    EXACT: int = bit_in(outside=True)
    PIN_A: int = bit_in(outside=True)
    PIN_B: int = bit_in(outside=True)
    PIN_Z: int = bit_in(outside=True)
    MARK_EVERY: int = param(outside=True)  # counts from one marker Z to the next; 0 for none
    A: Value = bit_out()
    B: Value = bit_out()
    Z: Value = bit_out()

    def __init__(self) -> None:
        super().__init__()
        self._counter = QuadratureCounter()
        self._offset = 0  # count minus position outside
        self._frozen: int | None = None  # count at the loss of the link
        self._homed = 0

    def count(self, now: int, changes: Changes, *, linked: int) -> int | None:
        """Update the count and VAL; return the tick of the next call."""
        setp = self.SETP if "SETP" in changes else None
        if self.EXACT:
            self.A, self.B, self.Z = self.PIN_A, self.PIN_B, self.PIN_Z
            reset = self.RST_ON_Z & self.PIN_Z
            wake = self._counter.step(now, self.PIN_A, self.PIN_B, linked=linked, reset=reset, setp=setp)
            raw: int | Ramp = self._counter.count
            self._homed = self._counter.homed
        else:
            self.A, self.B = _cyclic(self.POSITION, 4, _A), _cyclic(self.POSITION, 4, _B)
            self.Z = _cyclic(self.POSITION, self.MARK_EVERY, (0,)) if self.MARK_EVERY else self.PIN_Z
            raw = self._count(now, setp, linked=linked)
            wake = _next_change(self.Z, now) if self.RST_ON_Z else None
        self.HOMED = self._homed
        self.HEALTH = OK if linked else LINK_DOWN
        return earliest(wake, self.show(now, raw))

    def _count(self, now: int, setp: int | None, *, linked: int) -> int | Ramp:
        """Compute the count without counting edges: the position outside, plus the offset set by SETP and Z."""
        position = at(self.POSITION, now)
        if not linked:
            self._homed = 0
            if self._frozen is None:
                self._frozen = wrap(position + self._offset)
            return self._frozen
        if self._frozen is not None:
            self._offset, self._frozen = self._frozen - position, None
        if self.RST_ON_Z and at(self.Z, now):
            self._offset, self._homed = -position, 1
            return 0
        if setp is not None:
            self._offset, self._homed = setp - position, 1
        return _plus(self.POSITION, self._offset)


def _plus(value: int | Ramp, counts: int) -> int | Ramp:
    return value + counts if isinstance(value, int) else value.plus(counts)


def _next_change(value: Value, now: int) -> int | None:
    return None if isinstance(value, int) else value.leaves(now + 1, value.at(now), value.at(now))


def _cyclic(position: int | Ramp, period: int, high: tuple[int, ...]) -> Value:
    """Return a bit that is high at some counts of each period."""
    return int(position % period in high) if isinstance(position, int) else Pattern(position, period, high)
