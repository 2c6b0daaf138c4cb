"""Run every command, Python and YAML example of every page; NOT_RUN gives the reasons for exceptions."""

import asyncio
import importlib.util
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from panda_ioc.ioc.plan import rules
from panda_ioc.ioc.process.config import Config
from panda_ioc.protocol import FieldInfo
from panda_ioc.simulator import Server, load
from panda_ioc.validation import validated

from ..acquire import capture_counter, samples_on_arm
from ..capture.test_reading import write as write_raw_file
from ..ioc.process import Ioc, running_ioc
from .howto import HOWTOS
from .pages import PAGES, ROOT, commands, examples, page

TOOLS = ROOT / "tests" / "ioc" / "epicstools"
SIMULATOR = ROOT / "src" / "panda_ioc" / "simulator"

#: Pages whose commands other tests run.
ELSEWHERE = {"clients.md", "tutorial.md", "try.md", "examples.md", *(Path(page).name for page in HOWTOS)}

#: Commands that no test here runs, and the reason.
NOT_RUN = {
    "python -m panda_ioc.compat.pandablocks script.py ARGUMENTS": "tests/compat runs it",
    "python -m tests.simulator.differential HOST:8888 --commands 100000": "test_differential.py runs it",
    "./dev demo": "downloads dependencies; test_demo.py runs the same demo",
    "./dev test": "runs this test",
    "./dev test -m long": "CI runs it",
    "./dev test -m slow": "runs on request",
    "./dev lint": "CI runs it",
    "./dev docs": "test_reference.py builds them",
    "./dev lock": "changes the locks",
    "camonitor PANDA:BITS:OUTA": "runs indefinitely, and the EPICS tools may not be installed",
    "pip install .": "changes the environment; test_wheel.py installs the wheel into a separate one",
    "docker build -t panda-ioc:0.1.0 .": "there may be no container engine",
}

#: Replacements for placeholders in examples.
WORDS = {
    "ACTION": "level",
    "...": "input=TTLIN1 high=true",
    "PREFIX": "TEST-DOCS",
    "DIR": "{folder}/screens",
    "/epics/opi": "{folder}/screens",
    "/data/scan": "{folder}",
    "/tmp": "{folder}",  # noqa: S108
    "/tmp/demo.h5": "{folder}/demo.h5",  # noqa: S108
    "/tmp/demo.png": "{folder}/demo.png",  # noqa: S108
    "picture.png": "{folder}/picture.png",
    "ioc.yaml": "{folder}/ioc.yaml",
    "before.txt": "{folder}/before.txt",
    "HOST": "127.0.0.1 --control-port {control} --data-port {data}",
    "PANDA-HOST": "127.0.0.1 --control-port {control} --data-port {data}",
    "localhost": "127.0.0.1 --control-port {control} --data-port {data}",
}

#: Output by which a command that runs until it is stopped reports that it runs.
UNTIL_STOPPED = {
    "run": "serving ",
    "softioc": "serving ",
    "simulator": "control port",
    "demo": "serving ",
    "monitor": "PANDA:",
}

#: After this command, the test arms PCAP, as the demo does every ten seconds.
CAPTURING = "panda-ioc put PANDA:DATA:CAPTURE 1"
ARM = ["panda-ioc", "put", "PANDA:PCAP:ARM", "1"]


@pytest.fixture(scope="module")
async def panda() -> AsyncIterator[Server]:
    async with Server(load(), control_port=0, data_port=0) as server:
        capture_counter(server)
        samples_on_arm(server, 100_000)
        yield server


@pytest.fixture(scope="module")
async def ioc(panda: Server, ca_ports: Iterator[int]) -> AsyncIterator[Ioc]:
    data = ("--data-port", str(panda.data_port))
    async with running_ioc(panda.control_port, "PANDA", ca_ports, *data) as ioc:
        yield ioc


def concrete(command: str, panda: Server, folder: Path) -> list[str]:
    """Return a command of a page with replaced placeholders."""
    words = shlex.split(command)
    files = {"--scenario": SIMULATOR / "scenarios" / "demo.yaml", "--device": SIMULATOR / "devices" / "pandabox.yaml"}
    if words[:3] == ["panda-ioc", "plot", "FILE"]:
        words[2] = str(folder / "capture.file")
    for number, word in enumerate(words):
        if word == "FILE":
            words[number] = str(files.get(words[number - 1], folder / f"{words[1]}.file"))
    if words[:2] == ["panda-ioc", "simulator"] and "--from" not in words:
        words += ["--control-port", "0", "--data-port", "0"]  # other tests may use the usual ones
    if words[0].startswith(".venv/bin/"):
        words[0] = words[0].removeprefix(".venv/bin/")
    filled = []
    for word in words:
        meaning = WORDS.get(word)
        values = {"folder": folder, "control": panda.control_port, "data": panda.data_port}
        filled += [word] if meaning is None else meaning.format(**values).split()
    if "--from" in filled:  # its ports are the options of the command
        filled = [*filled[:2], *filled[filled.index("--from") :]]
    return filled


