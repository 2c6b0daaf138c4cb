"""Export of the signals of a trial as a VCD file, for GTKWave and other waveform viewers.

The blocks are scopes. The time scale is 1 ns and a tick is 8 ns, so every change is exact. Time 0 is the start of the
recording, at most some microseconds before the start of the scenario, because VCD has no negative times.
"""

import heapq
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..simulator.motion import Value, at
from ..simulator.recording import Trace
from .errors import TrialError
from .run import Outcome

#: Nanoseconds per tick.
_TICK = 8

#: Maximum number of values of a moving position in the file; beyond that, only every n-th count is written.
_MOST_STEPS = 200_000

#: VCD type and size in bits, by kind of signal.
_TYPES: dict[str, tuple[str, int]] = {"bit": ("wire", 1), "position": ("integer", 32), "readback": ("integer", 32)}


def write(outcome: Outcome, names: Sequence[str], output: Path) -> None:
    """Write a VCD file.

    Args:
        outcome: result of a trial
        names: signals; HEALTH of their blocks is added as text, and captured samples as an event
        output: path of the file; an existing file is replaced

    Raises:
        TrialError: the package pyvcd is missing, or the file cannot be written
    """
    try:
        vcd = importlib.import_module("vcd")
    except ImportError as error:
        raise TrialError(f"a VCD file needs the package pyvcd: pip install 'panda-ioc[try]' ({error})") from error
    try:
        with output.open("w", encoding="ascii", errors="replace") as file:
            _write(vcd, file, outcome, _traces(outcome, names))
    except OSError as error:
        raise TrialError(f"{output}: {error.strerror}") from error


def _write(vcd: Any, file: Any, outcome: Outcome, traces: Sequence[Trace]) -> None:
    start, end = outcome.recording.start, outcome.end + 1
    with vcd.VCDWriter(file, timescale="1 ns", comment=_comment(outcome)) as writer:
        streams = [_stream(writer, trace, end) for trace in traces]
        blocks = {trace.name.partition(".")[0] for trace in traces}
        streams += [
            _health(writer, outcome, trace, end)
            for name, trace in outcome.probes.traces.items()
            if name.endswith(".HEALTH") and name.partition(".")[0] in blocks
        ]
        if outcome.acquired:
            streams.append(_samples(writer, outcome))
        for tick, _, variable, value in heapq.merge(*streams, key=lambda change: change[:2]):
            writer.change(variable, (tick - start) * _TICK, value)
        writer.close((end - start) * _TICK)


def _traces(outcome: Outcome, names: Sequence[str]) -> list[Trace]:
    """Return the traces of signals, except HEALTH, which is written as text."""
    return [outcome.recording[name] for name in names if not name.endswith(".HEALTH")]


def _comment(outcome: Outcome) -> str:
    offset = (outcome.origin - outcome.recording.start) * _TICK
    return f"A tick is {_TICK} ns. The scenario starts at {offset} ns."


#: A change: tick, index of its kind of stream (for a reproducible order), VCD variable, value.
Change = tuple[int, int, Any, Any]


def _stream(writer: Any, trace: Trace, end: int) -> Iterator[Change]:
    scope, _, name = trace.name.partition(".")
    kind, size = _TYPES[trace.sort]
    variable = writer.register_var(scope, name or "PIN", kind, size=size, init=int(trace.values[0]))
    return ((tick, 0, variable, value) for tick, value in _steps(trace, end))


def _steps(trace: Trace, end: int) -> Iterator[tuple[int, int]]:
    """Yield the changes of a signal, including each count while it moves."""
    every = _stride(trace, end)
    for tick, value, following in trace.changes(end):
        yield tick, at(value, tick)
        if not isinstance(value, int):
            yield from _counts(value, tick, following, every)


def _counts(value: Value, tick: int, end: int, every: int) -> Iterator[tuple[int, int]]:
    """Yield the ticks in which a moving value has moved by `every` counts, with the value."""
    shown = at(value, tick)
    while not isinstance(value, int):
        leaves = value.leaves(tick + 1, shown - every + 1, shown + every - 1)
        if leaves is None or leaves >= end:
            return
        tick = leaves
        shown = at(value, tick)
        yield tick, shown


def _stride(trace: Trace, end: int) -> int:
    """Return the number of counts between values to write for a moving signal."""
    if trace.sort == "bit":
        return 1
    moved = sum(abs(at(value, following) - at(value, tick)) for tick, value, following in trace.changes(end))
    return max(1, moved // _MOST_STEPS)


def _health(writer: Any, outcome: Outcome, trace: Trace, end: int) -> Iterator[Change]:
    field = outcome.simulation.panda.fields.get(trace.name)
    codec = field.codec if field is not None else None
    texts = [(tick, codec.format(at(value, tick)) if codec else str(value)) for tick, value, _ in trace.changes(end)]
    scope = trace.name.partition(".")[0]
    variable = writer.register_var(scope, "HEALTH", "string", init=texts[0][1])
    return ((tick, 1, variable, text) for tick, text in texts)


def _samples(writer: Any, outcome: Outcome) -> Iterator[Change]:
    variable = writer.register_var("PCAP", "SAMPLE", "event")
    return ((int(tick), 2, variable, True) for one in outcome.acquired for tick in one.ticks)
