"""SYSTEM: the clock of the box. All else that it has are readings that do not change."""

from .base import Block, Changes, param, readback


class System(Block):
    """Any clock source is there and good."""

    CLOCK_SOURCE: int = param()
    CLK_SEL_STAT: int = readback()

    def step(self, now: int, changes: Changes) -> None:
        self.CLK_SEL_STAT = self.CLOCK_SOURCE
