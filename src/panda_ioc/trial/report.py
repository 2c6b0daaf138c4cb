"""A summary of a trial, as numbers and as text."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..simulator.engine import TICKS
from ..simulator.recording import Trace
from ..simulator.tables import TableField
from .missed import Missed, missed
from .run import Outcome
from .signals import used
from .units import engineering

#: Part of the HEALTH label of a table that ended before more rows arrived.
_UNDERRUN = "underrun"


@dataclass(frozen=True)
class Pulses:
    """The pulses of a bit.

    Times are in s; `first` and `last` are since the start of the scenario. None means that there was no edge, pulse or
    pair of pulses.

    Attributes:
        pulses: number of rising edges
        first, last: time of the first and last edge, rising or falling
        shortest, longest: width of the shortest and longest complete pulse
        closest: shortest time between consecutive rising edges
    """

    pulses: int
    first: float | None
    last: float | None
    shortest: float | None
    longest: float | None
    closest: float | None


@dataclass(frozen=True)
class Position:
    """The raw values of a position (in counts) or a readback.

    Attributes:
        first, last: value at the start and at the end
        lowest, highest: extremes
    """

    first: int
    last: int
    lowest: int
    highest: int


@dataclass(frozen=True)
class AcquisitionReport:
    """An acquisition.

    Attributes:
        samples: number of samples
        reason: reason why it ended; "" if it was still in progress
        first, last: time of the first and last sample in s since the start of the scenario; None without samples
        closest: shortest time between consecutive samples in s; None for less than two
    """

    samples: int
    reason: str
    first: float | None
    last: float | None
    closest: float | None


@dataclass(frozen=True)
class DetectorReport:
    """A detector.

    Attributes:
        frames: number of accepted triggers
        early: number of triggers that came too early and were ignored
        first_early: time of the first of these in s since the start of the scenario; None if there is none
    """

    frames: int
    early: int
    first_early: float | None


@dataclass(frozen=True)
class Report:
    """The summary of a trial.

    Attributes:
        seconds: simulated time in s
        acquisitions: acquisitions in order
        bits: bits by name
        positions: positions and readbacks by name
        health: HEALTH of the blocks in use: the first value that was not OK, or OK
        detectors: detectors by the output that triggers them
        underruns: number of table underruns by block
        missed: missed triggers: (block, reason, count, time of the first one in s or None)
        refused, warnings, stopped: see `Outcome`
    """

    seconds: float
    acquisitions: Sequence[AcquisitionReport]
    bits: dict[str, Pulses]
    positions: dict[str, Position]
    health: dict[str, str]
    detectors: dict[str, DetectorReport]
    underruns: dict[str, int]
    missed: Sequence[tuple[str, str, int, float | None]]
    refused: Sequence[str] = ()
    warnings: Sequence[str] = ()
    stopped: str = ""

    @property
    def samples(self) -> int:
        """Number of samples of all acquisitions."""
        return sum(one.samples for one in self.acquisitions)

    def as_json(self) -> dict[str, Any]:
        """Return the report as a dictionary for JSON."""
        content = asdict(self)
        content["missed"] = [dict(zip(("block", "why", "count", "first"), one, strict=True)) for one in self.missed]
        return {"samples": self.samples, **content}


def report(outcome: Outcome, chosen: Sequence[str]) -> Report:
    """Summarise a trial.

    Args:
        outcome: result of the trial
        chosen: names of the signals to include, for example from `chosen`

    Raises:
        KeyError: a signal was not recorded

    Example:
        >>> from panda_ioc.simulator import load
        >>> outcome = run(Plan(load(), ["CLOCK1.PERIOD=0.001", "CLOCK1.ENABLE=ONE"], seconds=0.01))
        >>> report(outcome, chosen(outcome, ["CLOCK1.OUT"])).bits["CLOCK1.OUT"].closest
        0.001
    """
    traces = [outcome.recording[name] for name in chosen if not outcome.recording[name].moving_bit]
    return Report(
        seconds=outcome.seconds(outcome.end),
        acquisitions=[_acquisition(outcome, number) for number in range(len(outcome.acquired))],
        bits={trace.name: _pulses(outcome, trace) for trace in traces if trace.sort == "bit"},
        positions={trace.name: _position(outcome, trace) for trace in traces if trace.sort != "bit"},
        health=dict(_health(outcome)),
        detectors=dict(_detectors(outcome)),
        underruns=dict(_underruns(outcome)),
        missed=[_missed(outcome, one) for one in missed(outcome)],
        refused=outcome.refused,
        warnings=outcome.warnings,
        stopped=outcome.stopped,
    )


def _acquisition(outcome: Outcome, number: int) -> AcquisitionReport:
    acquired = outcome.acquired[number]
    ticks = acquired.ticks
    return AcquisitionReport(
        acquired.samples,
        acquired.reason,
        outcome.seconds(int(ticks[0])) if len(ticks) else None,
        outcome.seconds(int(ticks[-1])) if len(ticks) else None,
        _shortest(np.diff(ticks)),
    )


def about(outcome: Outcome, trace: Trace) -> Pulses | Position:
    """Summarise one signal."""
    return _pulses(outcome, trace) if trace.sort == "bit" else _position(outcome, trace)


def _pulses(outcome: Outcome, trace: Trace) -> Pulses:
    edges, rising, pulses = trace.ticks[1:], trace.rising, trace.pulses
    widths = pulses[:, 1] - pulses[:, 0]
    return Pulses(
        len(rising),
        outcome.seconds(int(edges[0])) if len(edges) else None,
        outcome.seconds(int(edges[-1])) if len(edges) else None,
        _shortest(widths),
        int(widths.max()) / TICKS if len(widths) else None,
        _shortest(np.diff(rising)),
    )


def _position(outcome: Outcome, trace: Trace) -> Position:
    corners = np.unique(np.concatenate([trace.ticks, trace.ticks[1:] - 1, [outcome.end]]))
    values = trace.at(corners)
    return Position(int(values[0]), int(values[-1]), int(values.min()), int(values.max()))


def _health(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield HEALTH of the blocks that are in use or whose HEALTH changed."""
    in_use = used(outcome.simulation)
    for name, labels in _health_labels(outcome):
        if name.partition(".")[0] in in_use or len(labels) > 1:
            yield name.partition(".")[0], next((label for label in labels if label != "OK"), "OK")


