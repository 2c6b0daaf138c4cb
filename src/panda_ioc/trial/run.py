"""A trial: a design and a scenario in a simulated PandA, run as fast as possible without ports, clock or EPICS."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from msgspec.structs import replace

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

#: Events between two reads of the captured data.
_SLICE = 20_000

#: End reason in the file for an acquisition that is still in progress when the trial ends.
STOPPED = "Capture stopped"


@dataclass(frozen=True)
class Plan:
    """The input of a trial.

    Attributes:
        device: description of the PandA
        design: settings as lines, in the format of `panda-ioc save`
        scenario: events; its settings are applied after the design
        seconds: simulated time to run, in s
        arm: whether to arm PCAP at the start if no step of the scenario does
        skip_unknown: whether to skip settings that the device refuses, instead of raising an error
        watch: patterns of readbacks to record in addition to all bits, positions and outputs, as for
            `Simulation.record`
        max_changes: limit of recorded signal changes; the trial stops when it is exceeded

    Example:
        >>> from panda_ioc.simulator import PANDABOX, load
        >>> plan = Plan(load(PANDABOX), ["CLOCK1.PERIOD=0.001", "CLOCK1.ENABLE=ONE"], seconds=0.1, watch=["SEQ1.STATE"])
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
    """An acquisition of a trial.

    Attributes:
        start: its fields, and its start in real time
        samples: number of samples
        reason: reason why it ended; "" if it was still in progress at the end of the trial
        ticks: tick of each sample: shape (samples,), dtype int64
    """

    start: StartData
    samples: int = 0
    reason: str = ""
    ticks: Ticks = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True)
class Outcome:
    """The result of a trial.

    Attributes:
        simulation: the simulated PandA in its final state
        recording: traces of all signals, from before the design was applied
        probes: traces of internal values of blocks
        acquired: acquisitions that started, in order
        origin: tick of time 0, which is the first tick of the scenario
        end: last tick
        refused: settings that the device refused, with reasons
        warnings: warnings of the simulator, for example about steps that failed
        stopped: reason why the trial stopped early; "" if it did not
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
        """Return the time of a tick in s since the start of the scenario."""
        return (tick - self.origin) / TICKS

    @property
    def samples(self) -> int:
        """Number of samples of all acquisitions."""
        return sum(one.samples for one in self.acquired)


def run(plan: Plan, hdf: Path | None = None) -> Outcome:
    """Run a trial.

    Args:
        plan: what to run
        hdf: path of an HDF5 file for the captured samples; an existing file is replaced; None for no file

    Returns:
        the result; its `simulation` can be used further

    Raises:
        DeviceError: the device description is invalid
        Refused: no signal matches a pattern of `watch`
        TrialError: the device refuses some settings of the design
        ScenarioError: the device refuses a setting of the scenario
        CaptureError: the file cannot be written, or the captured fields changed between acquisitions

    Example:
        >>> from panda_ioc.simulator import load, load_scenario
        >>> outcome = run(Plan(load(), scenario=load_scenario(), seconds=6))
        >>> outcome.samples
        180
    """
    with _collected_warnings() as warnings:
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
                f"the device {plan.device.name} refuses {len(self.refused)} of the settings; use --skip-unknown to "
                f"skip them, or another device: {'; '.join(self.refused)}"
            )
        play(_with_arm(plan), Stage(self.simulation, Faults()))
        self.origin = self.simulation.engine.now + 1
        self._file = SampleFile(hdf, self._selected) if hdf is not None else None

    def run(self) -> str:
        """Let time pass; return the reason if the trial stops early."""
        engine = self.simulation.engine
        end = self.origin + round(self._plan.seconds * TICKS)
        over = False
        while not over:
            over = self.simulation.advance(end - engine.now, limit=_SLICE)
            self._take()
            if self.recording.changes > self._plan.max_changes:
                return (
                    f"stopped after {(engine.now - self.origin) / TICKS:g} s: more than {self._plan.max_changes} "
                    "signal changes; use a shorter time"
                )
        return ""

    def close(self) -> None:
        """Close the file, and record the ticks of the samples."""
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
                self._file.process(data)

    def _selected(self) -> frozenset[str]:
        """Return the columns selected for capture, as `panda-ioc capture` determines them."""
        chosen = (line.partition(" ") for line in self.simulation.panda.captured())
        return frozenset(f"{name}.{way}" for name, _, ways in chosen for way in ways.split())


def _with_arm(plan: Plan) -> Scenario:
    """Return the scenario, with a step that arms PCAP if one is needed."""
    steps = plan.scenario.steps
    commands = [line for step in steps if step.commands is not None for line in step.commands.lines]
    arms = any(step.arm is not None for step in steps) or "*PCAP.ARM=" in commands
    if arms or not plan.arm:
        return plan.scenario
    return replace(plan.scenario, steps=(Step(arm=Arm()), *steps))


class _Collector(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(record.getMessage())


@contextlib.contextmanager
def _collected_warnings() -> Iterator[list[str]]:
    """Collect the warnings that the simulator logs."""
    messages: list[str] = []
    log = logging.getLogger("panda_ioc.simulator")
    collector = _Collector(messages)
    log.addHandler(collector)
    try:
        yield messages
    finally:
        log.removeHandler(collector)
