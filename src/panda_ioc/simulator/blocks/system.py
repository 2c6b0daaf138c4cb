"""SYSTEM: the clock selection; all other readings of the block are constant."""

from .base import Block, Changes, param, readback


class System(Block):
    """Accepts any clock source as present and locked."""

    CLOCK_SOURCE: int = param()
    CLK_SEL_STAT: int = readback()

    def step(self, now: int, changes: Changes) -> None:
        self.CLK_SEL_STAT = self.CLOCK_SOURCE
