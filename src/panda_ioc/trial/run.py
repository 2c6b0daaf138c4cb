"""A trial: a design in a simulated PandA, with a scenario, as fast as it can, without ports, clocks and EPICS."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..protocol import EndData, FrameData, StartData
from ..simulator.engine import TICKS
from ..simulator.faults import Faults
from ..simulator.recording import MAX_CHANGES, Recording, Ticks
from ..simulator.scenario import Scenario, play
from ..simulator.simulation import Simulation
from ..simulator.spec import DeviceSpec
from ..simulator.steps import Arm, Stage, Step
from .errors import TrialError
from .probes import Probes
from .samples import DataTap, SampleFile

#: Events between two looks at what was captured.
_SLICE = 20_000

#: What a file says of an acquisition that is under way at the end.
STOPPED = "Capture stopped"


@dataclass(frozen=True)
class Plan:
    """What is tried.

    Attributes:
        device: the PandA
        design: its settings, as `panda-ioc save` writes them
        scenario: what happens to it; its settings come after those of the design
        seconds: for how long
        arm: arm PCAP at the start, unless the scenario arms it
        skip_unknown: leave out settings that the device refuses
        watch: patterns of readbacks to record besides all bits, positions and outputs, as for `Simulation.record`
        max_changes: changes of signals after which it stops
    """

    device: DeviceSpec
    design: Sequence[str] = ()
    scenario: Scenario = field(default_factory=Scenario)
    seconds: float = 1.0
    arm: bool = True
    skip_unknown: bool = False
    watch: Sequence[str] = ()
    max_changes: int = MAX_CHANGES


@dataclass
class Acquired:
    """An acquisition.

    Attributes:
        start: its columns, and when it began by the clock on the wall
        samples: how many there are
        reason: why it ended; "" if it did not
        ticks: when each sample was captured: (samples,) int64
    """

    start: StartData
    samples: int = 0
    reason: str = ""
    ticks: Ticks = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        simulation: the PandA as it is at the end
        recording: all signals, from before the design was set
        probes: what happened within blocks
        acquired: the acquisitions that began
        origin: the tick that is time 0: the first one of the scenario
        end: the last tick
        refused: settings that the device refused, and why
        warnings: what the simulator said, such as steps that could not be done
        stopped: why it ended before its time; "" if it did not
    """

    simulation: Simulation
    recording: Recording
    probes: Probes
    acquired: Sequence[Acquired]
    origin: int
    end: int
    refused: Sequence[str]
    warnings: Sequence[str]
    stopped: str

    def seconds(self, tick: int) -> float:
        """The time of a tick, in seconds from the start of the scenario."""
        return (tick - self.origin) / TICKS

    @property
    def samples(self) -> int:
        """How many samples were captured in all."""
        return sum(one.samples for one in self.acquired)


def run(plan: Plan, hdf: Path | None = None) -> Outcome:
    """Try a design.

    Args:
        plan: what and how
        hdf: where the captured samples go, as HDF5; a file that exists is replaced

    Raises:
        Refused: a pattern of `watch` names no signal
        TrialError: the device refuses some of the design
        ScenarioError: it refuses a setting of the scenario
        CaptureError: the file cannot be written, or what is captured changed between acquisitions
    """
    with _told() as warnings:
        trial = _Trial(plan, hdf)
        try:
            stopped = trial.run()
        except BaseException:
            trial.close()
            raise
        trial.close()
    return Outcome(
        trial.simulation,
        trial.recording,
        trial.probes,
        trial.acquired,
        trial.origin,
        trial.simulation.engine.now,
        trial.refused,
        warnings,
        stopped,
    )


class _Trial:
    def __init__(self, plan: Plan, hdf: Path | None) -> None:
        self._plan = plan
        self.simulation = Simulation(plan.device)
        self.recording = self.simulation.record("*", *plan.watch)
        self.probes = Probes(self.simulation)
        self.acquired: list[Acquired] = []
        self._tap = DataTap(self.simulation.capture)
        self.refused = self.simulation.refusals(plan.design)
        if self.refused and not plan.skip_unknown:
            raise TrialError(
                f"the device {plan.device.name} refuses {len(self.refused)} of the settings; leave them out with "
                f"--skip-unknown, or name another device: {'; '.join(self.refused)}"
            )
        play(_with_arm(plan), Stage(self.simulation, Faults()))
        self.origin = self.simulation.engine.now + 1
        self._file = SampleFile(hdf, self._asked) if hdf is not None else None

    def run(self) -> str:
        """Let time pass; return why it ended before its time."""
        engine = self.simulation.engine
        end = self.origin + round(self._plan.seconds * TICKS)
        over = False
        while not over:
            over = self.simulation.advance(end - engine.now, limit=_SLICE)
            self._take()
            if self.recording.changes > self._plan.max_changes:
                return (
                    f"stopped after {(engine.now - self.origin) / TICKS:g} s: the signals changed more than "
                    f"{self._plan.max_changes} times; try a shorter time"
                )
        return ""

    def close(self) -> None:
        """Close the file, and note when the samples were captured."""
        for number, acquired in enumerate(self.acquired):
            acquired.ticks = self.probes.captures(number, acquired.samples)
        if self._file is not None:
            file, self._file = self._file, None
            file.close(STOPPED)

    def _take(self) -> None:
        for data in self._tap.take():
            match data:
                case StartData():
                    self.acquired.append(Acquired(data))
                case FrameData():
                    self.acquired[-1].samples += len(data.data)
                case EndData():
                    self.acquired[-1].reason = data.reason
            if self._file is not None:
                self._file.take(data)

    def _asked(self) -> frozenset[str]:
        """The columns that are chosen for capture, as `panda-ioc capture` asks for them."""
        chosen = (line.partition(" ") for line in self.simulation.panda.captured())
        return frozenset(f"{name}.{way}" for name, _, ways in chosen for way in ways.split())


def _with_arm(plan: Plan) -> Scenario:
    """The scenario, with a step that arms PCAP if it has none and one is wanted."""
    steps = plan.scenario.steps
    commands = [line for step in steps if step.commands is not None for line in step.commands.lines]
    arms = any(step.arm is not None for step in steps) or "*PCAP.ARM=" in commands
    if arms or not plan.arm:
        return plan.scenario
    return plan.scenario.model_copy(update={"steps": (Step(arm=Arm()), *steps)})


class _Collector(logging.Handler):
    def __init__(self, told: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        self._told.append(record.getMessage())


@contextlib.contextmanager
def _told() -> Iterator[list[str]]:
    """Collect what the simulator says in its log."""
    told: list[str] = []
    log = logging.getLogger("panda_ioc.simulator")
    collector = _Collector(told)
    log.addHandler(collector)
    try:
        yield told
    finally:
        log.removeHandler(collector)
