"""The world around a PandA: the motors, signals and detectors that are connected to it.

A motor or an input signal is a simulated block, `Source`, that plays a profile; a wire of one tick carries its value to
the pin of a connector.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from . import motorfiles, profiles
from .blocks.base import Block, Changes, param, pos_out
from .detectors import Behaviour, Detector
from .engine import TICKS, Engine, Node
from .motion import Value, at
from .numbers import Refused
from .profiles import Profile


class Source(Block):
    """A block whose output follows a profile."""

    PLAY: int = param(outside=True)
    VALUE: Value = pos_out(outside=True)

    def __init__(self) -> None:
        super().__init__()
        self.profile: Profile = iter(())
        self._next: tuple[int, Value] | None = None

    def step(self, now: int, changes: Changes) -> int | None:
        if "PLAY" in changes:
            self._next = next(self.profile, None)
        while self._next is not None and self._next[0] <= now:
            self.VALUE = self._next[1]
            self._next = next(self.profile, None)
        return self._next[0] if self._next is not None else None


@dataclass(frozen=True)
class _Pin:
    """A source with the block that it drives."""

    engine: Engine
    block: Node
    node: Node
    source: Source

    def play(self, profile: Profile) -> None:
        """Play a profile from the next tick on, instead of the current one."""
        self.source.profile = profile
        self.engine.write(self.node, {"PLAY": 0})

    @property
    def start(self) -> int:
        """The first tick of the next profile."""
        return self.engine.now + 1

    @property
    def value(self) -> int:
        """The current value."""
        return at(self.source.VALUE, self.engine.now)


class Motor:
    """A motor at an encoder input; positions are in counts. Every motion starts at rest at the current position.

    Get it from `Outside.motor`.

    Args:
        pin: the encoder input, and the source that drives it

    Example:
        >>> simulation = Simulation(load())
        >>> motor = simulation.outside.motor("INENC1")
        >>> motor.move(to=-500, speed=1e6, acceleration=1e9)
        >>> tick = simulation.until("INENC1.VAL", -500)
        >>> motor.position
        -500
    """

    def __init__(self, pin: _Pin) -> None:
        self._pin = pin
        self._noise: tuple[int, float] | None = None

    @property
    def position(self) -> int:
        """Current position in counts."""
        return self._pin.value

    def move(self, to: float, speed: float, acceleration: float = math.inf) -> None:
        """Move to a position.

        Args:
            to: target in counts, -2**31 to 2**31 - 1
            speed: counts/s, 1e-6 to 1e9
            acceleration: counts/s^2; by default the speed changes instantly

        Raises:
            Refused: a number is out of range
        """
        _check(("position", to), ("speed", speed), ("acceleration", acceleration))
        self._play(profiles.move(self._pin.start, self.position, to, speed, acceleration))

    def sine(self, amplitude: float, period: float, cycles: int | None = None) -> None:
        """Oscillate around the current position, upwards first.

        Args:
            amplitude: counts
            period: s, 8e-9 to 1e7
            cycles: number of periods; None for no end

        Raises:
            Refused: a number is out of range
        """
        _check(("position", abs(self.position) + abs(amplitude)), ("time", period))
        self._play(profiles.sine(self._pin.start, self.position, amplitude, period, cycles))

    def follow(self, path: Path, columns: motorfiles.Columns, scale: float = 1.0, offset: float = 0.0) -> None:
        """Follow the positions in a file, starting with its first row.

        Args:
            path: CSV or HDF5 file with at least two rows
            columns: columns to use, see `motorfiles.Columns`
            scale: counts per unit of the file
            offset: counts to add

        Raises:
            Refused: the file cannot be read, is invalid, or has positions that do not fit 32 bits
        """
        self._play(motorfiles.follow(self._pin.start, path, columns, scale, offset))

    def jump(self, to: float) -> None:
        """Set the position instantly, in counts.

        Raises:
            Refused: the position is out of range
        """
        _check(("position", to))
        self._play(iter([(self._pin.start, math.floor(to))]))

    def stop(self) -> None:
        """Stop at the current position."""
        self.jump(self.position)

    def noise(self, amplitude: int, every: float = 0.001) -> None:
        """Stop, and add noise to the position from now on, also during later motions.

        Args:
            amplitude: largest deviation in counts; 0 for no noise
            every: interval between changes of the noise, in s

        Raises:
            Refused: a number is out of range
        """
        _check(("position", self.position + abs(amplitude)), ("time", every))
        self._noise = (amplitude, every) if amplitude else None
        self.stop()

    def link(self, *, up: bool) -> None:
        """Connect or disconnect the encoder."""
        self._pin.engine.write(self._pin.block, {"LINK": int(up)})

    def _play(self, profile: Profile) -> None:
        if self._noise is not None:
            amplitude, every = self._noise
            profile = profiles.noisy(profile, self._pin.start, self.position, amplitude, every)
        self._pin.play(profile)


class Input:
    """The signal at an input of the front panel.

    Get it from `Outside.input`.

    Args:
        pin: the input, and the source that drives it

    Example:
        >>> simulation = Simulation(load())
        >>> simulation.outside.input("TTLIN1").pulses(width=1e-6, cycles=3)
        >>> recording = simulation.record("TTLIN1.VAL")
        >>> simulation.advance(1000)
        True
        >>> len(recording["TTLIN1.VAL"].pulses)
        3
    """

    def __init__(self, pin: _Pin) -> None:
        self._pin = pin

    def level(self, high: int) -> None:
        """Set a constant level: 0 for low, anything else for high."""
        self._pin.play(iter([(self._pin.start, int(bool(high)))]))

    def pulses(self, width: float, period: float = 0.0, cycles: int | None = 1) -> None:
        """Send pulses.

        Args:
            width: time for which the signal is high, in s
            period: s; twice the width by default
            cycles: number of pulses; None for no end

        Raises:
            Refused: a time is out of range, or the width is not less than the period
        """
        period = period or 2 * width
        _check(("time", width), ("time", period))
        if width >= period:
            raise Refused(f"a pulse width of {width:g} s needs a period longer than {period:g} s")
        self._pin.play(profiles.pulses(self._pin.start, width, period, cycles))


class Outside:
    """All motors, input signals and detectors that are connected to a PandA.

    Args:
        engine: engine that runs the blocks of the PandA

    Attributes:
        detectors: detectors by the name of the output that triggers them

    Example:
        >>> simulation = Simulation(load())
        >>> motor = simulation.outside.motor("INENC1")
        >>> motor.move(to=1000, speed=1e6)
        >>> simulation.advance(200_000)
        True
        >>> motor.position
        1000
    """

    def __init__(self, engine: Engine) -> None:
        self.detectors: dict[str, Detector] = {}
        self._answers: dict[str, str] = {}  # input -> trigger output of the detector that drives it
        self._engine = engine
        self._motors: dict[str, Motor] = {}
        self._inputs: dict[str, Input] = {}

    def motor(self, name: str) -> Motor:
        """Return the motor at an encoder input.

        Args:
            name: name of the encoder input, "INENC1"

        Raises:
            Refused: the encoder input is unknown
        """
        if name not in self._motors:
            self._motors[name] = Motor(self._pin(name, "POSITION"))
        return self._motors[name]

    def input(self, name: str) -> Input:
        """Return the signal at an input.

        Args:
            name: name of the input, "TTLIN1" or "LVDSIN2"

        Raises:
            Refused: the input is unknown, or a detector drives it
        """
        if name in self._answers:
            raise Refused(f"the detector at {self._answers[name]} already drives {name}")
        if name not in self._inputs:
            self._inputs[name] = Input(self._pin(name, "PIN"))
        return self._inputs[name]

    def detector(self, trigger: str, behaviour: Behaviour, answer: str | None = None) -> Detector:
        """Connect a detector to an output; if one is connected already, change its behaviour.

        Args:
            trigger: output that triggers the detector, "TTLOUT1"
            behaviour: times of the detector
            answer: input that the detector drives high while it answers; None for none

        Raises:
            Refused: the output or input is unknown, or something else drives the input
        """
        node = self._engine.nodes.get(f"outside.{trigger}")
        if trigger not in self.detectors:
            level = self.output(trigger)
            detector = Detector(trigger, behaviour, level)
            if answer is not None:
                self._check_free(answer, trigger)
            node = self._engine.add(f"outside.{trigger}", detector)
            self._engine.connect(self._engine.nodes[trigger].slots["PIN"], node, "TRIGGER", 1)
            self.detectors[trigger] = detector
        if answer is not None and node is not None and self._answers.get(answer) != trigger:
            self._check_free(answer, trigger)
            self._engine.connect(node.slots["ANSWER"], self._engine.nodes[answer], "PIN", 1)
            self._answers[answer] = trigger
        self.detectors[trigger].behaviour = behaviour
        return self.detectors[trigger]

    def _check_free(self, name: str, trigger: str) -> None:
        self._input_node(name, "PIN")
        if name in self._inputs or self._answers.get(name, trigger) != trigger:
            raise Refused(f"{name} is in use: the detector at {trigger} cannot drive it")

    def output(self, name: str) -> int:
        """Return the level of an output, 0 or 1.

        Args:
            name: name of the output, "TTLOUT1" or "LVDSOUT2"

        Raises:
            Refused: the output is unknown
        """
        node = self._engine.nodes.get(name)
        if node is None or "PIN" not in node.slots:
            raise Refused(f"{name} is not an output")
        return at(node.slots["PIN"].value, self._engine.now)

    def _input_node(self, name: str, port: str) -> Node:
        block = self._engine.nodes.get(name)
        if block is None or port not in block.block.ports or port in block.slots:
            what = "an encoder input such as INENC1" if port == "POSITION" else "an input such as TTLIN1"
            raise Refused(f"{name} is not {what}")
        return block

    def _pin(self, name: str, port: str) -> _Pin:
        block = self._input_node(name, port)
        source = Source()
        node = self._engine.add(f"outside.{name}", source)
        self._engine.connect(node.slots["VALUE"], block, port, 1)
        return _Pin(self._engine, block, node, source)


#: Ranges of numbers: positions fit 32 bits, times a counter of ticks, speeds an encoder.
_LIMITS = {
    "position": (-(2.0**31), 2.0**31 - 1),
    "time": (1 / TICKS, 1e7),
    "speed": (1e-6, 1e9),
    "acceleration": (1e-6, math.inf),
}


def _check(*numbers: tuple[str, float]) -> None:
    for name, number in numbers:
        low, high = _LIMITS[name]
        if not low <= number <= high:
            raise Refused(f"{name} {number:g} is out of range: use {low:g} to {high:g}")
