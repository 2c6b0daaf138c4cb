"""The wiring of a design as data: blocks in use, their settings, and the wires between them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from msgspec.structs import replace

from ..settings import Rows, Settings
from ..settings.parse import as_number
from ..simulator.numbers import TICK
from ..simulator.panda import Panda
from ..simulator.spec import BlockSpec, DeviceSpec, FieldSpec
from .tables import row_summaries, table_info
from .units import engineering

#: Values of a mux that no block drives.
CONSTANTS = ("ZERO", "ONE")

#: Name of the box for captured positions.
CAPTURED = "Captured"

#: Blocks that represent connectors.
INPUTS = ("TTLIN", "LVDSIN", "INENC")
OUTPUTS = ("TTLOUT", "LVDSOUT", "OUTENC")

Sort = Literal["bit", "position"]


@dataclass(frozen=True)
class Wire:
    """A wire from an output to an input.

    Attributes:
        source, target: "PULSE1.OUT", "PCAP.TRIG"
        sort: "bit" or "position"
        delay: configured delay in ticks, in addition to the fixed delay of every wire
    """

    source: str
    target: str
    sort: Sort
    delay: int = 0


@dataclass
class Box:
    """A block in use.

    Attributes:
        name: "PULSE1"; CAPTURED for captured positions
        kind: "PULSE"
        label: label given by users
        inputs, outputs: fields with wires
        settings: settings that differ from the defaults: pairs of name and value with units
    """

    name: str
    kind: str
    label: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    settings: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Diagram:
    """The wiring of a design.

    Attributes:
        boxes: blocks by name, in the order of the device
        wires: all wires
    """

    boxes: Mapping[str, Box]
    wires: Sequence[Wire]


def diagram(settings: Settings, device: DeviceSpec) -> Diagram:
    """Return the wiring of a design.

    Args:
        settings: the design
        device: description with the types and defaults of fields; for unknown fields, the value decides
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
        """Collect the wires, then the settings of the blocks that they connect."""
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
        """Add the captures: positions as wires to a separate box, others as settings of PCAP."""
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
        """Yield the settings that differ from the defaults, in field order."""
        values = self._settings.values
        names = {name for name in values if name.partition(".")[0] == box.name and name.count(".") == 1}
        spec = self._block_spec(box.name)
        order = list(spec.fields) if spec else []
        fields = [name.partition(".")[2] for name in names]
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
        """Return a time setting in s, which is its unit by default; None if the field is not a time."""
        spec = self._spec(name)
        if spec is None or "time" not in spec.type.split():
            return None
        seconds = self._settings.seconds(name)
        return as_number(self._settings.values.get(name, "")) if seconds is None else seconds

    def _scalings(self, box: Box) -> Iterator[tuple[str, str]]:
        """Yield the scaling of the positions in use: "VAL  0.001 mm/count"."""
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
        """The power-on values of the fields of the boxes; times in s."""
        fields = Panda(replace(self._device, settings=())).fields
        return {
            name: str(one.read())
            for name, one in fields.items()
            if name.partition(".")[0] in self._boxes and one.codec is not None and one.readable
        }

    def _label(self, box: Box) -> str:
        if box.name == CAPTURED:
            return "captured by PCAP"
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
