"""A PandA whose blocks run: fields, blocks and PCAP joined.

It knows nothing of connections, and of clocks only that time passes when it is told: `advance` for a while, or
`Runner` in step with the clock on the wall. A command takes a tick or a few.
"""

from collections.abc import Sequence

from .capture import Capture
from .engine import TICKS, Engine
from .outside import Outside
from .panda import Panda
from .pcap import PcapBridge
from .session import Session
from .spec import DeviceSpec
from .system import Context
from .wiring import Delays, Wiring


class Simulation:
    """One PandA.

    Args:
        spec: what it is
        delays: how long its wires take

    Attributes:
        panda: its fields
        capture: its PCAP, as the two ports see it
        engine: what runs its blocks
        wiring: its blocks and the wires between them
        outside: motors, and what drives its inputs
        pcap: what joins PCAP with `capture`; None if it has no PCAP
    """

    def __init__(self, spec: DeviceSpec, *, delays: Delays | None = None) -> None:
        self.panda = Panda(spec)
        self.capture = Capture(self.panda)
        self.engine = Engine()
        self.wiring = Wiring(self.engine, self.panda, delays or Delays())
        self.wiring.join()
        self.engine.run(max(vars(self.wiring.delays).values()))
        self.outside = Outside(self.engine)
        self.pcap: PcapBridge | None = None
        for node, pcap in self.wiring.pcaps():
            self.pcap = PcapBridge(self.wiring, node, pcap, self.capture)
        self.panda.refresh = self.refresh
        self._session = Session(Context(self.panda, self.capture))
        self._shown = -1

    @property
    def seconds(self) -> float:
        """How long it runs, in its own time."""
        return self.engine.now / TICKS

    def advance(self, ticks: int, *, limit: int | None = None) -> bool:
        """Let time pass.

        Args:
            ticks: how much; 125 million are a second
            limit: stop after about so many events

        Returns:
            whether all of it passed; False if the limit was reached before
        """
        over = self.engine.run(self.engine.now + ticks, limit=limit)
        self.flush()
        return over

    def flush(self) -> None:
        """Pass on what was captured."""
        if self.pcap is not None:
            self.pcap.flush()

    def refresh(self) -> None:
        """Bring the fields up to date with their blocks."""
        engine = self.engine
        if engine.events != self._shown or self.wiring.moving:
            self._shown = engine.events
            self.wiring.show()
        self.flush()

    def say(self, *lines: str) -> list[str]:
        """Give it commands, as on the control port.

        Returns:
            all lines that it answers
        """
        data = "".join(f"{line}\n" for line in lines).encode()
        return b"".join(self._session.receive(data)).decode().splitlines()

    def set_up(self, lines: Sequence[str]) -> None:
        """Write settings, as `panda-ioc save` writes them.

        Raises:
            ValueError: some were refused, all others were written
        """
        refused = [answer for answer in self.say(*lines) if answer != "OK"]
        if refused:
            raise ValueError(f"{len(refused)} settings were refused, the first one with {refused[0]!r}")
