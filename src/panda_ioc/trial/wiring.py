"""The wiring of a setup as data: blocks in use, what is set in them, and the bits and positions between them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from ..settings import Rows, Settings
from ..settings.parse import as_number
from ..simulator.numbers import TICK
from ..simulator.panda import Panda
from ..simulator.spec import BlockSpec, DeviceSpec, FieldSpec
from .tables import row_summaries, table_info
from .units import engineering

#: What a mux is set to if no block is to drive it.
CONSTANTS = ("ZERO", "ONE")

#: The box that collects what PCAP captures.
CAPTURED = "Captured"

#: Blocks whose inputs and outputs are the connectors.
INPUTS = ("TTLIN", "LVDSIN", "INENC")
OUTPUTS = ("TTLOUT", "LVDSOUT", "OUTENC")

Sort = Literal["bit", "position"]


@dataclass(frozen=True)
class Wire:
    """From an output to an input.

    Attributes:
        source, target: "PULSE1.OUT", "PCAP.TRIG"
        sort: what it carries
        delay: ticks that it is set to take, besides those that every wire takes
    """

    source: str
    target: str
    sort: Sort
    delay: int = 0


@dataclass
class Box:
    """A block in use.

    Attributes:
        name: "PULSE1"; CAPTURED for what PCAP captures
        kind: "PULSE"
        label: what people call it
        inputs, outputs: the fields at which wires end and begin
        settings: what differs from the defaults: pairs of a name and a value with units
    """

    name: str
    kind: str
    label: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    settings: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Diagram:
    """A setup.

    Attributes:
        boxes: by the names of their blocks, in the order of the device
        wires: all of them
    """

    boxes: Mapping[str, Box]
    wires: Sequence[Wire]


def diagram(settings: Settings, device: DeviceSpec) -> Diagram:
    """Make the diagram of a setup.

    Args:
        settings: the setup
        device: tells the types of the fields and their defaults; fields that it lacks are judged by their values
    """
    return _Maker(settings, device).make()


class _Maker:
    def __init__(self, settings: Settings, device: DeviceSpec) -> None:
        self._settings = settings
        self._device = device
        self._positions = set(device.bus("pos_out"))
        self._boxes: dict[str, Box] = {}
        self._wires: list[Wire] = []

    def make(self) -> Diagram:
        """Collect wires, then what is set in the blocks that they join."""
        for name, value in self._settings.values.items():
            if self._is_wire(name, value):
                delay = as_number(self._settings.values.get(f"{name}.DELAY", "")) or 0
                self._add_wire(Wire(value, name, self._sort(name, value), int(delay)))
        self._add_captures()
        for box in self._boxes.values():
            box.settings = list(self._set_in(box))
            box.label = self._label(box)
        order = {name: place for place, name in enumerate(self._instances())}
        places = {name: order.get(name, len(order)) for name in self._boxes}
        boxes = sorted(self._boxes.values(), key=lambda box: (places[box.name], box.name))
        return Diagram({box.name: box for box in boxes}, self._wires)

    def _is_wire(self, name: str, value: str) -> bool:
        if name.count(".") != 1 or name.startswith("*") or value in CONSTANTS:
            return False
        spec = self._spec(name)
        return spec.kind in {"bit_mux", "pos_mux"} if spec else self._looks_like_an_output(value)

    def _looks_like_an_output(self, value: str) -> bool:
        block, dot, port = value.partition(".")
        return bool(dot) and block[:1].isupper() and port.replace("_", "").isalnum() and port.isupper()

    def _sort(self, target: str, source: str) -> Sort:
        spec = self._spec(target)
        return "position" if source in self._positions or (spec and spec.kind == "pos_mux") else "bit"

    def _add_wire(self, wire: Wire) -> None:
        for name, ports in ((wire.source, "outputs"), (wire.target, "inputs")):
            block, _, port = name.partition(".")
            listed: list[str] = getattr(self._box(block), ports)
            if port not in listed:
                listed.append(port)
        self._wires.append(wire)

    def _add_captures(self) -> None:
        """What PCAP captures: positions as wires to a box of their own, the others as settings of PCAP."""
        for name, chosen in self._settings.values.items():
            source, _, attribute = name.rpartition(".")
            if attribute != "CAPTURE" or chosen in {"No", ""}:
                continue
            block, _, port = source.partition(".")
            if block == "PCAP":
                self._box("PCAP")
                continue
            box = self._box(CAPTURED)
            if port not in self._box(block).outputs:
                self._box(block).outputs.append(port)
            box.inputs.append(f"{source} {chosen}")
            self._wires.append(Wire(source, f"{CAPTURED}.{source} {chosen}", "position"))

    def _box(self, name: str) -> Box:
        return self._boxes.setdefault(name, Box(name, self._kind(name)))

    def _set_in(self, box: Box) -> Iterator[tuple[str, str]]:
        """What differs from the defaults, in the order of the fields."""
        values = self._settings.values
        told = {name for name in values if name.partition(".")[0] == box.name and name.count(".") == 1}
        spec = self._block_spec(box.name)
        order = list(spec.fields) if spec else []
        fields = [name.partition(".")[2] for name in told]
        for port in sorted(fields, key=lambda port: (order.index(port) if port in order else len(order), port)):
            name = f"{box.name}.{port}"
            if port not in box.inputs and not self._is_default(name):
                yield port, self._shown(name)
        yield from self._scalings(box)
        for name, words in self._settings.tables.items():
            if name.partition(".")[0] == box.name and len(words):
                info = table_info(self._device, name)
                prescale = self._seconds(f"{box.name}.PRESCALE") or TICK
                yield from row_summaries(name.partition(".")[2], Rows(info).read(words), prescale)
        if box.name == "PCAP":
            yield from self._extras()

    def _shown(self, name: str) -> str:
        value = self._settings.values[name]
        if value in CONSTANTS:
            return str(CONSTANTS.index(value))
        seconds = self._seconds(name)
        return self._settings.shown(name) if seconds is None else engineering(seconds)

    def _seconds(self, name: str) -> float | None:
        """A time in seconds, which it is in if nothing is said; None for what is no time."""
        spec = self._spec(name)
        if spec is None or "time" not in spec.type.split():
            return None
        seconds = self._settings.seconds(name)
        return as_number(self._settings.values.get(name, "")) if seconds is None else seconds

    def _scalings(self, box: Box) -> Iterator[tuple[str, str]]:
        """How positions that are used scale: "VAL  0.001 mm/count"."""
        for port in box.outputs:
            name = f"{box.name}.{port}"
            units = self._settings.units(name)
            scale, offset = (self._settings.values.get(f"{name}.{end}", "") for end in ("SCALE", "OFFSET"))
            if units or (as_number(scale) or 1.0) != 1.0:
                offset = f" + {offset} {units}" if as_number(offset) else ""
                yield f"{port} scale", f"{scale or '1'} {units or 'units'}/count{offset}"

    def _extras(self) -> Iterator[tuple[str, str]]:
        captured = [
            name.split(".")[1]
            for name, chosen in self._settings.values.items()
            if name.startswith("PCAP.") and name.endswith(".CAPTURE") and chosen not in {"No", ""}
        ]
        yield from (("captures", name) for name in captured)

    def _is_default(self, name: str) -> bool:
        spec = self._spec(name)
        value = self._settings.values[name]
        if spec is None or name not in self._defaults:
            return value in {"", "0", "ZERO"}
        if spec.kind in {"bit_out", "pos_out", "read"}:
            return True
        default = self._defaults[name]
        seconds = self._seconds(name)
        if seconds is not None:
            return seconds == as_number(default)
        same = as_number(value), as_number(default)
        return value == default or (same[0] is not None and same[0] == same[1])

    @cached_property
    def _defaults(self) -> Mapping[str, str]:
        """What the fields of the boxes are when the device is switched on; times in seconds."""
        fields = Panda(self._device.model_copy(update={"settings": ()})).fields
        return {
            name: str(one.read())
            for name, one in fields.items()
            if name.partition(".")[0] in self._boxes and one.codec is not None and one.readable
        }

    def _label(self, box: Box) -> str:
        if box.name == CAPTURED:
            return "what PCAP sends"
        kind = self._block_spec(box.name)
        key = f"{box.name}1" if kind is not None and kind.count == 1 else box.name
        return self._settings.values.get(f"*METADATA.LABEL_{key}", "")

    def _kind(self, name: str) -> str:
        return next((kind for kind, spec in self._device.blocks.items() if name in spec.instances(kind)), name)

    def _block_spec(self, name: str) -> BlockSpec | None:
        return self._device.blocks.get(self._kind(name))

    def _spec(self, name: str) -> FieldSpec | None:
        block, _, port = name.partition(".")
        spec = self._block_spec(block)
        return spec.fields.get(port) if spec else None

    def _instances(self) -> Iterator[str]:
        for kind, spec in self._device.blocks.items():
            yield from spec.instances(kind)