async def carry_out(words: list[str], ioc: Ioc, folder: Path) -> str:
    """Run a command to its end, or until it reports that it runs; return its output."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(TOOLS)])
    variables = {**os.environ, **ioc.environment, "PATH": path}
    if words[1] in {"run", "softioc", "demo"}:  # another IOC than that of PANDA
        variables |= {"EPICS_CA_SERVER_PORT": "0", "EPICS_PVA_SERVER_PORT": "0", "EPICS_PVA_BROADCAST_PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        *words,
        env=variables,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout
    said = ""
    try:
        async with asyncio.timeout(60):
            if words[1] in UNTIL_STOPPED and "--from" not in words:
                while UNTIL_STOPPED[words[1]] not in said:
                    line = (await process.stdout.readline()).decode()
                    assert line, said
                    said += line
                process.send_signal(signal.SIGINT)
            said += (await process.stdout.read()).decode()
            assert await process.wait() == 0, said
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "Traceback" not in said
    return said


def to_run(name: str) -> list[str]:
    return [command for command in commands(name) if command not in NOT_RUN]


def marked(name: str) -> object:
    """The name of a page as a parameter: of some pages the commands take long."""
    return pytest.param(name, marks=pytest.mark.long) if name in {"README.md", "simulator.md"} else name


@pytest.mark.parametrize(
    "name", [marked(path.name) for path in PAGES if path.name not in ELSEWHERE and to_run(path.name)]
)
async def test_the_commands_of_a_page(name: str, panda: Server, ioc: Ioc, tmp_path: Path) -> None:
    where = {"host": "127.0.0.1", "control_port": panda.control_port, "data_port": panda.data_port}
    (tmp_path / "ioc.yaml").write_text(yaml.safe_dump({"prefix": "TEST-FILE", "panda": where}))
    for command in to_run(name):
        said = await carry_out(concrete(command, panda, tmp_path), ioc, tmp_path)
        if command.endswith(CAPTURING):
            await carry_out(ARM, ioc, tmp_path)
        if " check " in command:
            (told,) = re.findall(r"^ *(\d+ of the \d+ names of .*)$", page(name).read_text("utf-8"), re.MULTILINE)
            assert told in said


def test_nothing_is_left_out_for_nothing() -> None:
    there = {command for path in PAGES for command in commands(path.name)}
    assert set(NOT_RUN) <= there


@pytest.mark.parametrize("name", ["README.md", "python.md", "extending.md"])
async def test_the_python_of_a_page(name: str, ioc: Ioc, panda: Server, tmp_path: Path) -> None:
    whole = (
        example
        for example in examples(name, "python")
        if "import" in example.text and "read_columns" not in example.text
    )
    for example in whole:
        here = rf'\g<1>("127.0.0.1", {panda.control_port}, {panda.data_port})'
        code, replaced = re.subn(r'(\w+Client)\("[a-z.]+"\)', here, example.text)
        if not replaced:
            wire = f'("127.0.0.1", {panda.control_port})'
            code, replaced = re.subn(r'\("panda.example", 8888\)', wire, example.text)
        assert replaced == 1
        if "import pandas" in code and importlib.util.find_spec("pandas") is None:
            continue  # readers install it themselves
        assert await carry_out([sys.executable, "-c", code], ioc, tmp_path)


async def test_reading_a_raw_file(ioc: Ioc, tmp_path: Path) -> None:
    (example,) = (example for example in examples("capture.md", "python") if "read_columns" in example.text)
    write_raw_file(tmp_path / "run1.h5")
    said = await carry_out([sys.executable, "-c", example.text], ioc, tmp_path)
    assert "x-mean 18.5\nx-stddev 6.0\n" in said


def test_the_rule_of_extending_makes_a_record() -> None:
    (example,) = (example for example in examples("extending.md", "python") if "import" not in example.text)
    names = dict(vars(rules))
    exec(example.text, names)  # noqa: S102 - our own documentation
    record = names["_frequency"](rules.FieldRef("BLOCK", "NAME", FieldInfo("param", "frequency")))
    assert (record.kind.value, record.units, record.name) == ("ao", "Hz", "BLOCK:NAME")


def test_the_configuration_of_operation_is_one() -> None:
    (example,) = examples("operation.md", "yaml")
    config = validated(yaml.safe_load(example.text), Config)
    assert config.http.port == 8080


def test_the_targets_of_prometheus_are_the_examples() -> None:
    (example,) = examples("deployment.md", "yaml")
    (job,) = yaml.safe_load(example.text)["scrape_configs"]
    hosts = {target.partition(":")[0] for target in job["static_configs"][0]["targets"]}
    assert hosts == {path.parent.name for path in (ROOT / "ioc_configs").glob("*/values.yaml")}


def test_all_python_and_yaml_is_run_by_some_test() -> None:
    """Every page with such examples is in the list of pages that a test runs."""
    known = {
        "README.md",
        "capture.md",
        "python.md",
        "operation.md",
        "clients.md",
        "simulator.md",
        "tutorial.md",
        "deployment.md",
        "extending.md",
        "try.md",
        "examples.md",
        *(Path(page).name for page in HOWTOS),
    }
    for path in PAGES:
        if any(example.language in {"python", "yaml"} for example in examples(path.name)):
            assert path.name in known


def test_links_lead_somewhere() -> None:
    for path in PAGES:
        for target in re.findall(r"\]\((?!http)([^)#]*)(?:#[\w-]*)?\)", path.read_text(encoding="utf-8")):
            assert not target or (path.parent / target).exists(), f"{path.name}: {target}"


def test_tests_that_are_named_exist() -> None:
    named = {pair for path in PAGES for pair in re.findall(r"(tests/[\w/]+\.py)::(\w+)", path.read_text("utf-8"))}
    assert named
    for file, name in named:
        assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), f"{file}::{name}"
