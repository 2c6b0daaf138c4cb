"""Comparison of two sets of settings."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from .parse import Settings, as_number
from .rows import Rows

#: Maximum number of differing rows listed for a table.
MOST_ROWS = 20

#: The name of the metadata, listed after all blocks.
_METADATA = "*METADATA"


@dataclass(frozen=True)
class Difference:
    """A setting that differs between two designs.

    Attributes:
        block: block name: "PULSE1", or `*METADATA`
        field: field name, with its attribute if any: "DELAY", "TRIG.DELAY"
        a: value with units in the first design, the number of rows of a table, or None if the setting is missing
        b: the same in the second design
        rows: for a table, a description of each differing row
    """

    block: str
    field: str
    a: str | None
    b: str | None
    rows: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the difference in one line, without its rows: "PULSE1.DELAY: 5 ms -> 6 ms"."""
        return f"{self.block}.{self.change}"

    @property
    def change(self) -> str:
        """The field and its two values: "DELAY: 5 ms -> 6 ms"."""
        a, b = ("(not there)" if value is None else value or "(empty)" for value in (self.a, self.b))
        return f"{self.field}: {a} -> {b}"

    def as_json(self) -> dict[str, Any]:
        """Return the difference as a JSON object."""
        members: dict[str, Any] = {"block": self.block, "field": self.field, "a": self.a, "b": self.b}
        return members | ({"rows": list(self.rows)} if self.rows else {})


def compare(a: Settings, b: Settings, rows: Callable[[str], Rows] = lambda _: Rows(None)) -> list[Difference]:
    """Compare the settings of two designs.

    Numbers are compared by value: "0.5" equals "5e-1". Times are compared in seconds: for 500 ms and 0.5 s, only the
    UNITS differ.

    Args:
        a: settings of the first design
        b: settings of the second design
        rows: function that returns the `Rows` decoder of a table, given its name

    Returns:
        differences in natural order of the blocks (PULSE2 before PULSE10), metadata last

    Example:
        >>> a = parse(["PULSE1.DELAY.UNITS=ms", "PULSE1.DELAY=5"])
        >>> b = parse(["PULSE1.DELAY.UNITS=ms", "PULSE1.DELAY=6"])
        >>> [str(difference) for difference in compare(a, b)]
        ['PULSE1.DELAY: 5 ms -> 6 ms']
    """
    found = [*_values(a, b), *_tables(a, b, rows), *_texts(a, b)]
    return sorted(found, key=lambda one: (one.block == _METADATA, _natural(one.block), one.field))


def _values(a: Settings, b: Settings) -> Iterator[Difference]:
    for name in a.values.keys() | b.values.keys():
        mine, others = a.values.get(name), b.values.get(name)
        if not _same(name, a, b):
            shown = (None if mine is None else a.shown(name), None if others is None else b.shown(name))
            yield Difference(*_split_name(name), *shown)


def _same(name: str, a: Settings, b: Settings) -> bool:
    mine, others = a.values.get(name), b.values.get(name)
    if mine is None or others is None:
        return mine is others
    times = a.seconds(name), b.seconds(name)
    if times[0] is not None and times[1] is not None:
        return math.isclose(times[0], times[1], rel_tol=1e-12)
    if mine == others or name.startswith(_METADATA):
        return mine == others
    numbers = as_number(mine), as_number(others)
    return numbers[0] is not None and numbers[0] == numbers[1]


def _tables(a: Settings, b: Settings, rows: Callable[[str], Rows]) -> Iterator[Difference]:
    nothing = np.empty(0, np.uint32)
    for name in a.tables.keys() | b.tables.keys():
        mine, others = a.tables.get(name, nothing), b.tables.get(name, nothing)
        if not np.array_equal(mine, others):
            read = rows(name)
            both = read.read(mine), read.read(others)
            counts = _counted(len(both[0]), read.called), _counted(len(both[1]), read.called)
            yield Difference(*_split_name(name), *counts, rows=tuple(_row_by_row(*both, read.called)))


def _row_by_row(a: Sequence[dict[str, Any]], b: Sequence[dict[str, Any]], called: str) -> Iterator[str]:
    differing = [(number, *pair) for number, pair in enumerate(zip_longest(a, b), 1) if pair[0] != pair[1]]
    for number, mine, others in differing[:MOST_ROWS]:
        if mine is None or others is None:
            side, cells = ("b", others) if mine is None else ("a", mine)
            yield f"{called} {number} only in {side}: {_cells(cells)}"
        else:
            changed = (f"{name} {mine[name]} -> {others[name]}" for name in mine if mine[name] != others[name])
            yield f"{called} {number}: {', '.join(changed)}"
    if len(differing) > MOST_ROWS:
        yield f"and {_counted(len(differing) - MOST_ROWS, f'more {called}')}"


def _cells(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {cell}" for name, cell in row.items() if cell) or "all 0"


def _texts(a: Settings, b: Settings) -> Iterator[Difference]:
    for name in a.texts.keys() | b.texts.keys():
        mine, others = a.texts.get(name, ()), b.texts.get(name, ())
        if mine != others:
            yield Difference(*_split_name(name), _counted(len(mine), "line"), _counted(len(others), "line"))


def _split_name(name: str) -> tuple[str, str]:
    block, _, field_name = name.partition(".")
    return block, field_name


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _natural(block: str) -> tuple[str, int]:
    kind = block.rstrip("0123456789")
    return kind, int(block[len(kind) :] or 0)
