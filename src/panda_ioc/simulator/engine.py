"""The event queue of the simulation: blocks, the wires between them, and scheduled events.

Time is counted in ticks. A tick costs computing time only if something is due in it: a value that arrives at a block,
or a call that a block asked for. Every wire takes at least one tick, so within a tick no block sees the outputs of
another: their order does not matter, and the same inputs always give the same outputs.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from .blocks.base import ANY, Block, Kind
from .motion import Value, at, delayed

#: Ticks of the clock per second.
TICKS = 125_000_000

#: Number of outdated ticks in the queue, beyond the number of valid ones, at which it is rebuilt.
_STALE = 100


@dataclass(eq=False, slots=True)
class Slot:
    """An output: an entry of a bus, or the pin of a connector.

    Attributes:
        name: "PULSE1.OUT"
        value: value since the last change
        wires: destinations: block, input, delay in ticks
        watchers: called with the tick and value of each change; they must not change anything
    """

    name: str
    value: Value = 0
    wires: list[tuple["Node", str, int]] = field(default_factory=list)
    watchers: tuple[Callable[[int, Value], None], ...] = ()


@dataclass(eq=False, slots=True)
class Node:
    """A block in the engine.

    Attributes:
        name: "PULSE1"
        block: the block
        slots: slot of each output, by port
        wake: tick of the next call if nothing happens before; None for no call
        following: moving positions at inputs that need a call for each count
        meets_moving: whether a moving value ever arrived here
        sources: slot that each input is connected to
        outputs: values of all outputs after the last call
        read_outputs: returns the current values of all outputs
    """

    name: str
    block: Block
    slots: dict[str, Slot]
    wake: int | None = None
    following: dict[str, Value] = field(default_factory=dict)
    meets_moving: bool = False
    sources: dict[str, Slot] = field(default_factory=dict)
    outputs: tuple[Any, ...] = ()
    read_outputs: Callable[[Block], tuple[Any, ...]] = lambda _: ()


class Engine:
    """Runs blocks.

    Attributes:
        now: last tick that has passed
        nodes: blocks by name
        changed: slots that changed since the owner of the fields last replaced this set
        events: number of visits to blocks
    """

    def __init__(self) -> None:
        self.now = 0
        self.nodes: dict[str, Node] = {}
        self.changed: set[Slot] = set()
        self.events = 0
        self._due: dict[int, dict[Node, dict[str, Value]]] = {}
        self._ticks: list[int] = []
        self._calls: dict[int, list[Callable[[], None]]] = {}
        self._running = False

    def add(self, name: str, block: Block) -> Node:
        """Add a block."""
        outputs = block.names(Kind.BIT_OUT, Kind.POS_OUT)
        slots = {port: Slot(f"{name}.{port}", vars(block)[port]) for port in outputs}
        node = Node(name, block, slots)
        if outputs:
            read = attrgetter(*outputs)
            node.read_outputs = read if len(outputs) > 1 else lambda block: (read(block),)
            node.outputs = node.read_outputs(block)
        self.nodes[name] = node
        return node

    def put(self, tick: int, node: Node, values: Mapping[str, Value]) -> None:
        """Set inputs or parameters of a block in a future tick."""
        if tick <= self.now:
            raise ValueError(f"tick {tick} has passed: the current tick is {self.now}")
        self._bucket(tick).setdefault(node, {}).update(values)
        node.meets_moving = node.meets_moving or not all(isinstance(value, int) for value in values.values())

    def write(self, node: Node, values: Mapping[str, Value]) -> None:
        """Set inputs or parameters of a block in the next tick, and let that tick pass.

        During a call from `run`, only schedule it.
        """
        self.put(self.now + 1, node, values)
        self.settle()

    def settle(self) -> None:
        """Let a tick pass, except during a call from `run`."""
        if not self._running:
            self.run(self.now + 1)

    def call_at(self, tick: int, call: Callable[[], None]) -> None:
        """Schedule a call in a future tick, before the blocks of that tick; what it sets arrives a tick later."""
        if tick <= self.now:
            raise ValueError(f"tick {tick} has passed: the current tick is {self.now}")
        self._bucket(tick)
        self._calls.setdefault(tick, []).append(call)

    def connect(self, slot: Slot, node: Node, port: str, ticks: int) -> None:
        """Connect a slot to an input by a wire, replacing the existing one; values on the way there are lost."""
        if ticks < 1:
            raise ValueError(f"the delay of a wire must be at least 1 tick, not {ticks}")
        self.disconnect(node, port)
        slot.wires.append((node, port, ticks))
        node.sources[port] = slot
        self.put(self.now + ticks, node, {port: delayed(slot.value, ticks)})

    def disconnect(self, node: Node, port: str) -> None:
        """Remove the wire of an input; values on the way there are lost."""
        slot = node.sources.pop(port, None)
        if slot is None:
            return
        slot.wires[:] = [wire for wire in slot.wires if wire[:2] != (node, port)]
        for bucket in self._due.values():
            if node in bucket:
                bucket[node].pop(port, None)

    def run(self, until: int, *, limit: int | None = None) -> bool:
        """Let time pass.

        Args:
            until: last tick
            limit: maximum number of events to process, approximately; None for no limit

        Returns:
            True if all ticks passed; False if the limit was reached before
        """
        last = None if limit is None else self.events + limit
        self._running = True
        try:
            over = self._run(until, last)
        finally:
            self._running = False
        if over:
            self.now = max(self.now, until)
        return over

    def _run(self, until: int, last: int | None) -> bool:
        ticks, due, calls = self._ticks, self._due, self._calls
        while ticks and ticks[0] <= until:
            if last is not None and self.events >= last:
                return False
            now = heapq.heappop(ticks)
            if now not in due:
                continue
            self.now = now
            if now in calls:
                for call in calls.pop(now):
                    call()
            for node, values in due.pop(now).items():
                if values or node.wake == now:
                    self._visit(node, now, values)
        return True

    def next_due(self) -> int | None:
        """Return the next tick in which something may happen; None if nothing is scheduled."""
        while self._ticks and self._ticks[0] not in self._due:
            heapq.heappop(self._ticks)
        return self._ticks[0] if self._ticks else None

    @property
    def queued(self) -> int:
        """Number of ticks in the queue."""
        return len(self._ticks)

    def _bucket(self, tick: int) -> dict[Node, dict[str, Value]]:
        bucket = self._due.get(tick)
        if bucket is None:
            bucket = self._due[tick] = {}
            heapq.heappush(self._ticks, tick)
        return bucket

    def _call_next(self, node: Node, wake: int | None, now: int) -> None:
        """Schedule the next call of a block, replacing the one that it asked for before.

        Raises:
            RuntimeError: the tick has passed, a defect of the block: time cannot run backwards
        """
        if wake is not None and wake <= now:
            raise RuntimeError(f"{node.name} asked in tick {now} for a call in tick {wake}, which has passed")
        if node.wake is not None and node.wake > now:
            self._forget(node, node.wake)
        node.wake = wake
        if wake is not None:
            self._bucket(wake).setdefault(node, {})

    def _forget(self, node: Node, tick: int) -> None:
        """Cancel the call that a block asked for.

        A motor changes its speed every millisecond, and with it the tick, hours ahead, in which its encoder would
        overflow: such calls must not pile up.
        """
        bucket = self._due[tick]
        if not bucket[node]:
            del bucket[node]
        if bucket or tick in self._calls:
            return
        del self._due[tick]
        if len(self._ticks) > 2 * len(self._due) + _STALE:
            self._ticks[:] = self._due
            heapq.heapify(self._ticks)

    def _visit(self, node: Node, now: int, values: dict[str, Value]) -> None:
        self.events += 1
        block = node.block
        due = node.wake == now
        if node.meets_moving:
            due = _follow_all(node, values) or due
        if not due and block.quiet and _all_quiet(block, values):
            vars(block).update(values)
            return
        following = node.following
        for name, value in following.items():
            values[name] = at(value, now)
        wake = block.tick(now, values)
        for name, value in following.items():
            wake = _earlier(wake, _next_call(block, name, value, now))
        if wake != node.wake:
            self._call_next(node, wake, now)
        outputs = node.read_outputs(block)
        if outputs != node.outputs:
            before, node.outputs = node.outputs, outputs
            for slot, old, new in zip(node.slots.values(), before, outputs, strict=True):
                if old != new:
                    self._set(slot, new, now)

    def _set(self, slot: Slot, value: Value, now: int) -> None:
        slot.value = value
        self.changed.add(slot)
        for watch in slot.watchers:
            watch(now, value)
        moving = not isinstance(value, int)
        for node, port, ticks in slot.wires:
            arrival = now + ticks
            bucket = self._due.get(arrival)
            if bucket is None:
                bucket = self._bucket(arrival)
            arriving = bucket.get(node)
            if arriving is None:
                arriving = bucket[node] = {}
            arriving[port] = delayed(value, ticks) if moving else value
            if moving:
                node.meets_moving = True


def _follow_all(node: Node, values: Mapping[str, Value]) -> bool:
    """Update the moving values at inputs whose block needs each count; return whether one stopped."""
    stopped = False
    for name, value in values.items():
        if isinstance(value, int):
            stopped = node.following.pop(name, None) is not None or stopped
        elif not node.block.ports[name].moving:
            node.following[name] = value
    return stopped


def _all_quiet(block: Block, values: Mapping[str, Value]) -> bool:
    """Return whether these values make no difference to a block."""
    quiet = block.quiet
    for name, value in values.items():
        band = quiet.get(name)
        if band is None:
            return False
        if not (band is ANY or (isinstance(value, int) and band[0] <= value <= band[1])):
            return False
    return True


def _next_call(block: Block, name: str, value: Value, now: int) -> int | None:
    """Return the next tick in which a moving value matters to a block."""
    if isinstance(value, int):
        return None
    present = value.at(now)
    band = block.quiet.get(name)
    if band is ANY:
        return None
    if band is None or not band[0] <= present <= band[1]:
        band = (present, present)
    return value.leaves(now + 1, *band)


def _earlier(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
