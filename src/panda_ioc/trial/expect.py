"""Expectations for a trial, such as `PCAP.samples=200`, to test a design."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import TrialError
from .report import Report, about
from .run import Outcome
from .units import FACTORS, engineering

#: Comparison operators.
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}

_EXPECTATION = re.compile(r"\s*([\w.*]+)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*")
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-z]*)")

#: Times are equal if they differ by less than this, in s: half a tick.
_SAME = 4e-9

#: Names of facts that are times in s.
_TIMES = ("first", "last", "shortest", "longest", "closest", "seconds")

Fact = float | str | None


@dataclass(frozen=True)
class Expectation:
    """An expected fact.

    Attributes:
        text: as written by the user
        name: name of the fact: "PCAP.samples"
        sign: comparison operator
        wanted: a number (in s if it had a unit of time), or a text
    """

    text: str
    name: str
    sign: str
    wanted: float | str


@dataclass(frozen=True)
class Broken:
    """An expectation that is not met, with the reason."""

    expectation: Expectation
    why: str


def parse(text: str) -> Expectation:
    """Parse an expectation: name, operator and value, for example "TTLOUT1.shortest>=1 ms".

    Raises:
        TrialError: the text is not an expectation
    """
    match = _EXPECTATION.fullmatch(text)
    if not match or not match[3]:
        raise TrialError(f"{text!r} is not an expectation: write NAME=VALUE; operators: {', '.join(_OPERATORS)}")
    number = _NUMBER.fullmatch(match[3])
    if number and number[2] in FACTORS:
        return Expectation(text, match[1], match[2], float(number[1]) * FACTORS[number[2]])
    if match[2] not in {"=", "==", "!="}:
        raise TrialError(f"{text!r} is not an expectation: {match[2]} needs a number, not {match[3]!r}")
    return Expectation(text, match[1], match[2], match[3])


def facts(report: Report) -> dict[str, Fact]:
    """Return the facts in a report, by the names that expectations use."""
    known: dict[str, Fact] = {
        "seconds": report.seconds,
        "warnings": len(report.warnings),
        "PCAP.samples": report.samples,
        "PCAP.acquisitions": len(report.acquisitions),
        "PCAP.completion": report.acquisitions[-1].reason or "Busy" if report.acquisitions else "Idle",
    }
    if report.acquisitions:
        known |= {f"PCAP.{name}": getattr(report.acquisitions[-1], name) for name in ("first", "last", "closest")}
    for signal, numbers in (*report.bits.items(), *report.positions.items()):
        known |= {f"{signal}.{name}": number for name, number in vars(numbers).items()}
    for name, detector in report.detectors.items():
        known |= {f"{name}.frames": detector.frames, f"{name}.early": detector.early}
    known |= {f"{block}.HEALTH": health for block, health in report.health.items()}
    known |= {f"{block}.underruns": count for block, count in report.underruns.items()}
    known |= dict.fromkeys((f"{block}.missed" for block in report.health), 0)
    for block, _, count, _ in report.missed:
        known[f"{block}.missed"] = int(known.get(f"{block}.missed") or 0) + count
    return known


def check(expectation: Expectation, known: Mapping[str, Fact], outcome: Outcome) -> Broken | None:
    """Check an expectation.

    Args:
        expectation: what to check
        known: facts from `facts`
        outcome: result of the trial, for facts that are not in the report

    Returns:
        None if it is met, otherwise the reason

    Raises:
        TrialError: the fact is unknown, or the comparison is not possible
    """
    fact = known[expectation.name] if expectation.name in known else _looked_up(expectation, outcome)
    wanted = expectation.wanted
    if isinstance(wanted, float) and isinstance(fact, str):
        number = _NUMBER.fullmatch(fact)
        fact = float(number[1]) if number and not number[2] else fact
    if fact is None or isinstance(fact, str) != isinstance(wanted, str):
        return Broken(expectation, "it never happened" if fact is None else f"it is {fact}")
    if not _holds(expectation, fact):
        is_time = expectation.name.rpartition(".")[2] in _TIMES and isinstance(fact, float)
        return Broken(expectation, f"it is {engineering(fact, 9) if is_time and isinstance(fact, float) else fact}")
    return None


def _holds(expectation: Expectation, fact: float | str) -> bool:
    wanted, compare = expectation.wanted, _OPERATORS[expectation.sign]
    if isinstance(fact, float) and isinstance(wanted, float) and abs(fact - wanted) < _SAME:
        return compare(0, 0)  # equal within half a tick, despite rounding
    return compare(fact, wanted)


def _looked_up(expectation: Expectation, outcome: Outcome) -> Fact:
    """Return a fact that is not in the report: about a signal that is not wired, or the final value of a field."""
    signal, _, kind = expectation.name.rpartition(".")
    trace = outcome.recording.get(signal)
    if trace is not None and not trace.moving_bit:
        numbers = vars(about(outcome, trace))
        if kind in numbers:
            fact: Fact = numbers[kind]
            return fact
    answer = outcome.simulation.say(f"{expectation.name}?")
    if len(answer) != 1 or not answer[0].startswith("OK ="):
        raise TrialError(
            f"{expectation.text!r}: unknown name {expectation.name}: it is not in the report, not a fact about a "
            "recorded signal, and not a readable field"
        )
    return answer[0].removeprefix("OK =")
