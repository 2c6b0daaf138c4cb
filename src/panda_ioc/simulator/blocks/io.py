"""TTLIN, LVDSIN, TTLOUT, LVDSOUT: the connectors of the front panel."""

from .base import Block, Changes, bit_in, bit_out


class Input(Block):
    """A bit input."""

    PIN: int = bit_in(outside=True)
    VAL: int = bit_out()

    def step(self, now: int, changes: Changes) -> None:
        self.VAL = self.PIN


class Output(Block):
    """A bit output."""

    VAL: int = bit_in()
    PIN: int = bit_out(outside=True)

    def step(self, now: int, changes: Changes) -> None:
        self.PIN = self.VAL
