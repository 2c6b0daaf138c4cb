"""A PandA whose blocks run: fields, blocks and PCAP joined.

It knows nothing of connections, and of clocks only that time passes when it is told: `advance` for a while, or
`Runner` in step with the clock on the wall. A command takes a tick or a few.
"""

import logging
from collections.abc import Sequence

from .capture import Capture
from .engine import TICKS, Engine
from .fields import Field
from .numbers import Refused
from .outside import Outside
from .panda import Panda
from .pcap import PcapBridge
from .recording import Recording, choose, signals
from .session import Session
from .spec import DeviceSpec
from .system import Context
from .waiting import Wanted, wait_for
from .wiring import Delays, Wiring

_log = logging.getLogger(__name__)


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
        try:
            self.set_up(spec.settings)
        except Refused as refused:
            _log.warning("%s does not take all of its settings: %s", spec.name, refused)

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

    def record(self, *patterns: str) -> Recording:
        """Record what signals do from now on.

        Args:
            patterns: of the names of signals: `SEQ1.OUTA`, `PULSE*.OUT`, `TTLOUT1`, `*.HEALTH`; all bits, positions
                and outputs if none is given

        Raises:
            Refused: there is no such signal
        """
        engine = self.engine
        return Recording(engine, choose(engine, patterns) if patterns else signals(engine))

    def until(
        self,
        signal: str,
        value: int | None = None,
        *,
        above: int | None = None,
        below: int | None = None,
        limit: float = 60.0,
    ) -> int:
        """Let time pass until a signal is as wanted: at a value, above one, or below one.

        Args:
            signal: as for `record`, of one signal
            value: raw, for exactly this value; one of this and the next two must be given
            above: raw, for any value above it
            below: raw, for any value below it
            limit: the most seconds of simulated time that may pass

        Returns:
            the tick in which it is so; now, if it is so already

        Raises:
            Refused: there is no such signal
            TimeoutError: the limit passed
        """
        try:
            return wait_for(self.engine, signal, Wanted.of(value, above, below), limit)
        finally:
            self.flush()

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
        """Write settings, as `panda-ioc save` writes them, or give any other commands.

        Raises:
            Refused: some were refused; all others were written
        """
        refused = self.refusals(lines)
        if refused:
            more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            raise Refused(f"{refused[0]}{more}")

    def refusals(self, lines: Sequence[str]) -> list[str]:
        """Write settings, as `panda-ioc save` writes them, or give any other commands.

        Returns:
            which were refused, and why: "PCAP.TRIG=x: Invalid enumeration value"; all others were written
        """
        refused = []
        command = ""
        for line in lines:
            command = command or line  # of a table, the line that begins it: the last one is blank
            answer = self.say(line)
            if answer and answer[0].startswith("ERR "):
                refused.append(f"{command}: {answer[0].removeprefix('ERR ')}")
            if answer:
                command = ""
        return refused

    def force(self, name: str, shows: str | None) -> None:
        """Let a field that is only read show something, whatever its block says; None for the truth again.

        Raises:
            Refused: there is no such field, or it cannot show that
        """
        field = self._field(name)
        if field.codec is None or not field.readable or field.writeable:
            raise Refused(f"{name} is not a field that is only read")
        readback = self.wiring.readback(name)
        raw = None if shows is None else field.codec.parse(shows)
        if readback is not None:
            readback.forced = raw
            self.wiring.show()
        else:
            self.panda.set_raw(name, raw or 0)

    def break_field(self, name: str, *, broken: bool) -> None:
        """Let the reading of a field fail, or work again.

        Raises:
            Refused: there is no such field
        """
        self._field(name)
        self.panda.set_error(name, in_error=broken)

    def fail(self, reason: str) -> None:
        """End the acquisition under way, if there is one, with some reason."""
        if self.pcap is not None:
            self.pcap.fail(reason)
        else:
            self.capture.end(reason)

    def _field(self, name: str) -> Field:
        field = self.panda.fields.get(name)
        if field is None:
            raise Refused(f"there is no field {name}")
        return field
