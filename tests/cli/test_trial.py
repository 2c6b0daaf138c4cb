"""The commands that try, draw and compare designs."""

import asyncio
import json
from pathlib import Path

import h5py
import pytest
from click.testing import CliRunner

from panda_ioc.cli import main
from panda_ioc.simulator import Server
from panda_ioc.simulator.scenario import DEMO

from ..command import panda_ioc

#: A clock of 1 ms triggers PCAP and a detector.
DESIGN = """
CLOCK1.PERIOD.UNITS=ms
CLOCK1.PERIOD=1
CLOCK1.ENABLE=PCAP.ACTIVE
COUNTER1.TRIG=CLOCK1.OUT
COUNTER1.ENABLE=ONE
TTLOUT1.VAL=CLOCK1.OUT
PCAP.ENABLE=ONE
PCAP.TRIG=CLOCK1.OUT
COUNTER1.OUT.CAPTURE=Value
"""


def here(*words: str | Path, code: int) -> str:
    """Run a command in this process; check its exit code; return its output."""
    result = CliRunner().invoke(main, list(map(str, words)))
    assert result.exit_code == code, result.output
    return result.output


async def there(*words: str | Path, code: int = 0) -> str:
    """Do the same for commands that connect to a PandA, which runs in the event loop of this process."""
    return await asyncio.to_thread(here, *words, code=code)


@pytest.fixture
def design(tmp_path: Path) -> Path:
    path = tmp_path / "x.design"
    path.write_text(DESIGN)
    return path


async def test_a_design_is_tried_with_all_products(design: Path, tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("steps: [{at: 0, detector: {trigger: TTLOUT1, dead_time: 0.0015}}]")
    products = [
        (f"--{kind}", tmp_path / name) for kind, name in (("picture", "x.png"), ("vcd", "x.vcd"), ("hdf5", "x.h5"))
    ]
    said = await panda_ioc(
        *("try", "--design", design, "--scenario", scenario, "--for", "0.0205"),
        *(word for product in products for word in product),
        *("--report", tmp_path / "x.json", "--between", "0.001", "0.005"),
        *("--expect", "PCAP.samples=21", "--expect", "TTLOUT1.pulses=21", "--expect", "TTLOUT1.early=10"),
    )
    assert "Acquisition 1: 21 samples" in said
    assert "The detector at TTLOUT1 ignored 10 early triggers" in said
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert "$timescale 1 ns $end" in (tmp_path / "x.vcd").read_text()
    with h5py.File(tmp_path / "x.h5") as file:
        assert file["COUNTER1.OUT.Value"][()].tolist() == list(range(21))
    assert json.loads((tmp_path / "x.json").read_text())["samples"] == 21


async def test_what_does_not_hold_is_told_with_an_exit_code_of_1(design: Path) -> None:
    said = await panda_ioc(
        *("try", "--design", design, "--for", "0.0105", "--expect", "PCAP.samples=200", "--expect", "PCAP.HEALTH=OK"),
        *("--expect", "TTLOUT1.shortest=1us"),
        code=1,
    )
    assert said.splitlines()[-2:] == [
        "expected PCAP.samples=200, but it is 11",
        "expected TTLOUT1.shortest=1us, but it is 500 us",
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--expect", "PCAP.samples"], "'PCAP.samples' is not an expectation"),
        (["--expect", "PCAP.sample=1"], "unknown name PCAP.sample"),
        (["--watch", "PULSE1.OUTA"], "no signal matches 'PULSE1.OUTA'; did you mean PULSE1.OUT?"),
        (["--scenario", "/nowhere.yaml"], "/nowhere.yaml: No such file or directory"),
        (["--picture", "/nowhere/x.png"], "/nowhere/x.png"),
        (["--picture", "x.xyz"], "x.xyz: Format 'xyz' is not supported"),
        (["--vcd", "/nowhere/x.vcd"], "/nowhere/x.vcd: No such file or directory"),
        (["--hdf5", "/nowhere/x.h5"], "cannot create /nowhere/x.h5"),
        (["--report", "/nowhere/x.json"], "/nowhere/x.json"),
        (["--for", "nan"], "--for"),
        (["--between", "2", "1", "--picture", "x.png"], "--between needs two times"),
        (["--from", "127.0.0.1"], "--from HOST cannot be combined with --design"),
    ],
)
def test_what_cannot_be_tried_is_told_with_an_exit_code_of_2(options: list[str], told: str, design: Path) -> None:
    assert told in here("try", "--design", design, "--for", "0.001", *options, code=2)


def test_settings_that_are_refused_are_all_told(design: Path) -> None:
    design.write_text(DESIGN + "NOTHING.X=1\nCLOCK1.ENABLE=NOBODY.OUT\n")
    said = here("try", "--design", design, "--for", "0.001", code=2)
    assert "refuses 2 of the settings" in said
    assert "NOTHING.X=1: No such block" in said
    assert "CLOCK1.ENABLE=NOBODY.OUT: " in said
    said = here("try", "--design", design, "--for", "0.001", "--skip-unknown", code=0)
    assert said.count("left out: ") == 2


async def test_a_panda_is_tried_drawn_and_compared_and_only_read(panda: Server, design: Path, tmp_path: Path) -> None:
    address, ports = f"127.0.0.1:{panda.control_port}", ("--control-port", str(panda.control_port))
    await there("load", "127.0.0.1", design, *ports)
    serial = panda.panda.serial
    said = await there("try", "--from", address, "--for", "0.0105", "--expect", "PCAP.samples=11")
    assert "11 samples" in said
    said = await there("wiring", address, "-o", tmp_path / "x.svg")
    assert said == f"{tmp_path}/x.svg: 5 boxes, 5 wires\n"
    assert "COUNTER1" in (tmp_path / "x.svg").read_text()
    await there("save", "127.0.0.1", tmp_path / "saved", *ports)
    assert await there("diff", address, tmp_path / "saved") == ""
    assert panda.panda.serial == serial
    panda.panda.fields["PULSE1.WIDTH"].write("3")
    assert await there("diff", tmp_path / "saved", address, code=1) == "PULSE1\n  WIDTH: 0 s -> 3 s\n"
    said = await there("diff", "--json", address, tmp_path / "saved", code=1)
    assert json.loads(said) == [{"block": "PULSE1", "field": "WIDTH", "a": "3 s", "b": "0 s"}]


def test_the_rows_of_a_table_are_compared(tmp_path: Path) -> None:
    for name, time in (("a", 5), ("b", 6)):
        (tmp_path / name).write_text(f"SEQ1.TABLE<\n1114113 0 {time} 1\n\n")
    said = here("diff", tmp_path / "a", tmp_path / "b", code=1)
    assert said == "SEQ1\n  TABLE: 1 row -> 1 row\n    row 1: TIME1 5 -> 6\n"


def test_what_cannot_be_compared_or_drawn_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("nonsense\n")
    (tmp_path / "empty").write_text("CLOCK1.PERIOD=1\n")
    nowhere = tmp_path / "nowhere"
    for arguments, told in (
        (("diff", tmp_path / "bad", nowhere), "'nonsense' is neither NAME=value nor"),
        (("diff", nowhere, nowhere), "nowhere: No such file or directory"),
        (("diff", "127.0.0.1:1", nowhere), "127.0.0.1:1"),
        (("wiring", tmp_path / "empty", "-o", tmp_path / "x.svg"), "no block is wired to another block"),
        (("wiring", DEMO, "-o", tmp_path / "x.gif"), "the suffix must be one of"),
    ):
        assert told in here(*arguments, code=2)
