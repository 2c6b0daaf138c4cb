"""The actions that a scenario can take: move motors, drive inputs, inject faults.

An action is a model of its parameters with a method `do`; `Step` lists all of them. Scenario files, Python code and
`panda-ioc drive` use the same steps.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol, get_args, get_type_hints

from msgspec import Meta
from msgspec.structs import replace

from ..validation import Checked, rule, schema
from .detectors import Behaviour
from .engine import TICKS
from .faults import Faults
from .motorfiles import Columns
from .numbers import Refused
from .simulation import Simulation
from .spec import Finite, Line, Name

#: A command as on the control port: an assignment, or one line of a table write.
Command = Annotated[str, rule("must be one line of at most 1000 characters", pattern=r"^[^\n\x00]*\Z", max_length=1000)]

#: A time in s.
Time = Annotated[float, Meta(ge=0, le=1e7)]


@dataclass(frozen=True)
class Stage:
    """The target of an action.

    Attributes:
        simulation: the PandA
        faults: faults of its ports
    """

    simulation: Simulation
    faults: Faults


class Action(Protocol):
    """An action of a scenario."""

    def do(self, stage: Stage) -> None:
        """Execute the action; raise Refused if it is not possible."""


class Move(Checked):
    """Move a motor to a position in counts, at a speed in counts/s and an acceleration in counts/s^2."""

    motor: Name
    to: Finite
    speed: Finite
    acceleration: float = float("inf")

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).move(self.to, self.speed, self.acceleration)


class Sine(Checked):
    """Let a motor oscillate around its position, with an amplitude in counts and a period in s."""

    motor: Name
    amplitude: Finite
    period: Finite
    cycles: Annotated[int, Meta(ge=1)] | None = None

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).sine(self.amplitude, self.period, self.cycles)


class Jump(Checked):
    """Set the position of a motor instantly, in counts."""

    motor: Name
    to: Finite

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).jump(self.to)


class Stop(Checked):
    """Stop a motor."""

    motor: Name

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).stop()


class Noise(Checked):
    """Add noise to a motor: an amplitude in counts (0 for none), and an interval in s between changes."""

    motor: Name
    amplitude: Annotated[int, Meta(ge=0)]
    every: Finite = 0.001

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).noise(self.amplitude, self.every)


class Link(Checked):
    """Connect or disconnect an encoder."""

    motor: Name
    up: bool

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).link(up=self.up)


class Follow(Checked):
    """Let a motor follow a CSV or HDF5 file; in a scenario file, a relative path starts at its directory."""

    motor: Name
    file: Path
    position: str = "2"
    time: str | None = "1"
    time_units: Literal["s", "ms", "us", "ns"] = "s"
    period: Annotated[float, Meta(ge=1 / TICKS, le=1e7)] | None = None
    scale: Finite = 1.0
    offset: Finite = 0.0

    @property
    def columns(self) -> Columns:
        """The columns of the file to use."""
        return Columns(self.position, self.time if self.period is None else None, self.time_units, self.period)

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).follow(self.file, self.columns, self.scale, self.offset)


class Detector(Checked):
    """Connect a detector to an output: dead time, delay and width in s; its answer drives an input."""

    trigger: Name
    dead_time: Time
    answer: Name | None = None
    delay: Time = 0.0
    width: Time | None = None
    edge: Literal["Rising", "Falling"] = "Rising"

    def do(self, stage: Stage) -> None:
        behaviour = Behaviour.of(self.dead_time, self.delay, self.width, falling=self.edge == "Falling")
        stage.simulation.outside.detector(self.trigger, behaviour, self.answer)


class Level(Checked):
    """Set the level of an input."""

    input: Name
    high: bool

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.input(self.input).level(self.high)


class Pulses(Checked):
    """Send pulses to an input: width and period in s; without end if cycles is None."""

    input: Name
    width: Finite
    period: Finite = 0.0
    cycles: Annotated[int, Meta(ge=1)] | None = 1

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.input(self.input).pulses(self.width, self.period, self.cycles)


class Arm(Checked):
    """Arm PCAP; do nothing if it is armed already, or if nothing is selected for capture."""

    def do(self, stage: Stage) -> None:
        capture = stage.simulation.capture
        if not capture.busy and stage.simulation.panda.captured():
            capture.arm()


class Commands(Checked):
    """Send commands, as over the control port."""

    lines: tuple[Command, ...]

    def do(self, stage: Stage) -> None:
        stage.simulation.set_up(self.lines)


class Health(Checked):
    """Force the value of a read-only field; without a value, show the output of the block again."""

    field: str
    shows: Line | None = None

    def do(self, stage: Stage) -> None:
        stage.simulation.force(self.field, self.shows)


class Broken(Checked):
    """Make reads of a field fail, or succeed again."""

    field: str
    broken: bool = True

    def do(self, stage: Stage) -> None:
        stage.simulation.break_field(self.field, broken=self.broken)


class Fail(Checked):
    """End the current acquisition with an error."""

    reason: Literal["Driver data overrun", "DMA data error", "Data overrun", "Framing error", "Early disconnect"] = (
        "Driver data overrun"
    )
    corrupt: bool = False

    def do(self, stage: Stage) -> None:
        stage.faults.corrupt_last_frame = self.corrupt
        stage.simulation.fail(self.reason)


class Slow(Checked):
    """Delay the replies of the control port by some seconds."""

    seconds: Time

    def do(self, stage: Stage) -> None:
        stage.faults.reply_delay = self.seconds


class Stall(Checked):
    """Stall the data port, or let it continue."""

    stalled: bool = True

    def do(self, stage: Stage) -> None:
        (stage.faults.stall.clear if self.stalled else stage.faults.stall.set)()


class Cut(Checked):
    """Cut connections: immediately, or data connections after a number of bytes of samples."""

    port: Literal["control", "data", "both"] = "both"
    after: Annotated[int, Meta(ge=0)] | None = None

    def do(self, stage: Stage) -> None:
        if self.after is not None:
            stage.faults.cut = self.after
        else:
            stage.faults.cut_connections(self.port != "data", self.port != "control")


class Restart(Checked):
    """Restart the PandA after a downtime in s, optionally with other versions or without some blocks."""

    down: Time = 0.0
    software: Line | None = None
    fpga: Line | None = None
    without: tuple[Name, ...] = ()

    def do(self, stage: Stage) -> None:
        spec = stage.simulation.panda.spec
        unknown = [name for name in self.without if name not in spec.blocks]
        if unknown:
            raise Refused(f"unknown block {unknown[0]}")
        changed = {"software": self.software or spec.software, "fpga": self.fpga or spec.fpga}
        stage.faults.restart(replace(spec.without(self.without), **changed), self.down)


class Step(Checked):
    """An action with its time in s, since the start of the scenario or since the request.

    Exactly one action is given.
    """

    at: Time = 0.0
    move: Move | None = None
    sine: Sine | None = None
    jump: Jump | None = None
    stop: Stop | None = None
    noise: Noise | None = None
    link: Link | None = None
    follow: Follow | None = None
    detector: Detector | None = None
    level: Level | None = None
    pulses: Pulses | None = None
    arm: Arm | None = None
    commands: Commands | None = None
    health: Health | None = None
    broken: Broken | None = None
    fail: Fail | None = None
    slow: Slow | None = None
    stall: Stall | None = None
    cut: Cut | None = None
    restart: Restart | None = None

    def __post_init__(self) -> None:
        if len(self._given()) != 1:
            names = ", ".join(self.actions())
            raise ValueError(f"a step needs exactly one action, not {len(self._given())}: one of {names}")

    @classmethod
    def actions(cls) -> list[str]:
        """Return the names of all actions."""
        return [name for name in cls.__struct_fields__ if name != "at"]

    @classmethod
    def action_class(cls, action: str) -> type[Checked]:
        """Return the class of an action."""
        kind: type[Checked] = get_args(get_type_hints(cls)[action])[0]
        return kind

    @classmethod
    def takes_text(cls, action: str, parameter: str) -> bool:
        """Return whether a parameter of an action is text, so that 4.10 is a version and not a number."""
        if action not in cls.actions():
            return False
        kind = schema(cls.action_class(action))["properties"].get(parameter, {})
        return any(one.get("type") == "string" for one in kind.get("anyOf", [kind]))

    def _given(self) -> list[str]:
        return [name for name in self.actions() if getattr(self, name) is not None]

    @property
    def action(self) -> Action:
        """The action."""
        action: Action = getattr(self, self._given()[0])
        return action

    @property
    def name(self) -> str:
        """Name of the action."""
        return self._given()[0]

    def ticks(self) -> int:
        """Return the time in ticks."""
        return round(self.at * TICKS)
