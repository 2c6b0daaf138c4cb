"""What came of a trial, in numbers and in words."""

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

#: HEALTH of a table that ended before its next rows came, as PandA says it.
_UNDERRUN = "underrun"


@dataclass(frozen=True)
class Pulses:
    """What a bit did. Times are in seconds from the start of the scenario; None where there was no such edge.

    Attributes:
        pulses: rising edges
        first, last: the first and the last edge, rising or falling
        shortest, longest: the widths of the shortest and the longest whole pulse
        closest: the shortest time from a rising edge to the next
    """

    pulses: int
    first: float | None
    last: float | None
    shortest: float | None
    longest: float | None
    closest: float | None


@dataclass(frozen=True)
class Position:
    """Where a position was: raw, at the start and the end, and the extremes at its changes."""

    first: int
    last: int
    lowest: int
    highest: int


@dataclass(frozen=True)
class AcquisitionReport:
    """An acquisition: its samples, why it ended ("" if it did not), and when the first and last sample came."""

    samples: int
    reason: str
    first: float | None
    last: float | None
    closest: float | None


@dataclass(frozen=True)
class DetectorReport:
    """A detector: the triggers that it took, those that came too early, and when the first of these came."""

    frames: int
    early: int
    first_early: float | None


@dataclass(frozen=True)
class Report:
    """A trial in numbers.

    Attributes:
        seconds: how long it was
        acquisitions: in their order
        bits: by signal
        positions: by signal; readbacks are here too
        health: of each block that has one: the first HEALTH that was not OK, or OK
        detectors: by the output that triggers them
        underruns: how often the table of a block ended before its next rows came
        missed: triggers that were not taken, by block and reason: (block, reason, how many, first time)
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
        """Samples of all acquisitions."""
        return sum(one.samples for one in self.acquisitions)

    def as_json(self) -> dict[str, Any]:
        """The same as JSON takes it."""
        told = asdict(self)
        told["missed"] = [dict(zip(("block", "why", "count", "first"), one, strict=True)) for one in self.missed]
        return {"samples": self.samples, **told}


def report(outcome: Outcome, chosen: Sequence[str]) -> Report:
    """Make the report.

    Args:
        outcome: of the trial
        chosen: the signals that it is about
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
    """What one signal did."""
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
    """HEALTH of the blocks that are in use, or that changed it."""
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
    """What HEALTH of each block said, one after another."""
    for name, trace in outcome.probes.traces.items():
        field_ = outcome.simulation.panda.fields.get(name)
        if name.endswith(".HEALTH") and field_ is not None and field_.codec is not None:
            yield name, [field_.codec.format(value) for value in trace.values.tolist()]


def _missed(outcome: Outcome, one: Missed) -> tuple[str, str, int, float | None]:
    return one.block, one.why, one.count, outcome.seconds(int(one.ticks[0])) if len(one.ticks) else None


def _shortest(ticks: Any) -> float | None:
    return int(ticks.min()) / TICKS if len(ticks) else None


def as_text(report: Report) -> str:
    """The report as people read it."""
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
    lines += [f"The detector at {name} took {one.frames} triggers." for name, one in report.detectors.items()]
    return "\n".join([*lines, *_troubles(report)])


def _acquisitions_text(report: Report) -> Iterator[str]:
    if not report.acquisitions:
        yield "PCAP captured nothing: it was not armed, or never enabled."
    for number, one in enumerate(report.acquisitions, 1):
        when = f", first at {_time(one.first)}, last at {_time(one.last)}" if one.first is not None else ""
        closest = f", at least {_time(one.closest)} apart" if one.closest is not None else ""
        yield f"Acquisition {number}: {one.samples} samples{when}{closest}; {_ended(one.reason)}"


def _ended(reason: str) -> str:
    return f"ended with {reason}" if reason else "still under way at the end"


def _troubles(report: Report) -> list[str]:
    lines = [f"HEALTH of {block}: {health}" for block, health in report.health.items() if health != "OK"]
    lines += [
        f"The detector at {name} was triggered too early {one.early} times, the first at {_time(one.first_early)}"
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
