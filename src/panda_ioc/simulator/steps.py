"""What can be done to a simulated PandA from outside: move its motors, drive its inputs, break things.

An action is its parameters and `do`; `Step` names them all. The same steps are read from scenario files, given in
Python, and sent by `panda-ioc drive`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, model_validator

from .detectors import Behaviour
from .engine import TICKS
from .faults import Faults
from .motorfiles import Columns
from .numbers import Refused
from .simulation import Simulation
from .spec import Line, Name

#: A command as on the control port: an assignment, or the lines of a table one by one.
Command = Annotated[str, StringConstraints(pattern=r"^[^\n\x00]*$", max_length=1000)]

#: Seconds.
Time = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]


@dataclass(frozen=True)
class Stage:
    """Where it is done.

    Attributes:
        simulation: the PandA
        faults: of its ports
    """

    simulation: Simulation
    faults: Faults


class Action(Protocol):
    """Something that can be done."""

    def do(self, stage: Stage) -> None:
        """Do it; Refused if it makes no sense."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Move(_Model):
    """A motor goes to a position in counts, at a speed in counts a second."""

    motor: Name
    to: FiniteFloat
    speed: FiniteFloat
    acceleration: float = float("inf")

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).move(self.to, self.speed, self.acceleration)


class Sine(_Model):
    """A motor swings around where it is, in so many seconds each time."""

    motor: Name
    amplitude: FiniteFloat
    period: FiniteFloat
    cycles: int | None = Field(default=None, ge=1)

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).sine(self.amplitude, self.period, self.cycles)


class Jump(_Model):
    """A motor is at a position, at once."""

    motor: Name
    to: FiniteFloat

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).jump(self.to)


class Stop(_Model):
    """A motor stays where it is."""

    motor: Name

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).stop()


class Noise(_Model):
    """A motor shakes by up to so many counts, anew every so many seconds, whatever else it does; 0 for no more."""

    motor: Name
    amplitude: int = Field(ge=0)
    every: FiniteFloat = 0.001

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).noise(self.amplitude, self.every)


class Link(_Model):
    """The plug of an encoder is pulled, or put in again."""

    motor: Name
    up: bool

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).link(up=self.up)


class Follow(_Model):
    """A motor goes as a file says: CSV or HDF5; in a scenario file, a relative path begins at its folder."""

    motor: Name
    file: Path
    position: str = "2"
    time: str | None = "1"
    time_units: Literal["s", "ms", "us", "ns"] = "s"
    period: float | None = Field(default=None, ge=1 / TICKS, le=1e7)
    scale: FiniteFloat = 1.0
    offset: FiniteFloat = 0.0

    @property
    def columns(self) -> Columns:
        """What of the file is meant."""
        return Columns(self.position, self.time if self.period is None else None, self.time_units, self.period)

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.motor(self.motor).follow(self.file, self.columns, self.scale, self.offset)


class Detector(_Model):
    """A detector at an output: after a trigger it is dead for some seconds, and its answer drives an input."""

    trigger: Name
    dead_time: Time
    answer: Name | None = None
    delay: Time = 0.0
    width: Time | None = None
    edge: Literal["Rising", "Falling"] = "Rising"

    def do(self, stage: Stage) -> None:
        behaviour = Behaviour.of(self.dead_time, self.delay, self.width, falling=self.edge == "Falling")
        stage.simulation.outside.detector(self.trigger, behaviour, self.answer)


class Level(_Model):
    """An input is low or high."""

    input: Name
    high: bool

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.input(self.input).level(self.high)


class Pulses(_Model):
    """An input is high for so many seconds, and again each period; for ever without cycles."""

    input: Name
    width: FiniteFloat
    period: FiniteFloat = 0.0
    cycles: int | None = Field(default=1, ge=1)

    def do(self, stage: Stage) -> None:
        stage.simulation.outside.input(self.input).pulses(self.width, self.period, self.cycles)


