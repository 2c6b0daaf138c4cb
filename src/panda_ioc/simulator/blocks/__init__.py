"""The blocks of a PandA, tick by tick: one module for each, and each of the same shape (see `base`).

To add one, write its module and a line in `BLOCKS`. `drive` runs one without anything around it.
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

#: Connectors that can be inputs or outputs, by the names that they have on various PandAs.
_BOTH_WAYS = ("DIO", "TTLIO", "ST_TTLIO", "LVDSIO", "AENC", "B_CLKENC", "Z_DATAENC", "PANEL_R_CTRL")

#: Names of SFP modules with a PandA at the other end.
_SFPS = ("SFP", *(f"SFP{number}" for number in range(1, 5)))

#: The blocks that can be simulated, by the name that they have on a PandA.
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


__all__ = ["BLOCKS", "PAIRS", "Block", "Driver", "drive", "make"]