def _detectors(outcome: Outcome) -> Iterator[tuple[str, DetectorReport]]:
    for name, detector in outcome.simulation.outside.detectors.items():
        first = outcome.seconds(detector.early[0]) if detector.early else None
        yield name, DetectorReport(detector.frames, len(detector.early), first)


def _underruns(outcome: Outcome) -> Iterator[tuple[str, int]]:
    fields = outcome.simulation.panda.fields
    for name, labels in _health_labels(outcome):
        block = name.partition(".")[0]
        if isinstance(fields.get(f"{block}.TABLE"), TableField):
            yield block, sum(_UNDERRUN in label.lower() for label in labels)


def _health_labels(outcome: Outcome) -> Iterator[tuple[str, list[str]]]:
    """Yield the labels that HEALTH of each block had, in order."""
    for name, trace in outcome.probes.traces.items():
        field_ = outcome.simulation.panda.fields.get(name)
        if name.endswith(".HEALTH") and field_ is not None and field_.codec is not None:
            yield name, [field_.codec.format(value) for value in trace.values.tolist()]


def _missed(outcome: Outcome, one: Missed) -> tuple[str, str, int, float | None]:
    return one.block, one.why, one.count, outcome.seconds(int(one.ticks[0])) if len(one.ticks) else None


def _shortest(ticks: Any) -> float | None:
    return int(ticks.min()) / TICKS if len(ticks) else None


def as_text(report: Report) -> str:
    """Format a report as text.

    Args:
        report: summary of a trial

    Returns:
        several lines, without a newline at the end

    Example:
        >>> from panda_ioc.simulator import load
        >>> outcome = run(Plan(load(), seconds=0.01))
        >>> as_text(report(outcome, [])).splitlines()[0]
        'Simulated 0.01 s.'
    """
    lines = [f"Simulated {report.seconds:g} s.", "", *_acquisitions_text(report), ""]
    moved = {name: one for name, one in report.bits.items() if one.first is not None}
    if moved:
        head = ("signal", "pulses", "first edge", "last edge", "shortest", "longest", "closest rises")
        rows = [
            (name, str(one.pulses), *(_time(number) for number in (one.first, one.last)), *(_time(number) for number in
            (one.shortest, one.longest, one.closest)))
            for name, one in moved.items()
        ]  # fmt: skip
        lines += [*_table(head, rows), ""]
    still = [name for name in report.bits if name not in moved]
    if still:
        lines += [f"Without an edge: {', '.join(still)}", ""]
    if report.positions:
        positions = [(name, *map(str, vars(one).values())) for name, one in report.positions.items()]
        lines += [*_table(("position", "first", "last", "lowest", "highest"), positions), ""]
    lines += [f"The detector at {name} accepted {one.frames} triggers." for name, one in report.detectors.items()]
    return "\n".join([*lines, *_troubles(report)])


def _acquisitions_text(report: Report) -> Iterator[str]:
    if not report.acquisitions:
        yield "PCAP captured nothing: it was not armed, or ENABLE was never high."
    for number, one in enumerate(report.acquisitions, 1):
        when = f", first at {_time(one.first)}, last at {_time(one.last)}" if one.first is not None else ""
        closest = f", at least {_time(one.closest)} apart" if one.closest is not None else ""
        yield f"Acquisition {number}: {one.samples} samples{when}{closest}; {_ended(one.reason)}"


def _ended(reason: str) -> str:
    return f"ended with {reason}" if reason else "still in progress at the end"


def _troubles(report: Report) -> list[str]:
    lines = [f"HEALTH of {block}: {health}" for block, health in report.health.items() if health != "OK"]
    lines += [
        f"The detector at {name} ignored {one.early} early triggers, the first at {_time(one.first_early)}"
        for name, one in report.detectors.items()
        if one.early
    ]
    lines += [f"{block}: {count} table underruns" for block, count in report.underruns.items() if count]
    lines += [
        f"{block} missed {count} triggers: {why}{'' if first is None else f', the first at {_time(first)}'}"
        for block, why, count, first in report.missed
    ]
    lines += [f"left out: {line}" for line in report.refused]
    lines += [f"warning: {line}" for line in report.warnings]
    lines += [report.stopped] if report.stopped else []
    return lines or ["All HEALTH is OK; no trigger was missed."]


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else engineering(seconds, 9)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) if not place else cell.rjust(width) for place, (cell, width) in
        enumerate(zip(row, widths, strict=True))).rstrip()
        for row in (head, *rows)
    ]  # fmt: skip
