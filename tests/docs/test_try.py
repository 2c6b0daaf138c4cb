"""Run scenarios, commands, Python and pictures of docs/how-to/try.md and docs/tutorials/examples.md."""

import asyncio
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from panda_ioc.cli import main
from panda_ioc.simulator import Server, load_scenario

from .pages import ROOT, commands, examples

PICTURES: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "pictures.py"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write: Callable[[str, Path], None] = PICTURES["write_scenarios"]
    write("tutorials/examples.md", tmp_path)
    write("how-to/try.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def carry_out(words: list[str]) -> str:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, (words, result.output)
    return result.output


def run_python(page: str) -> list[str]:
    """Run the Python examples of a page; return their outputs."""
    return [
        subprocess.run(
            [sys.executable, "-c", example.text], capture_output=True, text=True, check=True, timeout=60
        ).stdout
        for example in examples(page, "python")
    ]


def test_the_examples_do_what_they_say_and_their_pictures_are_there(folder: Path) -> None:
    into = folder / "pictures"
    into.mkdir()
    make: Callable[[Path, Path], None] = PICTURES["make"]
    make(folder, into)  # runs the commands, with what they expect
    made = {path.name for path in into.iterdir()}
    assert len(made) > 10
    assert made <= {path.name for path in (ROOT / "docs" / "pictures").iterdir()}
    (said,) = run_python("examples.md")
    # 20 counts from a sample to the next, 8 of them while the gate is high.
    told = [list(map(float, re.findall(r"[\d.]+", line))) for line in said.splitlines()]
    assert told[:2] == [[40, 60, 80, 100], [8, 8, 8, 8]]


async def test_the_way_from_a_panda_to_a_proven_scan(panda: Server, folder: Path) -> None:
    panda.simulation.set_up(load_scenario(folder / "compare.yaml").settings)
    ports = ["--control-port", str(panda.control_port), "--data-port", str(panda.data_port)]
    said = {}
    for command in commands("try.md"):
        words = shlex.split(command)[1:]
        if "HOST" in words:
            words[words.index("HOST")] = "127.0.0.1" if words[0] != "diff" else f"127.0.0.1:{panda.control_port}"
            words += [] if words[0] == "diff" else ports
        said[command] = await asyncio.to_thread(carry_out, words)
    assert {"scan.design", "my-panda.yaml", "scan.svg", "scan.png", "zoom.png", "scan.h5", "scan.vcd", "scan.json"} <= {
        path.name for path in folder.iterdir()
    }
    (reported,) = (example.text for example in examples("try.md", "") if example.text.startswith("Simulated"))
    tried = next(text for command, text in said.items() if "scan.png" in command)
    assert tried.startswith(reported.rstrip())


def test_the_python_of_the_how_to_runs(folder: Path) -> None:
    *_, said = run_python("try.md")
    assert "Acquisition 1: 180 samples" in said
    assert "PCOMP1.OUT" in said
