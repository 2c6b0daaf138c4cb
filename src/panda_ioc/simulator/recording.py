"""Recordings of the signals of a simulated PandA, exact to the tick.

A `Trace` is the history of one signal: a bit or position of the buses, the pin of an output, or a readback such as
HEALTH. A `Recording` holds the traces of the selected signals. It adds no wire, event or tick, so it does not change
what the simulation does.
"""

import difflib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from operator import attrgetter
from typing import Literal

import numpy as np
import numpy.typing as npt

from .blocks.base import Kind
from .engine import Engine, Node, Slot
from .motion import Moving, Value
from .numbers import Refused

Ticks = npt.NDArray[np.int64]

#: Kinds of signal: a bit or position of the buses (also the pin of an output), or a read-only value.
Sort = Literal["bit", "position", "readback"]

#: Default limit of the changes in a recording, over all signals: about 160 MB.
MAX_CHANGES = 10_000_000

#: The kind of signal for each kind of port.
_SORTS: Mapping[Kind, Sort] = {
    Kind.BIT_OUT: "bit",
    Kind.POS_OUT: "position",
    Kind.READBACK: "readback",
    Kind.BIT_IN: "bit",
}

_BUSES = (Kind.BIT_OUT, Kind.POS_OUT)

#: Prefix of the names of slots that are made here, so that no field shows them.
_EXPOSED = "recorded."


class Trace:
    """The history of one signal.

    Times are in ticks of 8 ns since the start of the simulation, values are raw. A change in tick t is on the bus from
    the clock edge that ends tick t.

    Args:
        name: "SEQ1.OUTA"; "TTLOUT1" for the pin of an output
        sort: "bit", "position" or "readback"
        tick: first tick of the recording
        value: value in that tick

    Attributes:
        name: name of the signal
        sort: kind of signal
        moving: formulas of the stretches in which a position moved, by the index of the change

    Example:
        >>> simulation = Simulation(load())
        >>> trace = simulation.record("CLOCK1.OUT")["CLOCK1.OUT"]
        >>> simulation.set_up(["CLOCK1.PERIOD.RAW=100", "CLOCK1.ENABLE=ONE"])
        >>> simulation.advance(450)
        True
        >>> (trace.rising - trace.rising[0]).tolist()
        [0, 100, 200, 300, 400]
    """

    __slots__ = ("_ticks", "_values", "moving", "name", "sort")

    def __init__(self, name: str, sort: Sort, tick: int, value: Value) -> None:
        self.name = name
        self.sort = sort
        self._ticks, self._values = array("q"), array("q")
        self.moving: dict[int, Moving] = {}
        self.add(tick, value)

    def __len__(self) -> int:
        return len(self._ticks)

    def __repr__(self) -> str:
        return f"<Trace {self.name}: {len(self)} changes>"

    def add(self, tick: int, value: Value) -> None:
        """Add a change.

        Args:
            tick: tick of the change
            value: raw value from this tick on, or the formula of a moving position
        """
        if not isinstance(value, int):
            self.moving[len(self._ticks)] = value
            value = value.at(tick)
        self._ticks.append(tick)
        self._values.append(value)

    @property
    def moving_bit(self) -> bool:
        """Whether it is a bit that follows a moving position; its edges are not recorded one by one."""
        return self.sort == "bit" and bool(self.moving)

    @property
    def ticks(self) -> Ticks:
        """Ticks of the changes: shape (n,), dtype int64. The first entry is the start of the recording."""
        return np.array(self._ticks, np.int64)

    @property
    def values(self) -> Ticks:
        """Raw values from each of `ticks` on: shape (n,), dtype int64; for a moving position, the one at that tick."""
        return np.array(self._values, np.int64)

    @property
    def rising(self) -> Ticks:
        """Ticks of the rising edges of a bit: shape (n,), dtype int64; a high level at the start does not count.

        Raises:
            ValueError: the signal follows a moving position
        """
        return self._edges(up=True)

    @property
    def falling(self) -> Ticks:
        """Ticks of the falling edges of a bit: shape (n,), dtype int64.

        Raises:
            ValueError: the signal follows a moving position
        """
        return self._edges(up=False)

    @property
    def pulses(self) -> Ticks:
        """Ticks of the rising and falling edge of each complete pulse of a bit: shape (n, 2), dtype int64.

        Raises:
            ValueError: the signal follows a moving position
        """
        rising, falling = self.rising, self.falling
        if len(rising):
            falling = falling[np.searchsorted(falling, rising[0]) :]
        return np.stack([rising[: len(falling)], falling[: len(rising)]], axis=1)

    def at(self, ticks: npt.ArrayLike) -> Ticks:
        """Return the raw values in some ticks.

        Args:
            ticks: integers of any shape; ticks before the recording count as its start

        Returns:
            the shape of `ticks`, dtype int64
        """
        shape = np.shape(ticks)
        wanted = np.asarray(ticks, np.int64).ravel()
        places = np.clip(np.searchsorted(self.ticks, wanted, "right") - 1, 0, None)
        found = self.values[places]
        for place in np.unique(places) if self.moving else ():
            rule = self.moving.get(int(place))
            if rule is not None:
                chosen = places == place
                found[chosen] = [rule.at(int(tick)) for tick in wanted[chosen]]
        return found.reshape(shape)

    def changes(self, end: int) -> Iterator[tuple[int, Value, int]]:
        """Yield each stretch up to a tick: its start, its value or formula, and the start of the next one.

        Args:
            end: tick after the last one
        """
        for number, tick in enumerate(self._ticks):
            if tick >= end and number:
                return
            following = self._ticks[number + 1] if number + 1 < len(self._ticks) else end
            yield tick, self.moving.get(number, self._values[number]), min(following, end)

    def _edges(self, *, up: bool) -> Ticks:
        if self.moving:
            raise ValueError(f"{self.name} follows a moving position: its edges are not recorded one by one; use at()")
        values = self.values
        steps = np.diff(values)
        chosen = steps > 0 if up else steps < 0
        return self.ticks[1:][chosen]


