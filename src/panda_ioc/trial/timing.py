"""Timing diagrams: bits as traces, positions as curves, captured samples as marks, on a common time axis."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..capture.plot import finish, load_pyplot
from ..simulator.engine import TICKS
from ..simulator.recording import Ticks, Trace
from .errors import TrialError
from .run import Outcome
from .signals import choices, label, scaling
from .units import engineering, unit_of

Floats = npt.NDArray[np.float64]

#: Sizes in inches: width of the picture, height of a bit and of a position, margin.
_WIDTH, _BIT, _POSITION, _MARGIN = 12.0, 0.3, 1.15, 1.0

#: Line length of the note, in characters.
_NOTE = 170

#: Horizontal resolution: edges less than two of these places apart are drawn as a block.
_PLACES = 1400

#: Minimum number of close edges for a block.
_LEAST_BLOCK = 6

#: If more samples are in view, they are not marked on the curves of positions.
_MOST_DOTS = 400

_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#1f5fa8", "#b35900", "#20762b", "#c01818", "#555555"


@dataclass(frozen=True)
class View:
    """The visible range of time.

    Attributes:
        first, last: limits, in ticks of the simulation
        origin: tick that the axis shows as 0
        unit: unit of the axis
        factor: the unit in s
        after: time of the origin in s since the start of the scenario
    """

    first: int
    last: int
    origin: int
    unit: str
    factor: float
    after: float

    def place(self, ticks: npt.ArrayLike) -> Floats:
        """Convert ticks to positions on the axis."""
        return (np.asarray(ticks, np.float64) - self.origin) / (TICKS * self.factor)

    @property
    def axis(self) -> str:
        """Label of the axis."""
        since = "the start of the scenario" if not self.after else engineering(self.after, 12)
        return f"time since {since} / {self.unit}"


@dataclass(frozen=True)
class Blocks:
    """Edges that are too close to be drawn one by one: first and last tick of each block, and a mask of the others."""

    spans: list[tuple[int, int]]
    inside: npt.NDArray[np.bool_]


def draw(
    outcome: Outcome,
    names: Sequence[str],
    output: Path | None,
    *,
    between: tuple[float, float] | None = None,
    title: str = "",
    note: str = "",
) -> None:
    """Draw a timing diagram.

    Args:
        outcome: result of a trial
        names: signals in the order in which to draw them; positions come first
        output: path of the picture, whose suffix selects the format; None to open a window
        between: range in s since the start of the scenario; None for the whole trial
        title: text above the picture
        note: text below the picture

    Raises:
        TrialError: no signals to draw, matplotlib is missing, or the file cannot be written
    """
    plt = _pyplot(output)
    with plt.rc_context({"text.parse_math": False}):  # labels of users may contain a $
        figure = _figure(plt, outcome, names, _view(outcome, between))
        figure.suptitle(title, x=0.01, ha="left", fontsize="large", fontweight="bold")
        if note:
            figure.supxlabel(textwrap.fill(note, _NOTE), x=0.01, ha="left", fontsize="small", color=_GREY)
        finish(plt, figure, output, 120, TrialError)


def _figure(plt: Any, outcome: Outcome, names: Sequence[str], view: View) -> Any:
    traces = [outcome.recording[name] for name in names]
    positions = [trace for trace in traces if trace.sort != "bit"]
    bits = [trace for trace in traces if trace.sort == "bit" and not trace.moving_bit]
    captured = np.concatenate([np.empty(0, np.int64), *(one.ticks for one in outcome.acquired)])
    rows = len(bits) + bool(len(captured))
    if not positions and not rows:
        raise TrialError("nothing to draw: no signal changed; select signals with --watch")
    ratios = [*(_POSITION for _ in positions), *([_BIT * (rows + 0.6)] if rows else [])]
    figure, axes = plt.subplots(
        len(ratios),
        sharex=True,
        squeeze=False,
        figsize=(_WIDTH, sum(ratios) + _MARGIN),
        height_ratios=ratios,
        layout="constrained",
    )
    column = list(axes[:, 0])
    for axis, trace in zip(column, positions, strict=False):
        _draw_position(axis, outcome, trace, view, captured)
    for axis in [axis for axis in column if axis.get_legend_handles_labels()[0]][:1]:
        axis.legend(loc="best", fontsize="small", handlelength=1)
    if rows:
        _draw_bits(column[-1], outcome, bits, view, captured)
    column[-1].set_xlim(*view.place([view.first, view.last]))
    column[-1].set_xlabel(view.axis)
    return figure


def _pyplot(output: Path | None) -> Any:
    try:
        plt = load_pyplot(output)
    except ImportError as error:
        raise TrialError(f"drawing needs the package matplotlib: pip install 'panda-ioc[try]' ({error})") from error
    if plt is None:
        raise TrialError("cannot open a window here: give a file for the picture")
    return plt


def _view(outcome: Outcome, between: tuple[float, float] | None) -> View:
    first, last = (0.0, outcome.seconds(outcome.end)) if between is None else between
    if not first < last:
        raise TrialError(f"--between needs two times, the earlier one first, not {first:g} {last:g}")
    if between is not None and first >= outcome.seconds(outcome.end):
        raise TrialError(f"--between begins at {first:g} s, but the trial ends at {outcome.seconds(outcome.end):g} s")
    unit, factor = unit_of(last - first)
    digits = 10 ** np.floor(np.log10(last - first))
    after = float(np.floor(first / digits) * digits) if abs(first) > 20 * (last - first) else 0.0
    begin, end, zero = (outcome.origin + round(seconds * TICKS) for seconds in (first, last, after))
    return View(begin, end, zero, unit, factor, after)


def _draw_position(axis: Any, outcome: Outcome, trace: Trace, view: View, captured: Ticks) -> None:
    shown = scaling(outcome.simulation, trace.name)
    ticks = trace.ticks
    within = ticks[(ticks > view.first) & (ticks < view.last)]
    corners = np.unique(np.concatenate([[view.first, view.last], within, within - 1]))
    values = np.asarray(trace.at(corners) * shown.scale + shown.offset, np.float64)
    axis.plot(*_thinned(view.place(corners), values), color=_ORANGE, linewidth=1.3)
    dots = captured[(captured >= view.first) & (captured <= view.last)]
    if trace.name in _captured(outcome) and 0 < len(dots) <= _MOST_DOTS:
        seen = dots - outcome.simulation.wiring.delays.captured
        points = trace.at(seen) * shown.scale + shown.offset
        axis.plot(
            view.place(dots), points, "o", color=_GREEN, markersize=3.5 if len(dots) < 100 else 2, label="captured"
        )
    units = f"/ {shown.units}" if shown.units else ""
    below = f"{label(outcome.simulation, trace.name)} {units}".strip()
    axis.set_ylabel(f"{trace.name}\n{below}", rotation=0, ha="right", va="center")
    axis.grid(visible=True, alpha=0.3)
    axis.margins(y=0.1)
    labels = choices(outcome.simulation, trace.name)
    if labels:
        present = [int(value) for value in np.unique(values) if value < len(labels)]
        axis.set_yticks(present, [labels[value] for value in present])
    else:
        axis.locator_params(axis="y", nbins=4)
        axis.ticklabel_format(axis="y", useOffset=False)


def _captured(outcome: Outcome) -> set[str]:
    return {field.name for one in outcome.acquired for field in one.start.fields}


def _thinned(places: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Thin out a line: keep the first, last, lowest and highest of the points in each place."""
    if len(places) <= 4 * _PLACES:
        return places, values
    bins = ((places - places[0]) * (_PLACES / (places[-1] - places[0]))).astype(np.int64)
    by_value = np.lexsort((values, bins))  # within a place from the lowest to the highest
    begins = np.flatnonzero(np.diff(bins, prepend=-1))
    ends = np.append(begins[1:], len(bins)) - 1
    kept = np.unique(np.concatenate([begins, ends, by_value[begins], by_value[ends]]))
    return places[kept], values[kept]


