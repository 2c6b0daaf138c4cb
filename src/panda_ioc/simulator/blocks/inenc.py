"""INENC: an encoder input of a PandABox, for quadrature and absolute encoders."""

from ..motion import at
from .base import Changes, bit_in, bit_out, param
from .encoder import ENDAT_MISSING, LINK_DOWN, QuadratureInput

QUADRATURE, SSI, BISS, ENDAT = range(4)


class Inenc(QuadratureInput):
    """An encoder input with a selectable protocol."""

    CLK: int = bit_in()
    PROTOCOL: int = param()
    FAULT: int = param(outside=True)  # HEALTH of a faulty absolute encoder
    DATA: int = bit_out()

    def step(self, now: int, changes: Changes) -> int | None:
        self.CONN = int(self.LINK and self.PROTOCOL != ENDAT)
        if self.PROTOCOL == QUADRATURE:
            return self.count(now, changes, linked=self.LINK)
        self.A = self.B = self.Z = 0
        self.HOMED = 1
        if self.PROTOCOL == ENDAT:
            self.HEALTH, self.VAL = ENDAT_MISSING, 0
            return None
        self.HEALTH = self.FAULT if self.LINK else LINK_DOWN
        if self.HEALTH:
            self.VAL = at(self.VAL, now)
            return None
        return self.show(now, self.POSITION)
