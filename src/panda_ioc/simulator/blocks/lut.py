"""LUT: a logic function of five bits."""

from .base import Block, Changes, bit_in, bit_out, matches, param

#: Inputs with their types, most significant bit of the index first.
_INPUTS = tuple((f"INP{letter}", f"TYPE{letter}") for letter in "ABCDE")

#: The edge that each type of input converts to a pulse, coded as in TRIG_EDGE; type 0 is Input-Level.
_EDGES = {1: 0, 2: 1, 3: 2}


class Lut(Block):
    """OUT is the bit of FUNC at the index that the inputs, or pulses at their edges, form."""

    INPA: int = bit_in()
    INPB: int = bit_in()
    INPC: int = bit_in()
    INPD: int = bit_in()
    INPE: int = bit_in()
    TYPEA: int = param()
    TYPEB: int = param()
    TYPEC: int = param()
    TYPED: int = param()
    TYPEE: int = param()
    FUNC: int = param()
    OUT: int = bit_out()

    def step(self, now: int, changes: Changes) -> int | None:
        index = 0
        pulsed = False
        for name, kind_name in _INPUTS:
            level = self.__dict__[name]
            if kind := self.__dict__[kind_name]:
                level = int(name in changes and matches(_EDGES.get(kind, 2), level))
                pulsed = pulsed or bool(level)
            index = index << 1 | level
        self.OUT = self.FUNC >> index & 1
        return now + 1 if pulsed else None
