"""The report of a trial, and expectations."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from panda_ioc.capture.errors import CaptureError
from panda_ioc.simulator import Scenario, load
from panda_ioc.simulator.scenario import ScenarioError
from panda_ioc.trial.errors import TrialError
from panda_ioc.trial.expect import check, facts, parse
from panda_ioc.trial.missed import missed
from panda_ioc.trial.report import Report, as_text, report
from panda_ioc.trial.run import Outcome, Plan, run
from panda_ioc.trial.signals import chosen
from panda_ioc.validation import validated

from .designs import snake


def trial(settings: Sequence[str], *steps: dict[str, Any], seconds: float = 9.9e-4, **options: Any) -> Outcome:
    scenario = validated({"steps": steps}, Scenario)
    return run(Plan(load(), settings, scenario, seconds, **options))


def told(outcome: Outcome) -> Report:
    return report(outcome, chosen(outcome, []))


#: 100 us on, 100 us off.
CLOCK = ("CLOCK1.PERIOD=2e-4", "CLOCK1.ENABLE=ONE")


def test_pulses_are_counted_with_their_widths() -> None:
    made = told(
        trial([*CLOCK, "PULSE1.TRIG=CLOCK1.OUT", "PULSE1.ENABLE=ONE", "PULSE1.WIDTH=3e-5", "TTLOUT1.VAL=PULSE1.OUT"])
    )
    out = made.bits["TTLOUT1"]
    assert (out.pulses, out.shortest, out.longest, out.closest) == (5, 3e-5, 3e-5, 2e-4)
    assert set(made.bits) == {"CLOCK1.OUT", "PULSE1.OUT", "TTLOUT1"}
    assert "TTLOUT1          5" in as_text(made)
    assert json.loads(json.dumps(made.as_json()))["bits"]["TTLOUT1"]["pulses"] == 5


def test_a_snake_scan_is_reported() -> None:
    design, scenario, seconds = snake(3, 20)
    outcome = run(Plan(load(), design, scenario, seconds))
    made = told(outcome)
    (acquisition,) = made.acquisitions
    assert (acquisition.samples, acquisition.reason) == (60, "Ok")
    assert acquisition.closest == pytest.approx(1e-3, rel=1e-2)
    assert made.bits["TTLOUT1"].pulses == 60
    assert (made.positions["INENC1.VAL"].lowest, made.positions["INENC1.VAL"].highest) == (0, 1700)
    assert made.health["SEQ1"] == "OK"
    assert (made.missed, made.warnings) == ([], [])
    assert as_text(made).endswith("All HEALTH is OK; no trigger was missed.")


def test_triggers_that_pcap_misses_are_reported() -> None:
    enabled = [{"at": 5.5e-4, "commands": {"lines": ["BITS.B=1"]}}, {"at": 8.5e-4, "commands": {"lines": ["BITS.B=0"]}}]
    settings = [*CLOCK, "PCAP.TRIG=CLOCK1.OUT", "PCAP.ENABLE=BITS.OUTB", "PCAP.TS_TRIG.CAPTURE=Value"]
    outcome = trial(settings, {"at": 2.5e-4, "arm": {}}, *enabled)
    assert [one.samples for one in outcome.acquired] == [2]
    assert {(one.why, one.count) for one in missed(outcome)} == {
        ("while PCAP was not armed", 2),
        ("while PCAP waited for ENABLE", 1),
    }
    assert outcome.acquired[0].ticks.tolist() == [int(tick) for tick in outcome.probes.traces["PCAP.TRIG"].rising[3:5]]


SEQ_ROW = 1 | 2 << 16 | 1 << 20  # BITA=1: A


#: As with a scan: what loads its table is enabled later.
ENABLE = {"at": 1e-6, "commands": {"lines": ["BITS.A=1"]}}


@pytest.mark.parametrize(
    ("ticks", "passes", "lost"),
    [(10_000, 10, 0), (24_999, 5, 0), (26_000, 5, 0), (40_000, 3, 2), (60_000, 2, 3)],
)
def test_pulses_that_a_busy_seq_misses_are_reported(ticks: int, passes: int, lost: int) -> None:
    """Pulses of 12500 ticks every 25000 ticks: a row accepts one that is high when it ends, and misses earlier ones."""
    table = ["SEQ1.TABLE<", f"{SEQ_ROW} 0 {ticks} 1", ""]
    outcome = trial([*table, *CLOCK, "SEQ1.BITA=CLOCK1.OUT", "SEQ1.ENABLE=BITS.OUTA"], ENABLE)
    assert len(outcome.recording["SEQ1.OUTA"].rising) == passes
    assert [one.count for one in missed(outcome)] == ([lost] if lost else [])
    if lost:
        assert f"SEQ1 missed {lost} triggers: pulses of CLOCK1.OUT at BITA" in as_text(told(outcome))


def test_pulses_that_pulse_drops_are_reported() -> None:
    outcome = trial([*CLOCK, "PULSE1.TRIG=CLOCK1.OUT", "PULSE1.ENABLE=ONE", "PULSE1.WIDTH=3e-4"])
    (one,) = missed(outcome)
    assert (one.block, one.count) == ("PULSE1", 2)
    assert facts(told(outcome))["PULSE1.missed"] == 2


def test_a_table_underrun_is_reported() -> None:
    made = told(trial(["SEQ1.TABLE<<", f"{1 | 1 << 20} 0 10 10", "", "SEQ1.ENABLE=BITS.OUTA"], ENABLE))
    assert made.underruns["SEQ1"] == 1
    assert "underrun" in made.health["SEQ1"].lower()
    assert "HEALTH of SEQ1" in as_text(made)


def test_warnings_of_the_simulator_are_in_the_report() -> None:
    made = told(trial([], {"move": {"motor": "INENC9", "to": 1, "speed": 1}}, {"cut": {}}))
    assert len(made.warnings) == 2
    assert "INENC9" in made.warnings[0]
    assert "warning: step move" in as_text(made)


def test_refused_settings_are_an_error_unless_they_are_skipped() -> None:
    settings = [*CLOCK, "NOTHING1.X=1", "CLOCK1.ENABLE=NONSENSE"]
    with pytest.raises(TrialError, match=r"refuses 2 of the settings.*NOTHING1.X=1: .*; CLOCK1.ENABLE=NONSENSE: "):
        trial(settings)
    made = told(trial(settings, skip_unknown=True))
    assert len(made.refused) == 2
    assert "left out: NOTHING1.X=1: " in as_text(made)
    with pytest.raises(ScenarioError, match="refused a setting of the scenario"):
        run(Plan(load(), scenario=Scenario(settings=("X=1",))))


def test_a_trial_stops_at_the_limit_of_changes() -> None:
    outcome = trial(["CLOCK1.PERIOD=1.6e-8", "CLOCK1.ENABLE=ONE"], seconds=10.0, max_changes=100_000)
    assert outcome.seconds(outcome.end) < 0.01
    assert "more than 100000 signal changes" in as_text(told(outcome))


def test_a_file_that_cannot_be_created(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot create"):
        run(Plan(load()), tmp_path / "nowhere" / "x.h5")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("PCAP.samples=5", ""),
        ("PCAP.samples=4", "it is 5"),
        ("PCAP.samples>4", ""),
        ("PCAP.acquisitions=1", ""),
        ("PCAP.completion=Busy", ""),
        ("PCAP.HEALTH=OK", ""),
        ("PCAP.HEALTH!=OK", "it is OK"),
        ("CLOCK1.OUT.shortest=100us", ""),
        ("CLOCK1.OUT.shortest = 0.1 ms", ""),
        ("CLOCK1.OUT.closest<=0.2ms", ""),
        ("CLOCK1.OUT.shortest>0.0001", "it is 100 us"),
        ("CLOCK1.OUT.pulses=5", ""),
        ("PULSE1.OUT.pulses=0", ""),
        ("PULSE1.OUT.first=1", "it never happened"),
        ("INENC1.VAL.highest=0", ""),
        ("CLOCK1.PERIOD=0.0002", ""),
        ("CLOCK1.ENABLE=ONE", ""),
        ("CLOCK1.ENABLE=1", "it is ONE"),
        ("PCAP.missed=0", ""),
        ("seconds=990us", ""),
        ("warnings=0", ""),
    ],
)
def test_expectations(text: str, why: str, clocked: Outcome) -> None:
    expectation = parse(text)
    broken = check(expectation, facts(told(clocked)), clocked)
    assert (broken.why if broken else "") == why


@pytest.fixture(scope="module")
def clocked() -> Outcome:
    return trial([*CLOCK, "PCAP.TRIG=CLOCK1.OUT", "PCAP.ENABLE=ONE", "PCAP.TS_TRIG.CAPTURE=Value"])


@pytest.mark.parametrize(
    "text", ["", "PCAP.samples", "=5", "PCAP.samples>many", "a b=5", "PCAP.samples=", "X>5 parsec"]
)
def test_invalid_expectations(text: str) -> None:
    with pytest.raises(TrialError, match="is not an expectation"):
        parse(text)


@pytest.mark.parametrize("text", ["PCAP.sample=5", "NOTHING.X=1", "INENC1.SETP=1"])
def test_unknown_facts(text: str, clocked: Outcome) -> None:
    with pytest.raises(TrialError, match="unknown name"):
        check(parse(text), facts(told(clocked)), clocked)
