"""CALC: the sum of up to four positions."""

from .base import Block, Changes, param, pos_in, pos_out, wrap


class Calc(Block):
    """Adds or subtracts four positions, then shifts the result right by SHIFT bits."""

    INPA: int = pos_in()
    INPB: int = pos_in()
    INPC: int = pos_in()
    INPD: int = pos_in()
    TYPEA: int = param()
    TYPEB: int = param()
    TYPEC: int = param()
    TYPED: int = param()
    SHIFT: int = param()
    OUT: int = pos_out()

    def step(self, now: int, changes: Changes) -> None:
        total = (
            (-self.INPA if self.TYPEA else self.INPA)
            + (-self.INPB if self.TYPEB else self.INPB)
            + (-self.INPC if self.TYPEC else self.INPC)
            + (-self.INPD if self.TYPED else self.INPD)
        )
        self.OUT = wrap(total >> min(self.SHIFT, 2))
