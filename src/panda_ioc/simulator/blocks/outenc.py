"""OUTENC: an encoder output. Quadrature is generated edge by edge; for absolute protocols only HEALTH is simulated."""

from .base import Block, Changes, bit_in, bit_out, param, pos_in, readback
from .posenc import Stepper

QUADRATURE, ENDAT, ABZ_PASSTHROUGH, DATA_PASSTHROUGH = 0, 3, 4, 5
OK, ENDAT_MISSING = 0, 2


class Outenc(Block):
    """Emulates an encoder at position VAL."""

    ENABLE: int = bit_in()
    A: int = bit_in()
    B: int = bit_in()
    Z: int = bit_in()
    DATA: int = bit_in()
    VAL: int = pos_in()
    PROTOCOL: int = param()
    QPERIOD: int = param()
    CLK: int = bit_out()
    PIN_A: int = bit_out(outside=True)
    PIN_B: int = bit_out(outside=True)
    PIN_Z: int = bit_out(outside=True)
    PIN_DATA: int = bit_out(outside=True)
    QSTATE: int = readback()
    HEALTH: int = readback()

    def __init__(self) -> None:
        super().__init__()
        self._stepper = Stepper()

    def step(self, now: int, changes: Changes) -> int | None:
        stepper = self._stepper
        stepper.step(now, self.VAL, enabled=self.ENABLE and self.PROTOCOL == QUADRATURE)
        if "QPERIOD" in changes:
            stepper.restart(now, max(self.QPERIOD, 1))
        self.QSTATE = stepper.state
        self.HEALTH = ENDAT_MISSING if self.PROTOCOL == ENDAT else OK
        self.PIN_DATA = self.DATA if self.PROTOCOL == DATA_PASSTHROUGH else 0
        if self.PROTOCOL == ABZ_PASSTHROUGH:
            self.PIN_A, self.PIN_B, self.PIN_Z = self.A, self.B, self.Z
        else:
            self.PIN_A, self.PIN_B = stepper.quadrature
            self.PIN_Z = 0
        return stepper.next_step(now)
