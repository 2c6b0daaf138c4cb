"""BITS: software-controlled bits."""

from .base import Block, Changes, bit_out, param


class Bits(Block):
    """Four bits, each set by a parameter."""

    A: int = param(bits=1)
    B: int = param(bits=1)
    C: int = param(bits=1)
    D: int = param(bits=1)
    OUTA: int = bit_out()
    OUTB: int = bit_out()
    OUTC: int = bit_out()
    OUTD: int = bit_out()

    def step(self, now: int, changes: Changes) -> None:
        self.OUTA, self.OUTB, self.OUTC, self.OUTD = self.A, self.B, self.C, self.D