class Arm(_Model):
    """PCAP is armed; nothing happens if it is, or if nothing is to be captured."""

    def do(self, stage: Stage) -> None:
        capture = stage.simulation.capture
        if not capture.busy and stage.simulation.panda.captured():
            capture.arm()


class Commands(_Model):
    """Commands are given, as on the control port."""

    lines: tuple[Command, ...]

    def do(self, stage: Stage) -> None:
        stage.simulation.set_up(self.lines)


class Health(_Model):
    """A field that is only read shows something else, or what is true if nothing is said."""

    field: str
    shows: Line | None = None

    def do(self, stage: Stage) -> None:
        stage.simulation.force(self.field, self.shows)


class Broken(_Model):
    """A field cannot be read, or can again."""

    field: str
    broken: bool = True

    def do(self, stage: Stage) -> None:
        stage.simulation.break_field(self.field, broken=self.broken)


class Fail(_Model):
    """The acquisition under way ends badly."""

    reason: Literal["Driver data overrun", "DMA data error", "Data overrun", "Framing error", "Early disconnect"] = (
        "Driver data overrun"
    )
    corrupt: bool = False

    def do(self, stage: Stage) -> None:
        stage.faults.corrupt_last_frame = self.corrupt
        stage.simulation.fail(self.reason)


class Slow(_Model):
    """Replies of the control port come so many seconds late."""

    seconds: Time

    def do(self, stage: Stage) -> None:
        stage.faults.reply_delay = self.seconds


class Stall(_Model):
    """The data port sends nothing, or goes on."""

    stalled: bool = True

    def do(self, stage: Stage) -> None:
        (stage.faults.stall.clear if self.stalled else stage.faults.stall.set)()


class Cut(_Model):
    """Connections are cut: at once, or those for data after so many bytes of samples."""

    port: Literal["control", "data", "both"] = "both"
    after: int | None = Field(default=None, ge=0)

    def do(self, stage: Stage) -> None:
        if self.after is not None:
            stage.faults.cut = self.after
        else:
            stage.faults.cut_connections(self.port != "data", self.port != "control")


class Restart(_Model):
    """The PandA restarts after being away for some seconds, maybe as something else."""

    down: Time = 0.0
    software: Line | None = None
    fpga: Line | None = None
    without: tuple[Name, ...] = ()

    def do(self, stage: Stage) -> None:
        spec = stage.simulation.panda.spec
        unknown = [name for name in self.without if name not in spec.blocks]
        if unknown:
            raise Refused(f"there is no block {unknown[0]}")
        changed = {"software": self.software or spec.software, "fpga": self.fpga or spec.fpga}
        stage.faults.restart(spec.without(self.without).model_copy(update=changed), self.down)


class Step(_Model):
    """An action, and when: so many seconds after the scenario began, or after it was asked for."""

    not_actions: ClassVar = {"at"}

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

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self._given()) != 1:
            names = ", ".join(self.actions())
            raise ValueError(f"a step has one action of {names}; here are {len(self._given())}")
        return self

    @classmethod
    def actions(cls) -> list[str]:
        """The names of all actions."""
        return [name for name in cls.model_fields if name not in cls.not_actions]

    @classmethod
    def takes_text(cls, action: str, parameter: str) -> bool:
        """Whether a parameter of an action is text: 4.10 is no number then, but a version."""
        if action not in cls.actions():
            return False
        (model, _) = get_args(cls.model_fields[action].annotation)
        told = model.model_json_schema().get("properties", {}).get(parameter, {})
        return any(one.get("type") == "string" for one in told.get("anyOf", [told]))

    def _given(self) -> list[str]:
        return [name for name in self.actions() if getattr(self, name) is not None]

    @property
    def action(self) -> Action:
        """What is done."""
        action: Action = getattr(self, self._given()[0])
        return action

    @property
    def name(self) -> str:
        """What it is called."""
        return self._given()[0]

    def ticks(self) -> int:
        """When, in ticks."""
        return round(self.at * TICKS)
