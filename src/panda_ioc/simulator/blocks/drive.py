"""A driver that runs a single block without engine, server or device file, for tests and experiments.

    rows = {1: {"PERIOD": 6, "ENABLE": 1}, 12: {"ENABLE": 0}}
    drive(Clock(), rows)  ->  {2: {"OUT": 1}, 5: {"OUT": 0}, 8: {"OUT": 1}, 11: {"OUT": 0}}

A row has the inputs and parameters that are set in a tick. The result has the outputs that changed, right after the
clock edge that ends each tick, also for ticks between the rows.
"""

from collections.abc import Collection, Mapping

from ..motion import Value
from .base import Block, Kind

Rows = Mapping[int, Mapping[str, Value]]


class Driver:
    """Runs a block tick by tick.

    Args:
        block: a new block
    """

    def __init__(self, block: Block) -> None:
        self.block = block
        self.wake: int | None = None
        self._outputs = block.outputs()
        self._streams = set(block.names(Kind.STREAM))
        self._last = {name: block.shown(name, 0) for name in self._outputs}

    def advance(
        self, now: int, values: Mapping[str, Value] | None = None, written: Collection[str] | None = None
    ) -> dict[int, dict[str, int]]:
        """Advance to a tick.

        Args:
            now: tick to advance to, included
            values: inputs and parameters to set in this tick; None to set none, unlike an empty row
            written: parameters that count as written even if their value is the same; None for all in `values`

        Returns:
            outputs that changed, by tick
        """
        seen = {}
        while self.wake is not None and self.wake < now:
            wake = self.wake
            if changed := self._tick(wake, {}, ()):
                seen[wake] = changed
        if values is not None or written or self.wake == now:
            to_set = self._fitted(values or {})
            names = None if written is None else [self.block.find(name)[0] for name in written]
            to_set |= {name: vars(self.block)[name] for name in names or () if name not in to_set}
            if changed := self._tick(now, to_set, names):
                seen[now] = changed
        return seen

    def _fitted(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Return the ports that a row sets, with the values that their registers hold."""
        to_set: dict[str, Value] = {}
        for name, value in values.items():
            port, half = self.block.find(name)
            if not isinstance(value, int):
                to_set[port] = value
                continue
            whole = value
            if half is not None:
                old = to_set.get(port, vars(self.block)[port])
                kept, new = (old >> 32 << 32, value & 0xFFFFFFFF) if half == 0 else (old & 0xFFFFFFFF, value << 32)
                whole = kept | new
            to_set[port] = self.block.ports[port].fit(whole)
        return to_set

    def _tick(self, now: int, values: Mapping[str, Value], written: Collection[str] | None) -> dict[str, int]:
        self.wake = self.block.tick(now, values, written)
        if self.wake is not None and self.wake <= now:
            raise RuntimeError(f"{self.block} asked in tick {now} for a call in tick {self.wake}, which has passed")
        changed = {}
        for name in self._outputs:
            value = self.block.shown(name, now)
            if value is not None and (value != self._last[name] or name in self._streams):
                self._last[name] = changed[name] = value
        return changed


def drive(
    block: Block, rows: Rows, *, written: Mapping[int, Collection[str]] | None = None, until: int | None = None
) -> dict[int, dict[str, int]]:
    """Run a new block through some rows.

    Args:
        block: a new block
        rows: inputs and parameters to set, by tick
        written: parameters that count as written even if their value is the same, by tick; all in the row by default
        until: last tick; that of the last row by default

    Returns:
        outputs that changed, with their new values, by tick
    """
    driver = Driver(block)
    seen: dict[int, dict[str, int]] = {}
    for now in sorted(rows):
        seen |= driver.advance(now, rows[now], (written or {}).get(now))
    if until is not None and until > max(rows, default=0):
        seen |= driver.advance(until)
    return seen
