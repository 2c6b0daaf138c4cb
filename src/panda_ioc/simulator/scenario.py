"""Scenarios: files that say how a simulated PandA is set up, and what happens to it when.

`scenarios/demo.yaml` is one, and the best description of the format; `steps` has all that can happen.
"""

import logging
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .. import yamlfile
from ..protocol import PandaError
from . import motorfiles
from .engine import TICKS
from .numbers import Refused
from .steps import Command, Stage, Step

DEMO = Path(__file__).parent / "scenarios" / "demo.yaml"


class ScenarioError(PandaError):
    """A scenario that this PandA cannot be set up for."""


_log = logging.getLogger(__name__)


class Scenario(BaseModel):
    """What happens to a simulated PandA.

    Attributes:
        settings: commands at the start
        steps: what happens, each at its time
        repeat: the steps begin again every so many seconds
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    settings: tuple[Command, ...] = ()
    steps: tuple[Step, ...] = ()
    repeat: float | None = Field(default=None, gt=0, le=1e7)

    @model_validator(mode="after")
    def _check(self) -> Self:
        last = max((step.at for step in self.steps), default=0.0)
        if self.repeat is not None and self.repeat <= last:
            raise ValueError(f"the steps cannot begin again after {self.repeat:g} s: one is at {last:g} s")
        return self


def load_scenario(path: Path = DEMO) -> Scenario:
    """Read a scenario file, and the files of motors that it names.

    Raises:
        yamlfile.YamlFileError: it cannot be read or makes no sense; the message has file and line
        ScenarioError: the file of a motor cannot be read, or makes no sense
    """
    scenario = yamlfile.load(path, Scenario)
    return scenario.model_copy(update={"steps": tuple(_with_file(step, path) for step in scenario.steps)})


def _with_file(step: Step, path: Path) -> Step:
    """The step with the file of a motor where it is seen from the scenario; it is read, so that errors show now."""
    if step.follow is None:
        return step
    follow = step.follow.model_copy(update={"file": path.parent / step.follow.file})
    try:
        motorfiles.read(follow.file, follow.columns)
    except Refused as refused:
        raise ScenarioError(f"{path}: step follow at {step.at:g} s: {refused}") from refused
    return step.model_copy(update={"follow": follow})


def play(scenario: Scenario, stage: Stage) -> None:
    """Set up a PandA, and let things happen as its time passes.

    Raises:
        ScenarioError: a setting was refused
    """
    try:
        stage.simulation.set_up(scenario.settings)
    except Refused as refused:
        raise ScenarioError(f"a setting of the scenario was refused: {refused}") from refused
    _begin(scenario, stage)


def play_what_fits(scenario: Scenario, stage: Stage) -> None:
    """The same for a PandA that may have become another one: settings that it refuses are told in the log."""
    for refusal in stage.simulation.refusals(scenario.settings):
        _log.warning("a setting of the scenario does not fit any more: %s", refusal)
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
    """Do a step, as `panda-ioc drive` sends it: in JSON.

    Raises:
        Refused: it makes no sense
    """
    try:
        step = Step.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(place) for place in first["loc"])
        raise Refused(f"{where}: {first['msg']}" if where else first["msg"]) from None
    if step.follow is not None:
        raise Refused("follow is a step of scenario files alone: nobody else names files that the simulator reads")
    if step.at:
        engine = stage.simulation.engine
        engine.call_at(engine.now + max(step.ticks(), 1), lambda: _try(step, stage))
    else:
        step.action.do(stage)
