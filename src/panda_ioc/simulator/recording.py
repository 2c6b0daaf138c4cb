"""What the signals of a simulated PandA did over time, exact to the tick.

A `Trace` is the history of one signal: the bits and positions of the two buses, the pins of outputs, and readbacks
such as HEALTH. A `Recording` holds the traces of all signals that were asked for. It only looks on: no wire, event
or tick is added, so a recorded simulation does what it would do without.
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

#: What a signal is: a bit or position of the buses, the pin of an output, or a value that is only read.
Sort = Literal["bit", "position", "readback"]

#: Changes that a recording holds by default, of all signals together: some 160 MB.
MAX_CHANGES = 10_000_000

#: How signals of each kind of port are sorted.
_SORTS: Mapping[Kind, Sort] = {
    Kind.BIT_OUT: "bit",
    Kind.POS_OUT: "position",
    Kind.READBACK: "readback",
    Kind.BIT_IN: "bit",
}

_BUSES = (Kind.BIT_OUT, Kind.POS_OUT)

#: What the name of a slot that was made here begins with: it is no field, so no field shows it.
_EXPOSED = "recorded."


class Trace:
    """The history of one signal.

    Args:
        name: "SEQ1.OUTA"; "TTLOUT1" for the pin of an output
        sort: what it is
        tick: when the recording begins
        value: the signal in that tick

    Attributes:
        moving: the rules of the stretches in which a position moved, by the number of the change
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
        """Note a change."""
        if not isinstance(value, int):
            self.moving[len(self._ticks)] = value
            value = value.at(tick)
        self._ticks.append(tick)
        self._values.append(value)

    @property
    def moving_bit(self) -> bool:
        """Whether it is a bit that follows a moving position, whose edges are not recorded one by one."""
        return self.sort == "bit" and bool(self.moving)

    @property
    def ticks(self) -> Ticks:
        """When it changed, in ticks of the simulation: (n,) int64. The first entry is the start of the recording.

        A change of tick t is on the bus from the clock edge that ends tick t.
        """
        return np.array(self._ticks, np.int64)

    @property
    def values(self) -> Ticks:
        """What it was from each of `ticks` on, raw: (n,) int64. A moving position: where it was then."""
        return np.array(self._values, np.int64)

    @property
    def rising(self) -> Ticks:
        """The ticks in which a bit went up: (n,) int64. A bit that is high at the start did not."""
        return self._edges(up=True)

    @property
    def falling(self) -> Ticks:
        """The ticks in which a bit went down: (n,) int64."""
        return self._edges(up=False)

    @property
    def pulses(self) -> Ticks:
        """The ticks of the rising and the falling edge of each whole pulse of a bit: (n, 2) int64."""
        rising, falling = self.rising, self.falling
        if len(rising):
            falling = falling[np.searchsorted(falling, rising[0]) :]
        return np.stack([rising[: len(falling)], falling[: len(rising)]], axis=1)

    def at(self, ticks: npt.ArrayLike) -> Ticks:
        """The raw value in some ticks: int64, of the shape of `ticks`. Before the recording: that of its start."""
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
        """Each stretch up to a tick: when it begins, the value or the rule of it, and when the next one begins."""
        for number, tick in enumerate(self._ticks):
            if tick >= end and number:
                return
            following = self._ticks[number + 1] if number + 1 < len(self._ticks) else end
            yield tick, self.moving.get(number, self._values[number]), min(following, end)

    def _edges(self, *, up: bool) -> Ticks:
        if self.moving:
            raise ValueError(f"{self.name} follows a moving position: its edges are not recorded one by one")
        values = self.values
        steps = np.diff(values)
        chosen = steps > 0 if up else steps < 0
        return self.ticks[1:][chosen]


class Recording(Mapping[str, Trace]):
    """Traces by the names of their signals, as long as it is not stopped.

    Args:
        engine: which runs the blocks
        chosen: the signals, as `signals` gives them

    Attributes:
        start: the tick in which it begins
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
        """The last tick that is over."""
        return self._engine.now

    @property
    def changes(self) -> int:
        """How many changes it has, of all signals."""
        return sum(map(len, self._traces.values()))

    def stop(self) -> None:
        """Record no more; what was recorded stays."""
        for name, slot in self._slots.items():
            own = self._traces[name].add
            slot.watchers = tuple(watcher for watcher in slot.watchers if watcher != own)
        self._slots = {}


def signals(engine: Engine) -> dict[str, Slot]:
    """All bits and positions of the buses, and the pins of outputs, by name."""
    return {
        _name(node, port): slot
        for node in engine.nodes.values()
        if not node.name.startswith("outside.")
        for port, slot in node.slots.items()
        if node.block.ports[port].kind in _BUSES
    }


def choose(engine: Engine, patterns: Iterable[str]) -> dict[str, Slot]:
    """The signals that some patterns name.

    Args:
        engine: which runs the blocks
        patterns: names such as "SEQ1.OUTA", or with `*` and `?` as in names of files: "PULSE*.OUT". The pin of an
            output is "TTLOUT1". A readback is named by its field without a pattern: "SEQ1.STATE", "*.HEALTH"

    Raises:
        Refused: a pattern names no signal
    """
    buses = signals(engine)
    chosen: dict[str, Slot] = {}
    for pattern in patterns:
        found = {name: slot for name, slot in buses.items() if fnmatchcase(name, pattern)}
        found = found or _readbacks(engine, pattern)
        if not found:
            near = difflib.get_close_matches(pattern, buses, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise Refused(f"no signal is called {pattern!r}{hint}")
        chosen |= found
    return chosen


def expose(node: Node, port: str) -> Slot:
    """Give a readback or an input of a block a slot, so that its changes can be watched; nothing listens to it."""
    slot = node.slots.get(port)
    if slot is None:
        slot = node.slots[port] = Slot(f"{_EXPOSED}{node.name}.{port}", vars(node.block)[port])
        names: Sequence[str] = list(node.slots)
        read = attrgetter(*names)
        node.say = read if len(names) > 1 else lambda block: (read(block),)
        node.said = node.say(node.block)
    return slot


def sort_of(engine: Engine, slot: Slot) -> Sort:
    """What a signal is."""
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
