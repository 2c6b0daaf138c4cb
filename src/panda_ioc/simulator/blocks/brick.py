"""Blocks of a PandABrick and of PandABox2: INCENC, ABSENC, PMACENC, and bidirectional connectors.

PMACENC selects what happens to the signals between the encoder and the motion controller: whether ABSENC is in use, and
its protocol if the signals do not just pass through. `PAIRS` has the wires between the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..motion import at
from .base import Block, Changes, bit_in, bit_out, param, pos_in, pos_out, readback
from .encoder import ENDAT_MISSING, OK, TIMEOUT, EncoderInput, QuadratureInput

SSI, BISS = range(2)
UVWT, ABSOLUTE, STEP_DIRECTION, GENERATE_SSI, GENERATE_ENDAT, GENERATE_BISS = range(6)

_OWN_ENDAT_MISSING = 2


class Incenc(QuadratureInput):
    """An incremental encoder: it counts, its encoding has no sign, and it cannot detect a missing cable."""

    PROTOCOL: int = param()
    QSTATE: int = readback()

    def step(self, now: int, changes: Changes) -> int | None:
        self.CONN = 1
        return self.count(now, changes, linked=1)


class Absenc(EncoderInput):
    """An absolute encoder."""

    CLK: int = bit_in()
    PROTOCOL: int = param()
    FAULT: int = param(outside=True)  # HEALTH of a faulty encoder
    IN_USE: int = bit_in(outside=True, initial=1)
    PASSED: int = bit_in(outside=True, initial=1)
    GENERATED: int = pos_in(outside=True)
    DATA: int = bit_out()
    ENABLED: int = readback(initial=1)
    HOMED: int = readback(initial=1)

    def step(self, now: int, changes: Changes) -> int | None:  # noqa: ARG002 - it has no state
        self.ENABLED = self.IN_USE
        protocol = self.PROTOCOL if self.PASSED else self.GENERATED
        known = protocol in {SSI, BISS}
        self.CONN = int(self.LINK and known)
        if not known:
            self.HEALTH = ENDAT_MISSING
        else:
            self.HEALTH = self.FAULT if self.LINK else TIMEOUT
        if not self.IN_USE or not known:
            self.VAL = 0
            return None
        if self.HEALTH:
            self.VAL = at(self.VAL, now)
            return None
        return self.show(now, self.POSITION)


class Pmacenc(Block):
    """The signals to a motion controller; only their effect on ABSENC is simulated."""

    ENABLE: int = bit_in()
    DATA: int = bit_in()
    VAL: int = pos_in()
    GENERATOR_ERROR: int = param()
    PROTOCOL: int = param()
    ENCODING: int = param()
    BITS: int = param()
    CLK: int = bit_out()
    HEALTH: int = readback()
    USES_ABSENC: int = bit_out(outside=True)
    PASSES: int = bit_out(outside=True, initial=1)
    GENERATES: int = pos_out(outside=True)

    def step(self, now: int, changes: Changes) -> None:  # noqa: ARG002 - it has no state
        self.USES_ABSENC = int(self.PROTOCOL != UVWT)
        self.PASSES = int(self.PROTOCOL in {UVWT, ABSOLUTE})
        self.GENERATES = {GENERATE_SSI: SSI, GENERATE_BISS: BISS}.get(self.PROTOCOL, self.GENERATES)
        self.HEALTH = _OWN_ENDAT_MISSING if self.PROTOCOL == GENERATE_ENDAT else OK


class DioIn(Block):
    """The input of a bidirectional connector: the level at the pin, even if DIO_OUT drives it."""

    PIN: int = bit_in(outside=True)
    DRIVEN: int = bit_in(outside=True)
    LEVEL: int = bit_in(outside=True)
    VAL: int = bit_out()

    def step(self, now: int, changes: Changes) -> None:  # noqa: ARG002 - it has no state
        self.VAL = self.LEVEL if self.DRIVEN else self.PIN


class DioOut(Block):
    """The output of a bidirectional connector; the field for the direction has one of two names."""

    VAL: int = bit_in()
    DIR: int = param(bits=1)
    DIR_REG: int = param(bits=1)
    PIN: int = bit_out(outside=True)
    DRIVES: int = bit_out(outside=True)

    def step(self, now: int, changes: Changes) -> None:  # noqa: ARG002 - it has no state
        self.DRIVES = self.DIR | self.DIR_REG
        self.PIN = self.VAL if self.DRIVES else 0


@dataclass(frozen=True)
class Pair:
    """Two blocks of which one drives the other by fixed wires.

    Attributes:
        driver: class of the driving block
        names: part of its name, and the replacement that gives the name of the driven block
        wires: pairs of an output of the driving block and an input of the driven block
    """

    driver: type[Block]
    names: tuple[str, str]
    wires: Sequence[tuple[str, str]]


PAIRS = (
    Pair(Pmacenc, ("PMACENC", "ABSENC"), (("USES_ABSENC", "IN_USE"), ("PASSES", "PASSED"), ("GENERATES", "GENERATED"))),
    Pair(DioOut, ("_OUT", "_IN"), (("DRIVES", "DRIVEN"), ("PIN", "LEVEL"))),
)
