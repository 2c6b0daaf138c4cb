"""The blocks of a PandA, exact to the tick: one module per block, all of the same form (see `base`).

To add a block, write its module and add a line to `BLOCKS`. `drive` runs a single block on its own.
"""

from collections.abc import Mapping
from types import MappingProxyType

from .base import Block
from .bits import Bits
from .brick import PAIRS, Absenc, DioIn, DioOut, Incenc, Pmacenc
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

#: Connectors that are inputs or outputs, by their names on the various kinds of PandA.
_BOTH_WAYS = ("DIO", "TTLIO", "ST_TTLIO", "LVDSIO", "AENC", "B_CLKENC", "Z_DATAENC", "PANEL_R_CTRL")

#: SFP modules that can connect to another PandA.
_SFPS = ("SFP", *(f"SFP{number}" for number in range(1, 5)))

#: The simulated blocks, by their names on a PandA.
BLOCKS: Mapping[str, type[Block]] = MappingProxyType(
    {
        "ABSENC": Absenc,
        "BITS": Bits,
        "CALC": Calc,
        "CLOCK": Clock,
        "COUNTER": Counter,
        "DI": Input,
        "DIV": Div,
        "DO": Output,
        "EQU": Input,
        "FILTER": Filter,
        "INCENC": Incenc,
        "INENC": Inenc,
        "LUT": Lut,
        "LVDSIN": Input,
        "LVDSOUT": Output,
        "OC": Output,
        "OUTENC": Outenc,
        "PCAP": Pcap,
        "PCOMP": Pcomp,
        "PGEN": Pgen,
        "PMACENC": Pmacenc,
        "POSENC": Posenc,
        "PULSE": Pulse,
        "QDEC": Qdec,
        "SEQ": Seq,
        "SI": Input,
        "SRGATE": Srgate,
        "SYSTEM": System,
        "TTLIN": Input,
        "TTLOUT": Output,
        **{f"{name}_IN": DioIn for name in _BOTH_WAYS},
        **{f"{name}_OUT": DioOut for name in _BOTH_WAYS},
        **{f"{name}_SYNC_IN": SfpSyncIn for name in _SFPS},
        **{f"{name}_SYNC_OUT": SfpSyncOut for name in _SFPS},
    }
)


def make(kind: str, memory: Memory) -> Block | None:
    """Return a new block.

    Args:
        kind: name of the block on a PandA, without a number
        memory: reads the words of tables

    Returns:
        the block; None if it is not simulated
    """
    cls = BLOCKS.get(kind)
    if cls is None:
        return None
    return cls(memory) if issubclass(cls, Player) else cls()


__all__ = ["BLOCKS", "PAIRS", "Block", "Driver", "drive", "make"]
