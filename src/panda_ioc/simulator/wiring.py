"""The connections between the fields and the blocks of a PandA: writes go to blocks, outputs go to fields.

The table `_JOIN` has the rule for each type of field. Blocks and fields that are not simulated keep what is written to
them, without any effect.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .blocks import PAIRS, make
from .blocks.base import Kind
from .blocks.pcap import Pcap
from .codecs import Choice
from .engine import Engine, Node, Slot
from .feeding import Feed, Store
from .fields import Field
from .motion import at
from .panda import Panda
from .tables import TableField


@dataclass(frozen=True)
class Delays:
    """The delays of wires in ticks of 8 ns, in addition to the DELAY of a bit_mux.

    The defaults are those of the hardware.

    Attributes:
        bit: from a bit output to a bit_mux
        position: from a position output to a pos_mux
        trigger: from a bit output to the inputs ENABLE, GATE and TRIG of PCAP
        captured: from the buses to the captured values of PCAP

    Example:
        A PandA with the shortest possible wires:

        >>> simulation = Simulation(load(), delays=Delays(bit=1, position=1, trigger=1, captured=1))
    """

    bit: int = 3
    position: int = 2
    trigger: int = 4
    captured: int = 2


@dataclass
class Readback:
    """A read-only field that shows an output of a block.

    Attributes:
        field: the field
        node, port: the output
        forced: value that replaces the output, to simulate a fault; None for the output
    """

    field: Field
    node: Node
    port: str
    forced: int | None = None


@dataclass
class Wiring:
    """All blocks of a PandA, and the wires between them.

    Attributes:
        engine: engine that runs the blocks
        panda: the fields
        delays: delays of wires
        bits, positions: slots of the two buses, in order
        readbacks: fields that show outputs that are on no bus
        feeds: transfers of the tables
    """

    engine: Engine
    panda: Panda
    delays: Delays = field(default_factory=Delays)
    bits: list[Slot] = field(default_factory=list)
    positions: list[Slot] = field(default_factory=list)
    readbacks: list[Readback] = field(default_factory=list)
    feeds: list[Feed] = field(default_factory=list)
    _stores: dict[Node, Store] = field(default_factory=dict)
    _sources: dict[str, Slot] = field(default_factory=dict)
    _moving: set[Slot] = field(default_factory=set)
    _joined: list[tuple[Field, Node, str]] = field(default_factory=list)

    def join(self) -> None:
        """Make the blocks, and connect them to the fields; the blocks start from the values of the fields."""
        for kind, spec in self.panda.spec.blocks.items():
            for instance in spec.instances(kind):
                node = self._node(instance, kind)
                for name in spec.fields:
                    self._add(self.panda.fields[f"{instance}.{name}"], node, name)
        self.bits = [self._sources[name] for name in self.panda.buses.bits]
        self.positions = [self._sources[name] for name in self.panda.buses.positions]
        self._sources |= {"ZERO": Slot("ZERO", 0), "ONE": Slot("ONE", 1)}
        self._join_pairs()
        for joined, node, port in self._joined:
            _JOIN[joined.spec.kind](self, joined, node, port)

        for slot in (*self.bits, *self.positions):
            self.panda.fields[slot.name].raw = at(slot.value, 0)

    def _join_pairs(self) -> None:
        """Connect blocks that belong together by fixed wires, which no mux selects."""
        for name, node in self.engine.nodes.items():
            for pair in PAIRS:
                other = self.engine.nodes.get(name.replace(*pair.names, 1))
                if isinstance(node.block, pair.driver) and other is not None and other is not node:
                    for output, port in pair.wires:
                        self.engine.connect(node.slots[output], other, port, 1)

    def _node(self, name: str, kind: str) -> Node | None:
        store = Store()
        block = make(kind, store.read)
        if block is None:
            return None
        node = self.engine.add(name, block)
        self._stores[node] = store
        return node

    def _add(self, panda_field: Field, node: Node | None, name: str) -> None:
        kind = panda_field.spec.kind
        fits = node is not None and kind in _FITS and _FITS[kind] is _kind_of(node, kind, name)
        if kind in {"bit_out", "pos_out"}:
            # An output without a simulated source keeps its value, but can be selected like any other.
            fixed = Slot(panda_field.name, panda_field.raw)
            self._sources[panda_field.name] = node.slots[name] if node is not None and fits else fixed
        elif fits and node is not None:
            self._joined.append((panda_field, node, name))

    def source(self, name: str) -> Slot:
        """Return an entry of one of the buses, or ZERO or ONE."""
        return self._sources[name]

    def store_of(self, node: Node) -> Store:
        """Return the memory of a block."""
        return self._stores[node]

    def readback(self, name: str) -> Readback | None:
        """Return the readback of a field; None if it has none."""
        return next((one for one in self.readbacks if one.field.name == name), None)

    def pcaps(self) -> Iterator[tuple[Node, Pcap]]:
        """Yield the PCAP block, if there is one."""
        for node in self.engine.nodes.values():
            if isinstance(node.block, Pcap):
                yield node, node.block

    def show(self) -> None:
        """Update the fields from the blocks."""
        now, panda = self.engine.now, self.panda
        changed, self.engine.changed = self.engine.changed, set()
        for slot in changed:
            if slot.name in panda.fields:
                panda.set_raw(slot.name, at(slot.value, now))
            (self._moving.discard if isinstance(slot.value, int) else self._moving.add)(slot)
        for slot in self._moving:
            value = at(slot.value, now)
            if slot.name in panda.fields and value != panda.fields[slot.name].raw:
                panda.set_raw(slot.name, value)
        for readback in self.readbacks:
            value = vars(readback.node.block)[readback.port] if readback.forced is None else readback.forced
            if value != readback.field.raw:
                panda.set_raw(readback.field.name, value)
        for feed in self.feeds:
            feed.show()

    @property
    def moving(self) -> bool:
        """Whether a field shows a position that is moving."""
        return bool(self._moving)


#: The kind of port that each type of field connects to; a table connects to the port for its length.
_FITS = {
    "bit_mux": Kind.BIT_IN,
    "pos_mux": Kind.POS_IN,
    "param": Kind.PARAM,
    "time": Kind.PARAM,
    "write": Kind.PARAM,
    "read": Kind.READBACK,
    "bit_out": Kind.BIT_OUT,
    "pos_out": Kind.POS_OUT,
    "table": Kind.PARAM,
}


def _kind_of(node: Node, kind: str, name: str) -> Kind | None:
    port = node.block.ports.get(f"{name}_LENGTH" if kind == "table" else name)
    return None if port is None or port.outside else port.kind


def _join_param(wiring: Wiring, panda_field: Field, node: Node, port: str) -> None:
    fit = node.block.ports[port].fit
    engine = wiring.engine
    panda_field.on_write = lambda written: engine.write(node, {port: fit(written.raw)})
    if panda_field.readable:
        engine.put(engine.now + 1, node, {port: fit(panda_field.raw)})


def _join_mux(wiring: Wiring, panda_field: Field, node: Node, port: str) -> None:
    delays = wiring.delays
    if panda_field.spec.kind == "pos_mux":
        ticks = delays.position
    else:
        ticks = delays.trigger if isinstance(node.block, Pcap) else delays.bit
    codec, delay = panda_field.codec, panda_field.attributes.get("DELAY")

    def connect() -> None:
        assert isinstance(codec, Choice)  # noqa: S101 - guaranteed by the table of types
        more = 0 if delay is None else int(str(delay.read()))
        wiring.engine.connect(wiring.source(codec.labels[panda_field.raw]), node, port, ticks + more)

    def choose(_: Field) -> None:
        connect()
        wiring.engine.settle()

    panda_field.on_write = choose
    if panda_field.read() != "ZERO":  # an unconnected input is 0 anyway
        connect()


def _join_readback(wiring: Wiring, panda_field: Field, node: Node, port: str) -> None:
    wiring.readbacks.append(Readback(panda_field, node, port))


def _join_table(wiring: Wiring, panda_field: Field, node: Node, _port: str) -> None:
    assert isinstance(panda_field, TableField)  # noqa: S101 - guaranteed by the table of types
    wiring.feeds.append(Feed(panda_field, node, wiring.engine, wiring.store_of(node)))


_JOIN: dict[str, Callable[[Wiring, Field, Node, str], None]] = {
    "param": _join_param,
    "time": _join_param,
    "write": _join_param,
    "bit_mux": _join_mux,
    "pos_mux": _join_mux,
    "read": _join_readback,
    "table": _join_table,
}
