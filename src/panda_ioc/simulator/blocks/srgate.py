"""SRGATE: a gate that edges set and reset."""

from .base import Block, Changes, bit_in, bit_out, matches, param


class Srgate(Block):
    """Set by an edge of SET, reset by an edge of RST; reset overrides set, and the FORCE actions override both."""

    ENABLE: int = bit_in()
    SET: int = bit_in()
    RST: int = bit_in()
    WHEN_DISABLED: int = param()
    SET_EDGE: int = param()
    RST_EDGE: int = param()
    FORCE_SET: int = param()
    FORCE_RST: int = param()
    OUT: int = bit_out()

    def step(self, now: int, changes: Changes) -> None:
        if not self.ENABLE:
            self.OUT = {0: 0, 1: 1}.get(self.WHEN_DISABLED, self.OUT)
        elif "FORCE_RST" in changes:
            self.OUT = 0
        elif "FORCE_SET" in changes:
            self.OUT = 1
        elif "RST" in changes and matches(self.RST_EDGE, self.RST):
            self.OUT = 0
        elif "SET" in changes and matches(self.SET_EDGE, self.SET):
            self.OUT = 1
