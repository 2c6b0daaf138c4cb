"""Scenarios: files with the initial settings of a simulated PandA, and the events of a run.

`scenarios/demo.yaml` documents the format by example; `steps` defines all actions.
"""

import json
import logging
from pathlib import Path
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from .. import yamlfile
from ..protocol import PandaError
from ..validation import Checked, InvalidError, Problem, validated
from . import motorfiles
from .engine import TICKS
from .numbers import Refused
from .steps import Command, Stage, Step

#: Path of the demo scenario, which is used by default.
DEMO = Path(__file__).parent / "scenarios" / "demo.yaml"


class ScenarioError(PandaError):
    """A scenario that this PandA does not accept, or that needs a file that cannot be read."""


_log = logging.getLogger(__name__)


class Scenario(Checked):
    """The settings and events of a simulated PandA; immutable.

    Attributes:
        settings: commands to send at the start, as lines
        steps: actions, each with its time in s since the start
        repeat: period in s after which the steps start again; None for once

    Example:
        >>> scenario = Scenario(
        ...     settings=["PULSE1.WIDTH=0.1"],
        ...     steps=[{"at": 1.0, "move": {"motor": "INENC1", "to": 5000, "speed": 1000}}],
        ...     repeat=10.0,
        ... )
    """

    settings: tuple[Command, ...] = ()
    steps: tuple[Step, ...] = ()
    repeat: Annotated[float, Meta(gt=0, le=1e7)] | None = None

    def __post_init__(self) -> None:
        last = max((step.at for step in self.steps), default=0.0)
        if self.repeat is not None and self.repeat <= last:
            what = f"{self.repeat:g} s is too short: the last step is at {last:g} s"
            raise InvalidError(Problem(("repeat",), what))


def load_scenario(path: Path = DEMO) -> Scenario:
    """Read a scenario file and the motor files that it names.

    Args:
        path: path of the YAML file; paths of motor files in it are relative to its directory

    Returns:
        the validated scenario, with resolved paths

    Raises:
        yamlfile.YamlFileError: the file cannot be read or is invalid; the message names file and line
        ScenarioError: a motor file cannot be read or is invalid

    Example:
        >>> load_scenario().repeat
        10.0
    """
    scenario = yamlfile.load(path, Scenario, strict=False)
    return replace(scenario, steps=tuple(_with_file(step, path) for step in scenario.steps))


def _with_file(step: Step, path: Path) -> Step:
    """Resolve the path of a motor file, and read the file so that errors are reported early."""
    if step.follow is None:
        return step
    follow = replace(step.follow, file=path.parent / step.follow.file)
    try:
        motorfiles.read(follow.file, follow.columns)
    except Refused as refused:
        raise ScenarioError(f"{path}: step follow at {step.at:g} s: {refused}") from refused
    return replace(step, follow=follow)


def play(scenario: Scenario, stage: Stage) -> None:
    """Apply the settings to a PandA, and schedule the steps in simulated time.

    Raises:
        ScenarioError: the PandA refused a setting
    """
    try:
        stage.simulation.set_up(scenario.settings)
    except Refused as refused:
        raise ScenarioError(f"the simulated PandA refused a setting of the scenario: {refused}") from refused
    _begin(scenario, stage)


def play_what_fits(scenario: Scenario, stage: Stage) -> None:
    """Do the same for a PandA whose description may have changed; settings that it refuses are logged and skipped."""
    for refusal in stage.simulation.refusals(scenario.settings):
        _log.warning("skipping a scenario setting that the restarted PandA refused: %s", refusal)
    _begin(scenario, stage)


def _begin(scenario: Scenario, stage: Stage) -> None:
    engine = stage.simulation.engine
    start = engine.now + 1
    for step in scenario.steps:
        engine.call_at(start + step.ticks(), lambda step=step: _try(step, stage))  # type: ignore[misc]
    if scenario.repeat is not None:
        engine.call_at(start + round(scenario.repeat * TICKS), lambda: _begin(scenario, stage))


def _try(step: Step, stage: Stage) -> None:
    try:
        step.action.do(stage)
    except Refused as refused:
        _log.warning("step %s at %g s: %s", step.name, step.at, refused)


def drive(text: str, stage: Stage) -> None:
    """Execute a step sent by `panda-ioc drive`.

    Args:
        text: the step in JSON
        stage: the simulation

    Raises:
        Refused: the step is invalid or cannot be executed
    """
    try:
        step = validated(json.loads(text), Step, strict=False)
    except InvalidError as error:
        raise Refused(str(error.problems[0])) from None
    except (ValueError, RecursionError) as error:
        raise Refused(f"invalid JSON: {error}") from None
    if step.follow is not None:
        raise Refused("step follow is allowed in scenario files only: clients must not name files to read")
    if step.at:
        engine = stage.simulation.engine
        engine.call_at(engine.now + max(step.ticks(), 1), lambda: _try(step, stage))
    else:
        step.action.do(stage)
