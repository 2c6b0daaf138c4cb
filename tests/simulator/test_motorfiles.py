"""Motors that follow a file."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from panda_ioc.simulator import Simulation, load, load_scenario
from panda_ioc.simulator.engine import TICKS
from panda_ioc.simulator.faults import Faults
from panda_ioc.simulator.motorfiles import Columns, read
from panda_ioc.simulator.numbers import Refused
from panda_ioc.simulator.scenario import ScenarioError, drive, play
from panda_ioc.simulator.steps import Stage

TIMES = np.array([0, 0.25, 1, 1.5, 4.5, 5])
X = np.array([0, 1.5, 1.5, -2, 3.25, 3])


def csv(path: Path, *, header: str = "time,other,x", mark: str = ",") -> None:
    rows = (mark.join(map(repr, row)) for row in zip(TIMES.tolist(), range(6), X.tolist(), strict=True))
    path.write_text("\n".join([*([header] if header else []), *rows, ""]))


@pytest.mark.parametrize(
    ("make", "columns"),
    [
        (csv, Columns("x", "time", "ms")),
        (lambda path: csv(path, header="# time other x", mark=" "), Columns("x", "time", "ms")),
        (lambda path: csv(path, header="", mark="\t"), Columns("3", "1", "ms")),
        (lambda path: csv(path, header='"time";"other";"x"', mark=";"), Columns("x", "1", "ms")),
    ],
)
def test_csv_of_several_kinds(make, columns: Columns, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "x.csv")
    ticks, positions = read(tmp_path / "x.csv", columns)
    assert ticks.tolist() == np.rint(TIMES * 125_000).tolist()
    assert positions.tolist() == X.tolist()


def test_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["entry/x"], file["entry/time"], file["image"] = X, TIMES, np.zeros((2, 2))
    assert read(tmp_path / "x.h5", Columns("entry/x", "entry/time"))[1].tolist() == X.tolist()
    ticks, _ = read(tmp_path / "x.h5", Columns("entry/x", None, period=1e-3))
    assert ticks.tolist() == [125_000 * row for row in range(6)]
    (tmp_path / "y.h5").write_text("no HDF5")
    with pytest.raises(Refused, match="y.h5: cannot be read as HDF5"):
        read(tmp_path / "y.h5", Columns("x", "t"))
    for name in ("image", "entry", "nothing"):
        with pytest.raises(Refused, match=f"{name} is not a one-dimensional dataset"):
            read(tmp_path / "x.h5", Columns(name, None, period=1e-3))


def test_a_motor_goes_in_straight_lines_through_all_positions(tmp_path: Path) -> None:
    csv(tmp_path / "x.csv")
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        "steps:\n- at: 0.001\n"
        "  follow: {motor: INENC2, file: x.csv, position: x, time_units: ms, scale: 1000, offset: 7}\n"
    )
    sim = Simulation(load())
    recorded = sim.record("INENC2.VAL")["INENC2.VAL"]
    play(load_scenario(scenario), Stage(sim, Faults()))
    origin = sim.engine.now + 1
    sim.advance(TICKS // 100)
    # The motor starts one tick after the step, and the encoder sees it another tick later.
    begin = origin + TICKS // 1000 + 1 + 1
    at = begin + np.rint(TIMES * 125_000).astype(int)
    assert recorded.at(at).tolist() == (1000 * X + 7).tolist()
    wanted = np.interp(np.arange(at[0], at[-1]), at, 1000 * X + 7)
    assert np.abs(recorded.at(np.arange(at[0], at[-1])) - wanted).max() <= 1
    assert sim.say("INENC2.VAL?") == ["OK =3007"]


@pytest.mark.parametrize(
    ("text", "position", "told"),
    [
        ("t,x\n0,1\n1,2\n", "y", "no column 'y': use one of t, x"),
        ("0,1\n1,2\n", "3", "no column '3': use one of 1 to 2"),
        ("t,x\n0,1\n", "x", ": 1 rows"),
        ("t,x\n0,1\n0,2\n", "x", "row 2 must be at least 8 ns later"),
        ("t,x\n0,1\n1,a\n", "x", "not a table of numbers"),
        ("t,x\n0,1\n1,nan\n", "x", "x must have 2 finite numbers"),
        ("t,x\n0,1\n1\n", "x", "not a table of numbers"),
        ("t,x\n0,1\n1e9,1\n", "x", "lasts 1e\\+09 s, .* check time_units"),
        ("", "x", "no column"),
        ("t,x\n0,1\n1,1e12\n", "x", "exceed 32 bits: change the scale"),
    ],
)
def test_invalid_files(text: str, position: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(Refused, match=told):
        Simulation(load()).outside.motor("INENC1").follow(path, Columns(position, "1"))


def test_a_scenario_with_a_missing_file_is_refused_on_load(tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("steps: [{at: 2, follow: {motor: INENC2, file: x.csv}}]")
    with pytest.raises(ScenarioError, match=r"step follow at 2 s: .*x\.csv: No such file"):
        load_scenario(scenario)
    with pytest.raises(Refused, match="not a regular file"):
        read(tmp_path, Columns("1", None, period=1.0))


def test_a_client_cannot_make_the_simulator_read_files(tmp_path: Path) -> None:
    csv(tmp_path / "x.csv")
    with pytest.raises(Refused, match="follow is allowed in scenario files only"):
        drive(
            json.dumps({"follow": {"motor": "INENC1", "file": str(tmp_path / "x.csv")}}),
            Stage(Simulation(load()), Faults()),
        )
