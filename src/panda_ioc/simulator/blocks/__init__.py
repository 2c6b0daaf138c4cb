"""The blocks of a PandA, tick by tick: one module for each, and each of the same shape (see `base`).

To add one, write its module and a line in `BLOCKS`. `drive` runs one without anything around it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from .base import Block
from .bits import Bits
from .calc import Calc
from .clock import Clock
from .counter import Counter
from .div import Div
from .drive import Driver, drive
from .filter import Filter
from .inenc import Inenc
from .io import Input, Output
from .loader import Memory
from .lut import Lut
from .outenc import Outenc
from .pcap import Pcap
from .pcomp import Pcomp
from .pgen import Pgen
from .player import Player
from .posenc import Posenc
from .pulse import Pulse
from .qdec import Qdec
from .seq import Seq
from .sfp_sync import SfpSyncIn, SfpSyncOut
from .srgate import Srgate
from .system import System

#: The blocks that can be simulated, by the name that they have on a PandA.
BLOCKS: Mapping[str, type[Block]] = MappingProxyType(
    {
        "BITS": Bits,
        "CALC": Calc,
        "CLOCK": Clock,
        "COUNTER": Counter,
        "DIV": Div,
        "FILTER": Filter,
        "INENC": Inenc,
        "LUT": Lut,
        "LVDSIN": Input,
        "LVDSOUT": Output,
        "OUTENC": Outenc,
        "PCAP": Pcap,
        "PCOMP": Pcomp,
        "PGEN": Pgen,
        "POSENC": Posenc,
        "PULSE": Pulse,
        "QDEC": Qdec,
        "SEQ": Seq,
        "SFP1_SYNC_IN": SfpSyncIn,
        "SFP1_SYNC_OUT": SfpSyncOut,
        "SFP2_SYNC_IN": SfpSyncIn,
        "SFP2_SYNC_OUT": SfpSyncOut,
        "SFP3_SYNC_IN": SfpSyncIn,
        "SFP3_SYNC_OUT": SfpSyncOut,
        "SRGATE": Srgate,
        "SYSTEM": System,
        "TTLIN": Input,
        "TTLOUT": Output,
    }
)


def make(kind: str, memory: Memory) -> Block | None:
    """Make a block.

    Args:
        kind: its name on a PandA, without a number
        memory: where it would load tables from

    Returns:
        the block; None if it cannot be simulated
    """
    cls = BLOCKS.get(kind)
    if cls is None:
        return None
    return cls(memory) if issubclass(cls, Player) else cls()


__all__ = ["BLOCKS", "Block", "Driver", "drive", "make"]
