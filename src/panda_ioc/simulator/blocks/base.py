"""What all blocks have in common.

A block is its ports and one method, `step`, which is what happens at one edge of the 125 MHz clock. Ports are
plain attributes with the names that PandA gives them. The order of things in a tick is this:

1. whoever drives the block sets all inputs and parameters that change in this tick (`tick` does it);
2. `step` looks at its ports, at which of them changed, and at what it remembers, and sets its outputs;
3. it says when it wants to be called next if nothing changes until then.

Nothing but `step` changes an output, and a call in a tick in which nothing happens changes nothing. So it does
not matter how often a block is called, only that it is called when something changes and when it asked for it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, ClassVar

from ..motion import at

#: What changed in a tick, by the name of the port: an input with another value, a parameter that was written.
Changes = Mapping[str, Any]

#: For a position input, the values that it can have without anything happening: lowest and highest.
Band = tuple[int, int]

_NO_CHANGES: Changes = MappingProxyType({})

ANY: Band = (-(2**31), 2**31 - 1)


class Kind(Enum):
    """What a port is."""

    BIT_IN = auto()
    POS_IN = auto()
    PARAM = auto()
    BIT_OUT = auto()
    POS_OUT = auto()
    READBACK = auto()
    STREAM = auto()


_SETTABLE = (Kind.BIT_IN, Kind.POS_IN, Kind.PARAM)
_OUTPUTS = (Kind.BIT_OUT, Kind.POS_OUT, Kind.READBACK, Kind.STREAM)


@dataclass(frozen=True)
class Port:
    """An input, parameter or output of a block.

    Attributes:
        kind: what it is
        bits: how many bits of it count
        signed: whether the highest of them is its sign
        initial: what it is before anything happened
        outside: whether it is no field, but a pin of a connector
        moving: whether the block understands a position that moves by itself (`motion.Ramp`); otherwise it is
            called for each count, unless it is quiet
    """

    kind: Kind
    bits: int = 32
    signed: bool = False
    initial: int = 0
    outside: bool = False
    moving: bool = False

    def fit(self, value: int) -> int:
        """The value as its register holds it."""
        low = value & ((1 << self.bits) - 1)
        return low - (1 << self.bits) if self.signed and low >> (self.bits - 1) else low


def bit_in(*, outside: bool = False, moving: bool = False, initial: int = 0) -> Any:
    """An input from the bit bus."""
    return Port(Kind.BIT_IN, bits=1, outside=outside, moving=moving, initial=initial)


def pos_in(*, outside: bool = False, moving: bool = False) -> Any:
    """An input from the position bus."""
    return Port(Kind.POS_IN, signed=True, outside=outside, moving=moving)


def param(*, bits: int = 32, signed: bool = False, outside: bool = False) -> Any:
    """A parameter. The block sees every write, also of the same value."""
    return Port(Kind.PARAM, bits=bits, signed=signed, outside=outside)


def bit_out(*, outside: bool = False, initial: int = 0) -> Any:
    """An output to the bit bus."""
    return Port(Kind.BIT_OUT, bits=1, outside=outside, initial=initial)


def pos_out(*, outside: bool = False) -> Any:
    """An output to the position bus."""
    return Port(Kind.POS_OUT, signed=True, outside=outside)


def readback(*, initial: int = 0) -> Any:
    """What can be read but is on no bus."""
    return Port(Kind.READBACK, initial=initial)


def stream() -> Any:
    """An output that says something in each tick in which it is not None."""
    return Port(Kind.STREAM)


class Block:
    """A block of a PandA.

    Attributes:
        ports: its ports by name, as a subclass declares them
        more_ports: those whose names are no names of Python
        quiet: inputs whose changes within a band do not matter until `step` is called the next time
    """

    ports: ClassVar[Mapping[str, Port]] = MappingProxyType({})
    more_ports: ClassVar[Mapping[str, Port]] = MappingProxyType({})
    quiet: Mapping[str, Band] = MappingProxyType({})
    _params: ClassVar[Collection[str]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = {name: port for name, port in vars(cls).items() if isinstance(port, Port)}
        cls.ports = MappingProxyType({**cls.ports, **own, **cls.more_ports})
        cls._params = frozenset(name for name, port in cls.ports.items() if port.kind is Kind.PARAM)

    def __init__(self) -> None:
        for name, port in self.ports.items():
            self.__dict__[name] = None if port.kind is Kind.STREAM else port.initial

    def step(self, now: int, changes: Changes) -> int | None:
        """Do what happens at the clock edge that closes tick `now`.

        Args:
            now: the tick; never less than the last time
            changes: what changed in it; the ports have their new values already

        Returns:
            the tick in which to be called if nothing changes before; None for never
        """
        raise NotImplementedError

    def tick(self, now: int, values: Mapping[str, Any], written: Collection[str] | None = None) -> int | None:
        """Set inputs and parameters, then `step`.

        Args:
            now: the tick
            values: the ports that are set in it
            written: which parameters are written, even if their value is the same; all in `values` if None
        """
        if not values:
            return self.step(now, _NO_CHANGES)
        ports = self.__dict__
        changes = {}
        for name, value in values.items():
            if ports[name] != value or (name in self._params and (written is None or name in written)):
                ports[name] = value
                changes[name] = value
        return self.step(now, changes)

    @classmethod
    def find(cls, name: str) -> tuple[str, int | None]:
        """Which input or parameter a name means, and which half of it.

        A time of 48 bits has two registers: NAME can be written whole, or as NAME_L and NAME_H.

        Returns:
            the port; 0 or 1 if the name means its lower or upper half, otherwise None
        """
        port = cls.ports.get(name)
        if port is not None and port.kind in _SETTABLE:
            return name, None
        whole, half = name[:-2], name[-2:]
        wide = cls.ports.get(whole)
        if wide is None or wide.bits <= 32 or half not in {"_L", "_H"}:
            raise KeyError(f"{cls.__name__} has no input or parameter {name}")
        return whole, int(half == "_H")

    @classmethod
    def names(cls, *kinds: Kind) -> list[str]:
        """The ports of some kinds, in the order in which they are declared."""
        return [name for name, port in cls.ports.items() if port.kind in kinds]

    @classmethod
    def outputs(cls) -> list[str]:
        """All that the block says."""
        return cls.names(*_OUTPUTS)

    def shown(self, name: str, now: int) -> int | None:
        """An output, as the number that it is in this tick."""
        value = self.__dict__[name]
        return None if value is None else at(value, now)


def wrap(value: int) -> int:
    """The low 32 bits in two's complement, as every adder of the hardware gives them."""
    return ((value + 2**31) & 0xFFFFFFFF) - 2**31


def earliest(*ticks: int | None) -> int | None:
    """The first of some ticks."""
    first = None
    for tick in ticks:
        if tick is not None and (first is None or tick < first):
            first = tick
    return first


def rising(changes: Changes, name: str) -> bool:
    """Whether a bit went up."""
    return bool(changes.get(name))


def matches(edge: int, level: int) -> bool:
    """Whether an edge to a level is one that a parameter chooses: 0 Rising, 1 Falling, 2 Either."""
    return edge == 2 or edge == 1 - level