def _draw_bits(axis: Any, outcome: Outcome, bits: Sequence[Trace], view: View, captured: Ticks) -> None:
    """Draw the bits in rows, and the samples below."""
    for row, trace in enumerate(bits):
        _draw_bit(axis, trace, view, -row)
    names = [_row_name(outcome, trace.name) for trace in bits]
    counts = [_count(len(_within(trace.rising, view)), "pulse") for trace in bits]
    _mark_early(axis, outcome, bits, view, counts)
    if len(captured):
        row = -len(bits)
        dots = _within(captured, view)
        gathered = _gather(dots, view)
        axis.vlines(view.place(dots[~gathered.inside]), row, row + 0.6, color=_GREEN, linewidth=1.2)
        for first, last in gathered.spans:
            axis.fill_between(view.place([first, last]), row, row + 0.6, color=_GREEN, alpha=0.55, linewidth=0)
        names.append("PCAP samples")
        counts.append(_count(len(dots), "sample"))
    places = [-row + 0.3 for row in range(len(names))]
    axis.set_yticks(places, names)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(-len(names) + 0.75, 0.95)
    axis.grid(visible=True, axis="x", alpha=0.3)
    for place, text in zip(places, counts, strict=True):
        axis.annotate(
            text,
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color=_GREY,
        )