class Recording(Mapping[str, Trace]):
    """A mapping from the names of signals to their traces, which grow until `stop` is called.

    Args:
        engine: engine that runs the blocks
        chosen: signals, from `signals` or `choose`

    Attributes:
        start: first tick of the recording

    Example:
        >>> simulation = Simulation(load())
        >>> recording = simulation.record("PULSE*.OUT")
        >>> sorted(recording)
        ['PULSE1.OUT', 'PULSE2.OUT', 'PULSE3.OUT', 'PULSE4.OUT']
    """

    def __init__(self, engine: Engine, chosen: Mapping[str, Slot]) -> None:
        self.start = engine.now
        self._engine = engine
        self._slots = dict(chosen)
        self._traces = {
            name: Trace(name, sort_of(engine, slot), engine.now, slot.value) for name, slot in chosen.items()
        }
        for name, slot in self._slots.items():
            slot.watchers = (*slot.watchers, self._traces[name].add)

    def __getitem__(self, name: str) -> Trace:
        return self._traces[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._traces)

    def __len__(self) -> int:
        return len(self._traces)

    @property
    def end(self) -> int:
        """Last tick of the simulation that has passed."""
        return self._engine.now

    @property
    def changes(self) -> int:
        """Number of changes, over all signals."""
        return sum(map(len, self._traces.values()))

    def stop(self) -> None:
        """Stop recording; keep what was recorded."""
        for name, slot in self._slots.items():
            own = self._traces[name].add
            slot.watchers = tuple(watcher for watcher in slot.watchers if watcher != own)
        self._slots = {}


def signals(engine: Engine) -> dict[str, Slot]:
    """Return all bits and positions of the buses, and the pins of outputs, by name."""
    return {
        _name(node, port): slot
        for node in engine.nodes.values()
        if not node.name.startswith("outside.")
        for port, slot in node.slots.items()
        if node.block.ports[port].kind in _BUSES
    }


def choose(engine: Engine, patterns: Iterable[str]) -> dict[str, Slot]:
    """Return the signals that match some patterns.

    Args:
        engine: engine that runs the blocks
        patterns: names such as "SEQ1.OUTA", with the wildcards `*` and `?`: "PULSE*.OUT". The pin of an output is
            "TTLOUT1". Name the field of a readback without wildcards: "SEQ1.STATE", "*.HEALTH"

    Raises:
        Refused: no signal matches a pattern
    """
    buses = signals(engine)
    chosen: dict[str, Slot] = {}
    for pattern in patterns:
        found = {name: slot for name, slot in buses.items() if fnmatchcase(name, pattern)}
        found = found or _readbacks(engine, pattern)
        if not found:
            near = difflib.get_close_matches(pattern, buses, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise Refused(f"no signal matches {pattern!r}{hint}")
        chosen |= found
    return chosen


def expose(node: Node, port: str) -> Slot:
    """Make a slot for a readback or an input of a block, so that its changes can be watched; nothing is wired to it."""
    slot = node.slots.get(port)
    if slot is None:
        slot = node.slots[port] = Slot(f"{_EXPOSED}{node.name}.{port}", vars(node.block)[port])
        names: Sequence[str] = list(node.slots)
        read = attrgetter(*names)
        node.read_outputs = read if len(names) > 1 else lambda block: (read(block),)
        node.outputs = node.read_outputs(node.block)
    return slot


def sort_of(engine: Engine, slot: Slot) -> Sort:
    """Return the kind of a signal."""
    node_name, _, port = slot.name.removeprefix(_EXPOSED).rpartition(".")
    return _SORTS[engine.nodes[node_name].block.ports[port].kind]


def _name(node: Node, port: str) -> str:
    return node.name if port == "PIN" else f"{node.name}.{port}"


def _readbacks(engine: Engine, pattern: str) -> dict[str, Slot]:
    kind, _, port = pattern.rpartition(".")
    return {
        f"{node.name}.{port}": expose(node, port)
        for node in engine.nodes.values()
        if fnmatchcase(node.name, kind) and port in node.block.ports and node.block.ports[port].kind is Kind.READBACK
    }
