"""The base class of all blocks.

A block is its ports and one method, `step`, which computes one edge of the 125 MHz clock. Ports are plain attributes
with the names that PandA gives them. In each tick:

1. the caller sets the inputs and parameters that change in this tick (`tick` does that);
2. `step` reads the ports, their changes and its own state, and sets the outputs;
3. it returns the tick in which it must be called next if nothing changes until then.

Only `step` changes an output, and a call in a tick in which nothing happens changes nothing. So additional calls do no
harm; the block must be called when something changes, and when it asked for a call.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, ClassVar

from ..motion import at

#: Changes in a tick, by port: inputs with another value, parameters that were written.
Changes = Mapping[str, Any]

#: The range of values of a position input in which nothing happens: lowest, highest.
Band = tuple[int, int]

_NO_CHANGES: Changes = MappingProxyType({})

ANY: Band = (-(2**31), 2**31 - 1)


class Kind(Enum):
    """The kind of a port."""

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
        kind: kind of port
        bits: width in bits
        signed: whether it is in two's complement
        initial: value at power-on
        outside: whether it is the pin of a connector instead of a field
        moving: whether the block handles a moving position (`motion.Ramp`) itself; otherwise it is called for each
            count, except in its quiet range
    """

    kind: Kind
    bits: int = 32
    signed: bool = False
    initial: int = 0
    outside: bool = False
    moving: bool = False

    def fit(self, value: int) -> int:
        """Return the value that the register holds after a write of this value."""
        low = value & ((1 << self.bits) - 1)
        return low - (1 << self.bits) if self.signed and low >> (self.bits - 1) else low


def bit_in(*, outside: bool = False, moving: bool = False, initial: int = 0) -> Any:
    """Return an input from the bit bus."""
    return Port(Kind.BIT_IN, bits=1, outside=outside, moving=moving, initial=initial)


def pos_in(*, outside: bool = False, moving: bool = False) -> Any:
    """Return an input from the position bus."""
    return Port(Kind.POS_IN, signed=True, outside=outside, moving=moving)


def param(*, bits: int = 32, signed: bool = False, outside: bool = False) -> Any:
    """Return a parameter. The block sees every write, even of the same value."""
    return Port(Kind.PARAM, bits=bits, signed=signed, outside=outside)


def bit_out(*, outside: bool = False, initial: int = 0) -> Any:
    """Return an output to the bit bus."""
    return Port(Kind.BIT_OUT, bits=1, outside=outside, initial=initial)


def pos_out(*, outside: bool = False) -> Any:
    """Return an output to the position bus."""
    return Port(Kind.POS_OUT, signed=True, outside=outside)


def readback(*, initial: int = 0) -> Any:
    """Return a value that can be read but is on no bus."""
    return Port(Kind.READBACK, initial=initial)


def stream() -> Any:
    """Return an output that has a value only in some ticks, and is None in the others."""
    return Port(Kind.STREAM)


class Block:
    """A block of a PandA.

    Attributes:
        ports: ports by name, as a subclass declares them
        more_ports: ports whose names are not Python identifiers
        quiet: inputs whose changes within a range make no difference until the next call of `step`
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
        """Compute the clock edge that ends tick `now`.

        Args:
            now: current tick, never less than in the call before
            changes: changes in this tick; the ports have their new values already

        Returns:
            tick of the next call if nothing changes before; None for no call
        """
        raise NotImplementedError

    def tick(self, now: int, values: Mapping[str, Any], written: Collection[str] | None = None) -> int | None:
        """Set inputs and parameters, then call `step`.

        Args:
            now: current tick
            values: new values of ports
            written: parameters that count as written even if their value is the same; None for all in `values`

        Returns:
            tick of the next call if nothing changes before; None for no call
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
        """Return the input or parameter for a register name.

        A time of 48 bits has two registers: it can be written as a whole by NAME, or in halves by NAME_L and NAME_H.

        Returns:
            the port; 0 or 1 if the name means its lower or upper half, otherwise None

        Raises:
            KeyError: the register is unknown
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
        """Return the ports of some kinds, in the order of declaration."""
        return [name for name, port in cls.ports.items() if port.kind in kinds]

    @classmethod
    def outputs(cls) -> list[str]:
        """Return the names of all outputs and readbacks."""
        return cls.names(*_OUTPUTS)

    def shown(self, name: str, now: int) -> int | None:
        """Return the value of an output in this tick."""
        value = self.__dict__[name]
        return None if value is None else at(value, now)


def wrap(value: int) -> int:
    """Return the low 32 bits in two's complement, as adders in the hardware do."""
    return ((value + 2**31) & 0xFFFFFFFF) - 2**31


def earliest(*ticks: int | None) -> int | None:
    """Return the first of some ticks; None if all are None."""
    first = None
    for tick in ticks:
        if tick is not None and (first is None or tick < first):
            first = tick
    return first


def rising(changes: Changes, name: str) -> bool:
    """Return whether a bit rose in this tick."""
    return bool(changes.get(name))


def matches(edge: int, level: int) -> bool:
    """Return whether an edge to a level matches a setting: 0 Rising, 1 Falling, 2 Either."""
    return edge == 2 or edge == 1 - level
