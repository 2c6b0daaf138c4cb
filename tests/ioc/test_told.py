"""Invalid configuration: the message names the option, the variable or the line."""

import json
import re
from pathlib import Path

import pytest
import yaml

from panda_ioc import validation, yamlfile
from panda_ioc.ioc.process.config import Config
from panda_ioc.validation import validated

from ..command import outcome, panda_ioc
from ..conftest import free_port
from .process import environment

GOOD = "prefix: X\npanda: {host: h}\n"
OPERATION = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "operation.md"


def read(directory: Path, text: str) -> Config:
    path = directory / "ioc.yaml"
    path.write_text(text, encoding="utf-8")
    return yamlfile.load(path, Config)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "panda: {host: h}\nprefix: A$(B)\n",
            "2: prefix: invalid PV prefix 'A$(B)': EPICS does not allow $",
        ),
        ("panda: {host: h}\nprefix: ''\n", "2: prefix: invalid PV prefix '': it is e"),
        (f"{GOOD}access: {{read_only: true}}\naccess: {{file: x}}\n", "4: duplicate key access, first in line 3"),
        (f"{GOOD}poll: {{BITS: 1, bits: 2}}\n", "3: poll: BITS and bits are the same group"),
        (f"{GOOD}poll: {{BITS: true}}\n", "3: poll.BITS: must be a number, not true"),
        (f"{GOOD}state: {{directory: ''}}\n", "3: state.directory: a path must not be empty"),
        (f"{GOOD}data:\n  roots:\n  - /a\n  - ''\n", "6: data.roots.1: a path must not be empty"),
        (f"{GOOD}http: {{port: true}}\n", "3: http.port: must be a whole number, not true"),
        (f"{GOOD}http: {{port: '8080'}}\n", "3: http.port: must be a whole number, not text '8080'"),
        ("prefix: X\npanda: {host: h, data_port: 8889.0}\n", "2: panda.data_port: must be a whole number, not 8889.0"),
        (f"{GOOD}access: {{read_only: 1}}\n", "3: access.read_only: must be true or false, not a whole number"),
        (f"{GOOD}log_level: loud\n", "3: log_level: must be debug, put, info, warning or error, not 'loud'"),
    ],
)
def test_a_file_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(yamlfile.YamlFileError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'ioc.yaml'}:{said}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("log_level: INFO", "log_level", "info"),
        ("log_level: Put", "log_level", "put"),
        ("poll: {bits: 1}", "poll", {"BITS": 1}),
    ],
)
def test_a_file_is_right(tmp_path: Path, text: str, name: str, value: object) -> None:
    assert getattr(read(tmp_path, GOOD + text), name) == value


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        (["--data-root", "rel"], {}, "Error: --data-root: rel is not an absolute path"),
        ([], {"PANDA_IOC_DATA_ROOT": "rel"}, "Error: PANDA_IOC_DATA_ROOT: rel is not"),
        (["--state-dir", ""], {}, "Error: --state-dir: a path must not be empty"),
        (["--poll", "NOPE=1"], {}, "Error: --poll: unknown group NOPE: use"),
    ],
)
@pytest.mark.parametrize("from_file", [False, True])
async def test_an_option_is_wrong(
    tmp_path: Path, from_file: bool, options: list[str], variables: dict[str, str], said: str
) -> None:
    file = tmp_path / "ok.yaml"
    file.write_text(GOOD)
    what = ["--config", str(file)] if from_file else ["127.0.0.1", "X"]
    code, output = await outcome("run", *what, *options, environment={**environment(free_port()), **variables})
    assert (code, "ok.yaml" in output) == (2, False), output
    assert said in output.splitlines()[-1]


@pytest.mark.parametrize(
    ("host", "prefix", "said"),
    [("", "X", "HOST: must not be empty"), ("no.such.host.invalid", "A$(B)", "PREFIX: invalid PV prefix 'A$(B)'")],
)
async def test_an_argument_is_wrong(host: str, prefix: str, said: str) -> None:
    assert f"Error: {said}" in await panda_ioc("run", host, prefix, code=2)


async def test_a_prefix_for_the_demo_is_wrong() -> None:
    said = await panda_ioc("demo", "--prefix", "A B", code=2)
    assert "Invalid value for '--prefix': invalid PV prefix 'A B': EPICS does not allow" in said


