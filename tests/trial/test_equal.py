"""A trial gives the same results as a simulator with ports: sample by sample, and tick by tick."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import Disarm, SetState
from panda_ioc.simulator import Scenario, Server, load
from panda_ioc.simulator.engine import TICKS
from panda_ioc.simulator.recording import Recording
from panda_ioc.simulator.scenario import play
from panda_ioc.simulator.steps import Arm, Stage, Step
from panda_ioc.trial.run import Outcome, Plan, run

from ..command import running
from ..conftest import until
from .designs import beamline, demo, snake

#: How much the time of the simulator with ports goes on at once: others than those of a trial.
SLICES = (1, 999_983, 7, 12_345_678)

Design = tuple[list[str], Scenario, float]


async def with_ports(design: Design, folder: Path, acquisitions: int) -> tuple[Recording, Path]:
    """Load a design through the control port, run its scenario, capture with `panda-ioc capture`."""
    lines, scenario, seconds = design
    file = folder / "captured.h5"
    pipe: Any = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
    async with Server(load(), control_port=0, data_port=0, speed=0) as server:
        simulation = server.simulation
        recording = simulation.record()
        ports = ("--control-port", str(server.control_port), "--data-port", str(server.data_port))
        async with AsyncioClient("127.0.0.1", server.control_port, server.data_port) as client:
            await client.send(SetState(lines))
            play(scenario, Stage(simulation, server.faults))
            command = ("capture", "127.0.0.1", file, *ports, "--acquisitions", str(acquisitions))
            async with running(*command, **pipe) as capture:
                await until(lambda: server.capture.readers == 1, 20)
                end = simulation.engine.now + 1 + round(seconds * TICKS)
                for slice_ in range(10**6):
                    ticks = min(SLICES[slice_ % len(SLICES)], end - simulation.engine.now)
                    if not ticks:
                        break
                    simulation.advance(ticks)
                    await asyncio.sleep(0)
                recording.stop()
                await client.send(Disarm())
                said, _ = await asyncio.wait_for(capture.communicate(), 20)
                assert capture.returncode == 0, said
    return recording, file


def tried(design: Design, file: Path) -> Outcome:
    lines, scenario, seconds = design
    return run(Plan(load(), lines, scenario, seconds, arm=False), file)


def armed(design: Design) -> Design:
    """Return the scenario with a step that arms PCAP at the start."""
    lines, scenario, seconds = design
    return lines, Scenario(steps=(Step(arm=Arm()), *scenario.steps)), seconds


@pytest.mark.parametrize(
    ("make", "acquisitions", "samples", "signals"),
    [(demo, 2, 208, 8), (lambda: armed(snake(4, 50)), 1, 200, 6), (beamline, 1, 10, 30)],
    ids=["demo", "snake", "beamline"],
)
async def test_a_trial_equals_the_simulator_with_ports(
    make: Callable[[], Design], acquisitions: int, samples: int, signals: int, tmp_path: Path
) -> None:
    recording, captured = await with_ports(make(), tmp_path, acquisitions)
    outcome = tried(make(), tmp_path / "tried.h5")
    assert outcome.samples >= samples
    assert list(outcome.recording) == list(recording)
    assert sum(len(trace) > 1 for trace in recording.values()) >= signals
    for name, trace in outcome.recording.items():
        assert np.array_equal(trace.ticks, recording[name].ticks), name
        assert np.array_equal(trace.values, recording[name].values), name
        assert trace.moving == recording[name].moving, name
    assert content(tmp_path / "tried.h5") == content(captured)


def content(path: Path) -> dict[str, Any]:
    """Return the content of a file, except for real times and the end reason of the last acquisition."""
    told: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        attributes = {key: np.asarray(value).tolist() for key, value in item.attrs.items()}
        told[name] = (attributes, None if isinstance(item, h5py.Group) else (item.dtype.str, item[()].tobytes()))

    with h5py.File(path) as file:
        file.visititems(visit)
        told["/"] = sorted(set(file.attrs))
    for name in ("arm_time", "start_time", "end_reason"):
        attributes, (dtype, values) = told[f"acquisitions/{name}"]
        told[f"acquisitions/{name}"] = (attributes, (dtype, len(values)))
    return told
