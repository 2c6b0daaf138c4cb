"""`python -m tests.texts` lists all texts that users read."""

import subprocess
import sys
from pathlib import Path

import pytest

from panda_ioc.cli import main
from panda_ioc.ioc.plan.plan import make_plan

from .ioc.test_plan import pandabox

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("texts") / "texts.txt"
    subprocess.run([sys.executable, "-m", "tests.texts", str(file)], cwd=ROOT, check=True, timeout=60)
    return file.read_text(encoding="utf-8")


def section(report: str, title: str) -> str:
    """Return the lines of a section."""
    rule = "=" * len(title)
    return report.split(f"{rule}\n{title}\n{rule}\n", maxsplit=1)[1].split("\n===", maxsplit=1)[0]


def test_every_command_and_option(report: str) -> None:
    listed = section(report, "COMMANDS")
    for name, command in main.commands.items():
        assert f"Usage: panda-ioc {name} " in listed
        for parameter in command.params:
            if not getattr(parameter, "hidden", False):
                assert (parameter.opts[0] if parameter.param_type_name == "option" else "") in listed


def test_every_description(report: str) -> None:
    listed = section(report, "DESCRIPTIONS OF PVS")
    plan = make_plan(pandabox(), "PANDA", designs=True)
    assert [item.name for item in plan.items if f": {item.description}" not in listed] == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("ioc/plan/codecs.py", "Refusal: {value} is not a whole number"),
        ("cli/console.py", "ClickException: {line!r} was not sent"),
        ("cli/setup.py", "output: loaded all settings in {file} into {host}"),
        ("ioc/log.py", "log: {text} (repeated {self._times} times)"),
        ("ioc/process/run.py", "log: read-only: every put is refused"),
        ("ioc/servers/pva/pv.py", "text: no value yet"),
    ],
)
def test_messages(report: str, file: str, text: str) -> None:
    """One of each kind: an error, an error of a command, output, lines of the log, the message of an alarm."""
    assert text in section(report, "MESSAGES").partition(f"--- {file}\n")[2].partition("\n---")[0]


def test_docstrings_and_patterns_are_left_out(report: str) -> None:
    messages = section(report, "MESSAGES")
    assert "Return the severity" not in messages
    assert "numbered as in EPICS" not in messages
    assert "(?P<" not in messages
