"""The bridge between the simulated PCAP block and the ports: forwards arm and disarm, returns samples."""

import numpy as np

from .blocks import capture as words
from .blocks.pcap import OVERRUN, Pcap
from .capture import Capture
from .columns import codes
from .engine import Node
from .layout import Layout
from .wiring import Wiring


class PcapBridge:
    """The PCAP block, with the wires to the signals that it captures.

    Args:
        wiring: all blocks
        node: node of the block
        pcap: the block itself
        capture: PCAP as the ports see it
    """

    def __init__(self, wiring: Wiring, node: Node, pcap: Pcap, capture: Capture) -> None:
        self._wiring = wiring
        self._node = node
        self._pcap = pcap
        self._capture = capture
        self._wired: set[str] = set()
        self._order: list[int] = []  # index of each word of a sample in the list of captured words
        self._reason = ""  # reason given by `fail`
        pcap.show_data = False  # only whole samples are used here
        pcap.on_start = self._started
        pcap.on_end = self._ended
        capture.on_arm = self.arm
        capture.on_disarm = self.disarm

    def arm(self, layout: Layout) -> None:
        """Connect the captured signals and arm the block."""
        wanted = codes(layout.items, self._wiring.panda.buses.positions)
        listed = list(dict.fromkeys(wanted))  # words shared by two columns are captured once
        self._order = [listed.index(code) for code in wanted]
        self._reason = ""
        self._wire(listed)
        self._pcap.choose(listed)
        self._write("ARM")

    def disarm(self) -> None:
        """End the run, if any."""
        self._write("DISARM")

    def fail(self, reason: str) -> None:
        """End the run, if any, with a given reason."""
        self._reason = reason
        self._write("OVERRUN" if reason == OVERRUN else "DISARM")

    def flush(self) -> None:
        """Forward the captured samples."""
        self._pcap.complete(self._wiring.engine.now)
        if self._pcap.samples:
            rows, self._pcap.samples = self._pcap.samples, []
            self._capture.append(np.array(rows, np.int32)[:, self._order].view(np.uint32))

    def _started(self, _tick: int) -> None:
        self._capture.start()

    def _ended(self, _tick: int, reason: str) -> None:
        self.flush()
        self._capture.end(self._reason or reason)
        self._reason = ""

    def _write(self, port: str) -> None:
        self._wiring.engine.write(self._node, {port: 0})

    def _wire(self, listed: list[int]) -> None:
        """Connect only the captured bus entries: every wire costs computing time."""
        wiring = self._wiring
        positions, bits = words.slots(listed)
        wanted = {f"POS[{slot}]": wiring.positions[slot] for slot in positions if slot < len(wiring.positions)}
        wanted |= {f"BIT[{slot}]": wiring.bits[slot] for slot in bits if slot < len(wiring.bits)}
        for port in self._wired - set(wanted):
            wiring.engine.disconnect(self._node, port)
        for port in sorted(set(wanted) - self._wired):
            wiring.engine.connect(wanted[port], self._node, port, wiring.delays.captured)
        if set(wanted) != self._wired:
            for _ in range(wiring.delays.captured):  # values on the buses must arrive before the first capture
                wiring.engine.settle()
        self._wired = set(wanted)
