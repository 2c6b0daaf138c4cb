"""Check docs/how-to/simulator.md against the code."""

import re
from pathlib import Path

import pytest

from panda_ioc.simulator import Simulation, load_scenario
from panda_ioc.simulator.blocks import Block, drive
from panda_ioc.simulator.steps import Step

DOCS = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "simulator.md"


@pytest.fixture(scope="module")
def text() -> str:
    return DOCS.read_text(encoding="utf-8")


def test_every_action_and_parameter_is_there(text: str) -> None:
    rows = {}
    for row in re.findall(r"^\| (`.*?) \| (.*?) \|", text, re.MULTILINE):
        for action in re.findall(r"`(\w+)`", row[0]):
            rows[action] = set(re.findall(r"`(\w+)`", row[1]))
    assert set(rows) == set(Step.actions())
    for action, parameters in rows.items():
        assert set(Step.action_class(action).__struct_fields__) <= parameters, action


def test_the_python_of_the_documentation_runs(text: str) -> None:
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    whole, _, single = examples[:3]
    names: dict[str, object] = {}
    exec(whole, names)  # noqa: S102 - our own documentation
    panda = names["panda"]
    assert isinstance(panda, Simulation)
    assert panda.say("COUNTER1.OUT?") == ["OK =1000"]
    exec(single, names)  # noqa: S102 - our own documentation
    call = re.search(r"^drive\(.*\)$", single, re.MULTILINE)
    said = re.search(r"^# (\{.*\})$", single, re.MULTILINE)
    assert call
    assert said
    assert eval(call[0], names) == eval(said[1])  # noqa: S307 - our own documentation


def test_the_block_of_the_documentation_works(text: str) -> None:
    source = re.search(r"   ```python\n(.*?)   ```", text, re.DOTALL)
    assert source
    lines = [line.removeprefix("   ") for line in source[1].splitlines()]
    code = "\n".join(lines).replace("from .base", "from panda_ioc.simulator.blocks.base")
    names: dict[str, type[Block]] = {}
    exec(code, names)  # noqa: S102 - our own documentation
    rows = {1: {"INP": 7}, 3: {"ENABLE": 1}, 5: {"INP": -(2**31)}}
    assert drive(names["Double"](), rows) == {3: {"OUT": 14}, 5: {"OUT": 0}}


def test_the_scenario_of_the_documentation_is_one(text: str, tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    source = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert source
    path.write_text(source[1])
    assert len(load_scenario(path).steps) == 2
