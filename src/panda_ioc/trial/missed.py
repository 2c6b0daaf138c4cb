"""Missed triggers: of PCAP while not enabled, SEQ while busy, PULSE and detectors."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..simulator.blocks.pcap import Pcap
from ..simulator.blocks.pulse import Pulse
from ..simulator.blocks.seq import PHASE1, WAIT_TRIGGER, Seq
from ..simulator.engine import Node
from ..simulator.fields import Field
from ..simulator.recording import Ticks, Trace
from ..simulator.tables import TableField
from .run import Outcome

#: The trigger code of a row of SEQ that waits for a high level, by input: see `blocks.seq`.
_HIGH = {"BITA": 2, "BITB": 4, "BITC": 6}

#: Rows of SEQ have four words; the trigger code is in these bits of the first one.
_ROW_WORDS, _TRIGGER_SHIFT, _TRIGGER_MASK = 4, 16, 0xF


@dataclass(frozen=True)
class Missed:
    """Triggers that a block missed.

    Attributes:
        block: name of the block
        why: reason, as text
        ticks: their ticks: shape (n,), dtype int64; fewer than `count` if the block only counts them
        count: number of missed triggers
    """

    block: str
    why: str
    ticks: Ticks
    count: int


def missed(outcome: Outcome) -> list[Missed]:
    """Return all missed triggers, by block and reason."""
    probes = outcome.probes
    found = [
        *(one for node in probes.blocks(Pcap) for one in _by_pcap(outcome, node)),
        *(one for node in probes.blocks(Seq) for one in _by_seq(outcome, node)),
        *(one for node in probes.blocks(Pulse) for one in _by_pulse(outcome, node)),
    ]
    return [one for one in found if one.count]


def _by_pcap(outcome: Outcome, node: Node) -> Iterator[Missed]:
    trig, active = outcome.probes.traces[f"{node.name}.TRIG"], outcome.recording[f"{node.name}.ACTIVE"]
    enable = outcome.probes.traces[f"{node.name}.ENABLE"]
    choice = vars(node.block)["TRIG_EDGE"]
    edges = {0: trig.rising, 1: trig.falling}.get(choice, trig.ticks[1:])
    taken = np.concatenate([np.empty(0, np.int64), *(one.ticks for one in outcome.acquired)])
    lost = np.setdiff1d(edges, taken)
    armed, enabled = active.at(lost) > 0, enable.at(lost) > 0
    for why, chosen in (
        ("while PCAP was not armed", ~armed),
        ("while PCAP waited for ENABLE", armed & ~enabled),
        ("too close to the previous one, or as ENABLE fell", armed & enabled),
    ):
        ticks = lost[chosen]
        yield Missed(node.name, why, ticks, len(ticks))


def _by_seq(outcome: Outcome, node: Node) -> Iterator[Missed]:
    """Yield pulses that began and ended within the phases of a row, although the row waits for such pulses."""
    field: Field | None = outcome.simulation.panda.fields.get(f"{node.name}.TABLE")
    if not isinstance(field, TableField) or not len(field.words):
        return
    triggers = field.words[::_ROW_WORDS] >> _TRIGGER_SHIFT & _TRIGGER_MASK
    state, line, *counts = (
        outcome.probes.traces[f"{node.name}.{port}"] for port in ("STATE", "TABLE_LINE", "LINE_REPEAT", "TABLE_REPEAT")
    )
    passes = _passes(state, [line, *counts])
    for port, code in _HIGH.items():
        wire = outcome.probes.wired(node, port)
        if wire is None or wire.signal not in outcome.recording or code not in triggers:
            continue
        pulses = outcome.recording[wire.signal].pulses + wire.ticks
        rows = np.clip(line.at(pulses[:, 0]) - 1, 0, len(triggers) - 1)
        busy = (state.at(pulses[:, 0]) >= PHASE1) & (triggers[rows] == code)
        taken = np.searchsorted(passes, pulses[:, 0]) < np.searchsorted(passes, pulses[:, 1])
        ticks = pulses[busy & ~taken, 0]
        yield Missed(node.name, f"pulses of {wire.signal} at {port} while a row was played", ticks, len(ticks))


def _passes(state: Trace, counters: list[Trace]) -> Ticks:
    """Return the first ticks of row executions: a trigger was met, or a counter advanced."""
    begins = state.ticks[1:][(state.values[:-1] == WAIT_TRIGGER) & (state.values[1:] >= PHASE1)]
    counted = np.concatenate([trace.ticks[1:] for trace in counters])
    return np.unique(np.concatenate([begins, counted[state.at(counted) >= PHASE1]]))


def _by_pulse(outcome: Outcome, node: Node) -> Iterator[Missed]:
    trace = outcome.probes.traces[f"{node.name}.DROPPED"]
    steps = np.clip(np.diff(trace.values), 0, None)
    yield Missed(node.name, "dropped: too many or too close", trace.ticks[1:][steps > 0], int(steps.sum()))
