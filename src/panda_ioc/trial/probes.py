"""Probes of internal values of the blocks of a simulated PandA that are on no bus."""

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..simulator.blocks.pcap import Pcap
from ..simulator.blocks.pulse import Pulse
from ..simulator.blocks.seq import Seq
from ..simulator.engine import Node
from ..simulator.layout import Layout
from ..simulator.recording import Recording, Ticks, Trace, expose
from ..simulator.simulation import Simulation

#: The recorded ports of each kind of block, in addition to HEALTH.
_PORTS: Mapping[type, tuple[str, ...]] = {
    Pulse: ("DROPPED",),
    Seq: ("STATE", "TABLE_LINE", "LINE_REPEAT", "TABLE_REPEAT"),
    Pcap: ("TRIG", "ENABLE"),
}


@dataclass(frozen=True)
class Wired:
    """The driver of an input of a block: the name of the signal, and its delay in ticks."""

    signal: str
    ticks: int


class Probes:
    """Records internal values of blocks.

    Args:
        simulation: the PandA, before any settings are applied

    Attributes:
        traces: traces by name: HEALTH of all blocks, and the ports listed in this module
    """

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._captures = array("q")
        self._armed: list[int] = []
        chosen = {}
        for node in simulation.engine.nodes.values():
            ports = _PORTS.get(type(node.block), ())
            for port in (*(("HEALTH",) if "HEALTH" in node.block.ports else ()), *ports):
                chosen[f"{node.name}.{port}"] = expose(node, port)
        self.traces: Mapping[str, Trace] = Recording(simulation.engine, chosen)
        for _, pcap in simulation.wiring.pcaps():
            pcap.on_capture = self._captures.append
        self._count_arms()

    def captures(self, number: int, samples: int) -> Ticks:
        """Return the ticks of the samples of an acquisition, given its index: shape (samples,), dtype int64."""
        first = self._armed[number]
        return np.array(self._captures[first : first + samples], np.int64)

    def blocks(self, kind: type) -> list[Node]:
        """Return the blocks of a kind."""
        return [node for node in self._simulation.engine.nodes.values() if isinstance(node.block, kind)]

    def wired(self, node: Node, port: str) -> Wired | None:
        """Return the current driver of an input; None without a driver."""
        slot = node.sources.get(port)
        if slot is None or slot.name in {"ZERO", "ONE"}:
            return None
        return next(Wired(slot.name, ticks) for target, name, ticks in slot.wires if (target, name) == (node, port))

    def _count_arms(self) -> None:
        capture = self._simulation.capture
        on_arm: Callable[[Layout], None] = capture.on_arm

        def arm(layout: Layout) -> None:
            self._armed.append(len(self._captures))
            on_arm(layout)

        capture.on_arm = arm
