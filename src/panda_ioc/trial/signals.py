"""The signals of a trial: which are wired, and their labels and scaling."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..simulator.blocks.pcap import Pcap
from ..simulator.engine import Node, Slot
from ..simulator.recording import choose, signals
from ..simulator.simulation import Simulation
from .errors import TrialError
from .run import Outcome

#: Prefix of nodes that represent the world outside of the PandA.
_OUTSIDE = "outside."


@dataclass(frozen=True)
class Scaling:
    """The scaling of a signal: shown value = raw * scale + offset, in units."""

    scale: float = 1.0
    offset: float = 0.0
    units: str = "counts"


def wired(simulation: Simulation) -> list[str]:
    """Return the signals wired to a block, an output pin or captured samples; pins come last."""
    captured = {line.partition(" ")[0] for line in simulation.panda.captured()}
    found = [name for name, slot in signals(simulation.engine).items() if name in captured or _goes(simulation, slot)]
    return sorted(found, key=lambda name: "." not in name or ".PIN" in name)


def used(simulation: Simulation) -> set[str]:
    """Return the blocks with a wire at an input or an output."""
    names = {name.partition(".")[0] for name in wired(simulation)}
    return names | {node.name for node in simulation.engine.nodes.values() if _driven(node)}


def chosen(outcome: Outcome, patterns: Sequence[str]) -> list[str]:
    """Return the names of the signals that match patterns.

    Args:
        outcome: result of a trial
        patterns: names of signals, with the wildcards `*` and `?`, as for `Simulation.record`; empty for all signals
            that are wired

    Raises:
        Refused: no signal matches a pattern
        TrialError: a matching readback was not recorded

    Example:
        >>> from panda_ioc.simulator import load
        >>> chosen(run(Plan(load(), seconds=0.001)), ["CLOCK?.OUT"])
        ['CLOCK1.OUT', 'CLOCK2.OUT']
    """
    if not patterns:
        return wired(outcome.simulation)
    names = list(choose(outcome.simulation.engine, patterns))
    if missing := [name for name in names if name not in outcome.recording]:
        raise TrialError(f"{missing[0]} was not recorded: add it to `watch` of the plan")
    return names


def split(outcome: Outcome, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Split signals into those that changed and those that did not."""
    every = list(names)
    changed = [name for name in every if len(outcome.recording[name]) > 1]
    return changed, [name for name in every if name not in changed]


def scaling(simulation: Simulation, name: str) -> Scaling:
    """Return the scaling of a position, from the settings of the PandA."""
    field = simulation.panda.fields.get(name)
    if field is None or "SCALE" not in field.attributes:
        return Scaling(units="")
    scale, offset, units = (str(field.attributes[one].read()) for one in ("SCALE", "OFFSET", "UNITS"))
    if not math.isfinite(float(offset)):
        return Scaling()
    plain = float(scale) == 1.0 and not float(offset)
    return Scaling(float(scale), float(offset), units or ("counts" if plain else ""))


def choices(simulation: Simulation, name: str) -> Sequence[str]:
    """Return the labels of the values of a readback such as STATE; empty for a number."""
    field = simulation.panda.fields.get(name)
    return field.labels or () if field is not None else ()


def label(simulation: Simulation, name: str) -> str:
    """Return the label that users gave to the block of a signal; "" without a label."""
    block = name.partition(".")[0]
    metadata = simulation.panda.metadata
    found = metadata.get(f"LABEL_{block}") or metadata.get(f"LABEL_{block}1")
    return str(found.read()) if found is not None else ""


def _goes(simulation: Simulation, slot: Slot) -> bool:
    node_name, _, port = slot.name.rpartition(".")
    node = simulation.engine.nodes[node_name]
    if port.startswith("PIN"):
        return _driven(node)
    return any(
        not target.name.startswith(_OUTSIDE) and not (isinstance(target.block, Pcap) and "[" in into)
        for target, into, _ in slot.wires
    )


def _driven(node: Node) -> bool:
    """Return whether an input of a block is wired to another block."""
    return any(
        slot.name not in {"ZERO", "ONE"} and not slot.name.startswith(_OUTSIDE) for slot in node.sources.values()
    )