async def test_an_option_goes_over_the_file_in_small_letters_too(tmp_path: Path) -> None:
    """The invalid poll period is that of the option, which overrides the file and is not a duplicate."""
    file = tmp_path / "ioc.yaml"
    file.write_text(f"{GOOD}poll: {{bits: 5}}\n")
    code, output = await outcome(
        *("run", "--config", str(file), "no.such.host.invalid", "--poll", "BITS=0.5"),
        environment=environment(free_port()),
    )
    assert (code, "cannot connect to no.such.host.invalid:8888" in output) == (1, True), output


def test_all_problems_of_a_file_are_named(tmp_path: Path) -> None:
    text = "prefix: A B\npanda:\n  host: ''\n  data_prt: 1\npoll: {nope: 1, bits: 99}\nlog_level: 5\n"
    with pytest.raises(yamlfile.YamlFileError) as caught:
        read(tmp_path, text)
    assert [line.partition("ioc.yaml:")[2] for line in str(caught.value).splitlines()] == [
        "1: prefix: invalid PV prefix 'A B': EPICS does not allow ' '",
        "4: panda.data_prt: unknown key: use host, control_port, data_port",
        "3: panda.host: must not be empty",
        "5: poll.nope: unknown group nope: use CONFIG, ATTR, BITS, POSN, READ, TABLE, METADATA",
        "5: poll.bits: a poll period must be 0.005 to 60 s",
        "6: log_level: must be text, not a whole number",
    ]


async def test_all_wrong_options_are_named() -> None:
    said = await panda_ioc("run", "", "A B", "--poll", "NOPE=1", "--poll", "BITS=0", "--data-root", "x", code=2)
    assert [line.removeprefix("Error: ") for line in said.splitlines()[-5:]] == [
        "PREFIX: invalid PV prefix 'A B': EPICS does not allow ' '",
        "HOST: must not be empty",
        "--poll: unknown group NOPE: use CONFIG, ATTR, BITS, POSN, READ, TABLE, METADATA",
        "--poll: a poll period must be 0.005 to 60 s",
        "--data-root: x is not an absolute path",
    ]


@pytest.mark.parametrize(
    "said",
    [
        *({}, {"poll": {"bits": 1, "POSN": 0.005}}, {"poll": {"NOPE": 1}}, {"poll": {"BITS": 0}}, {"poll": 5}),
        *({"data": {"roots": ["/a", "/"]}}, {"data": {"roots": ["a"]}}, {"data": {"roots": [""]}}, {"data": {"x": 1}}),
        *({"state": {"directory": None}}, {"state": {"directory": "x"}}, {"state": {"directory": ""}}, {"state": []}),
        *({"http": {"port": 0}}, {"http": {"port": 65536}}, {"http": {"port": "80"}}, {"http": {"port": True}}),
        *({"panda": {"host": ""}}, {"panda": {}}, {"panda": {"host": "h", "control_port": 0}}, {"panda": None}),
        *({"pvi": {"write_only": "w"}}, {"pvi": {"write_only": "r"}}, {"console": 1}, {"console": True}),
        *({"log_level": "Info"}, {"log_level": "loud"}, {"log_level": 5}, {"prefix": "A\n"}, {"prefix": 5}, {"y": 1}),
    ],
)
def test_the_schema_refuses_what_the_ioc_refuses(said: dict[str, object]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(validation.schema(Config))
    assert validator.is_valid({"prefix": "X", "panda": {"host": "h"}, **said}) == good(**said)


async def test_the_schema_takes_what_the_ioc_takes(tmp_path: Path) -> None:
    schema = json.loads(await panda_ioc("schema"))
    levels, prefix = schema["properties"]["log_level"], schema["properties"]["prefix"]
    assert levels["default"] in levels["anyOf"][0]["enum"]
    for level in ("info", "INFO", "Put", "loud", ""):
        assert bool(re.search(levels["pattern"], level)) == good(log_level=level)
    for text in (*map(chr, range(33, 256)), "", "A:B", "BL01T-EA-PANDA-01", "A B", "A\n"):
        assert bool(re.search(prefix["pattern"], text)) == good(prefix=text), text


def good(**said: object) -> bool:
    try:
        validated({"prefix": "X", "panda": {"host": "h"}, **said}, Config)
    except ValueError:
        return False
    return True


def test_the_example_of_the_documentation_is_right(tmp_path: Path) -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```$", OPERATION.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        assert read(tmp_path, example) == validated(yaml.safe_load(example), Config)
