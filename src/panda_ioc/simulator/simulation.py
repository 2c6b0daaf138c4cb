"""A PandA with simulated blocks: fields, blocks and PCAP connected, without sockets or a clock.

Time passes only on request: by `advance`, or by a `Runner` in step with real time. A command takes one tick or a few.
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
    """A simulated PandA, exact to the tick. One tick is 8 ns.

    Args:
        spec: description of the device
        delays: delays of the wires between blocks; those of the hardware by default

    Attributes:
        panda: the fields
        capture: PCAP as the two ports see it: arm, disarm, samples
        engine: runs the blocks; `engine.now` is the current tick
        wiring: the blocks and the wires between them
        outside: motors, inputs and detectors connected to the PandA
        pcap: bridge between the PCAP block and `capture`; None if the device has no PCAP

    Raises:
        DeviceError: the description is invalid

    Example:
        >>> simulation = Simulation(load())
        >>> simulation.say("*IDN?", "PULSE1.DELAY=0.5", "PULSE1.DELAY.RAW?")[1:]
        ['OK', 'OK =62500000']
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
            _log.warning("%s refused some of the settings in its device file: %s", spec.name, refused)

    @property
    def seconds(self) -> float:
        """Simulated time since the start, in s."""
        return self.engine.now / TICKS

    def advance(self, ticks: int, *, limit: int | None = None) -> bool:
        """Let simulated time pass.

        Args:
            ticks: number of ticks; 125 million are 1 s
            limit: maximum number of events to process, approximately; None for no limit

        Returns:
            True if all ticks passed; False if the limit was reached before
        """
        over = self.engine.run(self.engine.now + ticks, limit=limit)
        self.flush()
        return over

    def record(self, *patterns: str) -> Recording:
        """Start to record signals.

        Args:
            *patterns: names of signals, with the wildcards `*` and `?`: `SEQ1.OUTA`, `PULSE*.OUT`, `TTLOUT1`,
                `*.HEALTH`; by default all bits, positions and outputs

        Returns:
            a mapping from names to traces, which grows until its `stop` is called

        Raises:
            Refused: no signal matches a pattern
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
        """Let simulated time pass until a signal reaches a value; give exactly one of value, above and below.

        Args:
            signal: name of one signal, as for `record`
            value: raw value to wait for
            above: wait for any raw value above this one
            below: wait for any raw value below this one
            limit: time limit in s of simulated time

        Returns:
            the tick in which it happened; the current tick if the condition is met already

        Raises:
            Refused: no signal has this name, or several match
            TimeoutError: the time limit passed
            ValueError: none or several of value, above and below are given
        """
        try:
            return wait_for(self.engine, signal, Wanted.of(value, above, below), limit)
        finally:
            self.flush()

    def flush(self) -> None:
        """Forward captured samples to `capture`."""
        if self.pcap is not None:
            self.pcap.flush()

    def refresh(self) -> None:
        """Update the fields from the blocks."""
        engine = self.engine
        if engine.events != self._shown or self.wiring.moving:
            self._shown = engine.events
            self.wiring.show()
        self.flush()

    def say(self, *lines: str) -> list[str]:
        """Send commands, as over the control port.

        Args:
            *lines: lines without their newline

        Returns:
            all lines of the replies, without their newlines

        Raises:
            LineTooLong: a line has more than 1022 bytes
        """
        data = "".join(f"{line}\n" for line in lines).encode()
        return b"".join(self._session.receive(data)).decode().splitlines()

    def set_up(self, lines: Sequence[str]) -> None:
        """Apply settings in the format of `panda-ioc save`, or any other commands.

        Args:
            lines: lines without their newline

        Raises:
            Refused: the PandA refused some; the others are applied
        """
        refused = self.refusals(lines)
        if refused:
            more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            raise Refused(f"{refused[0]}{more}")

    def refusals(self, lines: Sequence[str]) -> list[str]:
        """Apply settings in the format of `panda-ioc save`, or any other commands.

        Args:
            lines: lines without their newline

        Returns:
            one line for each refused command, with the reason; the other commands are applied
        """
        refused = []
        command = ""
        for line in lines:
            command = command or line  # report a table by its first line
            answer = self.say(line)
            if answer and answer[0].startswith("ERR "):
                refused.append(f"{command}: {answer[0].removeprefix('ERR ')}")
            if answer:
                command = ""
        return refused

    def force(self, name: str, shows: str | None) -> None:
        """Let a read-only field show a given value instead of the output of its block.

        Args:
            name: "INENC1.HEALTH"
            shows: value as text; None for the output of the block again

        Raises:
            Refused: the field is unknown or not read-only, or the value is not valid
        """
        field = self._field(name)
        if field.codec is None or not field.readable or field.writeable:
            raise Refused(f"{name} is not a read-only field")
        readback = self.wiring.readback(name)
        raw = None if shows is None else field.codec.parse(shows)
        if readback is not None:
            readback.forced = raw
            self.wiring.show()
        else:
            self.panda.set_raw(name, raw or 0)

    def break_field(self, name: str, *, broken: bool) -> None:
        """Make reads of a field fail, or succeed again.

        Args:
            name: "INENC1.HEALTH"
            broken: whether reads fail

        Raises:
            Refused: the field is unknown
        """
        self._field(name)
        self.panda.set_error(name, in_error=broken)

    def fail(self, reason: str) -> None:
        """End the current acquisition, if any, with a given reason, for example "Data overrun"."""
        if self.pcap is not None:
            self.pcap.fail(reason)
        else:
            self.capture.end(reason)

    def _field(self, name: str) -> Field:
        field = self.panda.fields.get(name)
        if field is None:
            raise Refused(f"unknown field {name}")
        return field
