"""SFPn_SYNC: the link to another PandA, which is never connected in the simulation."""

from types import MappingProxyType

from .base import Block, Changes, bit_in, bit_out, pos_in, pos_out, readback

_BITS = [f"BIT{place}" for place in range(1, 9)]
_POSITIONS = [f"POS{place}" for place in range(1, 5)]

LINK_DOWN = 1


class SfpSyncIn(Block):
    """The signals from another PandA."""

    more_ports = MappingProxyType({**{bit: bit_out() for bit in _BITS}, **{pos: pos_out() for pos in _POSITIONS}})

    LINKUP: int = readback()
    HEALTH: int = readback(initial=LINK_DOWN)
    ERR_CNT: int = readback()

    def step(self, now: int, changes: Changes) -> None:
        """Do nothing: the link is down."""


class SfpSyncOut(Block):
    """The signals to another PandA."""

    more_ports = MappingProxyType({**{bit: bit_in() for bit in _BITS}, **{pos: pos_in() for pos in _POSITIONS}})

    def step(self, now: int, changes: Changes) -> None:
        """Do nothing: the link is down."""
