"""DIV: a pulse divider."""

from .base import Block, Changes, bit_in, bit_out, param, readback, rising


class Div(Block):
    """Sends one pulse in DIVISOR to OUTD, and all others to OUTN."""

    ENABLE: int = bit_in()
    INP: int = bit_in()
    DIVISOR: int = param()
    FIRST_PULSE: int = param()
    OUTD: int = bit_out()
    OUTN: int = bit_out()
    COUNT: int = readback()

    def step(self, now: int, changes: Changes) -> None:
        last = max(self.DIVISOR, 1) - 1
        if not self.ENABLE or "DIVISOR" in changes or "FIRST_PULSE" in changes:
            self.COUNT = last if self.FIRST_PULSE else 0
            self.OUTD = self.OUTN = 0
        elif rising(changes, "INP"):
            divided = self.COUNT == last
            self.COUNT = 0 if divided else self.COUNT + 1
            self.OUTD, self.OUTN = int(divided), int(not divided)
        elif "INP" in changes:
            self.OUTD = self.OUTN = 0