def _draw_bit(axis: Any, trace: Trace, view: View, row: int) -> None:
    edges = _within(trace.ticks[1:], view)
    gathered = _gather(edges, view)
    kept = edges[~gathered.inside]
    ticks = np.concatenate([[view.first], kept, [view.last]]).astype(np.int64)
    levels = trace.at(ticks).astype(float)
    for first, last in gathered.spans:  # interrupt the line at a block
        levels[(ticks >= first) & (ticks < last)] = np.nan
    places = view.place(ticks)
    axis.step(places, row + 0.6 * levels, where="post", color=_BLUE, linewidth=1.1)
    axis.fill_between(places, row, row + 0.6 * levels, step="post", color=_BLUE, alpha=0.15, linewidth=0)
    for first, last in gathered.spans:
        axis.fill_between(view.place([first, last]), row, row + 0.6, color=_BLUE, alpha=0.55, linewidth=0)


def _mark_early(axis: Any, outcome: Outcome, bits: Sequence[Trace], view: View, counts: list[str]) -> None:
    """Mark the triggers that came too early for a detector with crosses."""
    for row, trace in enumerate(bits):
        detector = outcome.simulation.outside.detectors.get(trace.name)
        early = _within(np.array(detector.early if detector else [], np.int64), view)
        if 0 < len(early) <= _MOST_DOTS:
            axis.plot(view.place(early), np.full(len(early), 0.3 - row), "x", color=_RED, markersize=5)
        if len(early):
            counts[row] += f"\n({len(early)} too early: x)"


def _gather(ticks: Ticks, view: View) -> Blocks:
    """Find edges that are too close to distinguish; `inside` marks those that a block hides."""
    closest = 2 * (view.last - view.first) / _PLACES
    close = np.concatenate([[False], np.diff(ticks) < closest, [False]])
    steps = np.diff(close.astype(np.int8))
    begins, ends = np.flatnonzero(steps > 0), np.flatnonzero(steps < 0)
    inside = np.zeros(len(ticks), bool)
    spans = []
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        if end - begin >= _LEAST_BLOCK:
            spans.append((int(ticks[begin]), int(ticks[end])))
            inside[begin + 1 : end] = True
    return Blocks(spans, inside)


def _within(ticks: Ticks, view: View) -> Ticks:
    return ticks[(ticks >= view.first) & (ticks <= view.last)]


def _row_name(outcome: Outcome, name: str) -> str:
    given = label(outcome.simulation, name)
    return f"{given}  {name}" if given else name


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"
