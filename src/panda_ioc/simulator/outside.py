"""The world outside of a PandA: what drives its encoders and inputs, and what its outputs do.

A motor or an input is a block like any other, `Source`, that plays a profile; a wire of one tick takes what it
says to the pin of a connector.
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
    """Says what a profile says."""

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
    """A source with what it drives."""

    engine: Engine
    block: Node
    node: Node
    source: Source

    def play(self, profile: Profile) -> None:
        """Play a profile from the next tick on, instead of what is played."""
        self.source.profile = profile
        self.engine.write(self.node, {"PLAY": 0})

    @property
    def start(self) -> int:
        """The tick from which the next profile is played."""
        return self.engine.now + 1

    @property
    def value(self) -> int:
        """What it says now."""
        return at(self.source.VALUE, self.engine.now)


class Motor:
    """What turns an encoder, in counts. Whatever it is told to do, it begins at rest where it is."""

    def __init__(self, pin: _Pin) -> None:
        self._pin = pin
        self._noise: tuple[int, float] | None = None

    @property
    def position(self) -> int:
        """Where it is."""
        return self._pin.value

    def move(self, to: float, speed: float, acceleration: float = math.inf) -> None:
        """Go to a position, at a speed in counts a second."""
        _check(("position", to), ("speed", speed), ("acceleration", acceleration))
        self._play(profiles.move(self._pin.start, self.position, to, speed, acceleration))

    def sine(self, amplitude: float, period: float, cycles: int | None = None) -> None:
        """Swing around where it is, in so many seconds each time; for ever without cycles."""
        _check(("position", abs(self.position) + abs(amplitude)), ("time", period))
        self._play(profiles.sine(self._pin.start, self.position, amplitude, period, cycles))

    def follow(self, path: Path, columns: motorfiles.Columns, scale: float = 1.0, offset: float = 0.0) -> None:
        """Go as a file says, in units of which each has some counts, from where it begins: see `motorfiles`."""
        self._play(motorfiles.follow(self._pin.start, path, columns, scale, offset))

    def jump(self, to: float) -> None:
        """Be at a position, at once."""
        _check(("position", to))
        self._play(iter([(self._pin.start, math.floor(to))]))

    def stop(self) -> None:
        """Stay where it is."""
        self.jump(self.position)

    def noise(self, amplitude: int, every: float = 0.001) -> None:
        """Stop, and from now on shake by up to so many counts, anew every so many seconds; 0 for no more."""
        _check(("position", self.position + abs(amplitude)), ("time", every))
        self._noise = (amplitude, every) if amplitude else None
        self.stop()

    def link(self, *, up: bool) -> None:
        """Pull the plug of the encoder, or put it in again."""
        self._pin.engine.write(self._pin.block, {"LINK": int(up)})

    def _play(self, profile: Profile) -> None:
        if self._noise is not None:
            amplitude, every = self._noise
            profile = profiles.noisy(profile, self._pin.start, self.position, amplitude, every)
        self._pin.play(profile)


class Input:
    """What drives an input of the front panel."""

    def __init__(self, pin: _Pin) -> None:
        self._pin = pin

    def level(self, high: int) -> None:
        """Be low or high from now on."""
        self._pin.play(iter([(self._pin.start, int(bool(high)))]))

    def pulses(self, width: float, period: float = 0.0, cycles: int | None = 1) -> None:
        """Be high for so many seconds, and again each period; for ever if cycles is None."""
        period = period or 2 * width
        _check(("time", width), ("time", period))
        if width >= period:
            raise Refused(f"a width of {width:g} s does not fit a period of {period:g} s")
        self._pin.play(profiles.pulses(self._pin.start, width, period, cycles))


class Outside:
    """All motors, inputs and detectors of a PandA.

    Args:
        engine: in which its blocks are

    Attributes:
        detectors: by the name of the output that triggers them
    """

    def __init__(self, engine: Engine) -> None:
        self.detectors: dict[str, Detector] = {}
        self._answers: dict[str, str] = {}  # the detector that drives an input
        self._engine = engine
        self._motors: dict[str, Motor] = {}
        self._inputs: dict[str, Input] = {}

    def motor(self, name: str) -> Motor:
        """The motor at an encoder input: "INENC1".

        Raises:
            Refused: there is no such encoder input
        """
        if name not in self._motors:
            self._motors[name] = Motor(self._pin(name, "POSITION"))
        return self._motors[name]

    def input(self, name: str) -> Input:
        """What drives an input: "TTLIN1", "LVDSIN2".

        Raises:
            Refused: there is no such input
        """
        if name in self._answers:
            raise Refused(f"{name} is driven by the detector at {self._answers[name]}")
        if name not in self._inputs:
            self._inputs[name] = Input(self._pin(name, "PIN"))
        return self._inputs[name]

    def detector(self, trigger: str, behaviour: Behaviour, answer: str | None = None) -> Detector:
        """A detector at an output, "TTLOUT1"; if it is there already, it behaves like this from now on.

        Args:
            trigger: the output that triggers it
            behaviour: how it behaves
            answer: the input that it drives: high while it answers

        Raises:
            Refused: there is no such output or input, or the input is driven already
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
            raise Refused(f"{name} is driven already, so no detector can answer there")

    def output(self, name: str) -> int:
        """The level of an output: "TTLOUT1", "LVDSOUT2".

        Raises:
            Refused: there is no such output
        """
        node = self._engine.nodes.get(name)
        if node is None or "PIN" not in node.slots:
            raise Refused(f"{name} is no output")
        return at(node.slots["PIN"].value, self._engine.now)

    def _input_node(self, name: str, port: str) -> Node:
        block = self._engine.nodes.get(name)
        if block is None or port not in block.block.ports or port in block.slots:
            what = "encoder input, as INENC1 is" if port == "POSITION" else "input, as TTLIN1 is"
            raise Refused(f"{name} is no {what}")
        return block

    def _pin(self, name: str, port: str) -> _Pin:
        block = self._input_node(name, port)
        source = Source()
        node = self._engine.add(f"outside.{name}", source)
        self._engine.connect(node.slots["VALUE"], block, port, 1)
        return _Pin(self._engine, block, node, source)


#: What numbers are possible: positions fit 32 bits, times a counter of ticks, speeds an encoder.
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
            raise Refused(f"{number:g} is no {name}: it must be from {low:g} to {high:g}")
