"""Timing sequences as text, and the two ways in which every one is played.

    5: TRIG=1 -> OUT=1      in tick 5 TRIG is set to 1, and right after its clock edge OUT changes to 1
    9: -> OUT=0             in tick 9 nothing is set, but OUT changes

A row that names a parameter writes it, even if the value is the same.
"""

from collections.abc import Callable, Sequence

from panda_ioc.simulator.blocks import Block, drive
from panda_ioc.simulator.blocks.drive import Rows
from panda_ioc.simulator.motion import Value

Changes = dict[int, dict[str, int]]


def parse(text: str) -> tuple[Changes, Changes]:
    """What is set, and what is to change, by tick."""
    inputs: Changes = {}
    outputs: Changes = {}
    for line in text.strip().splitlines():
        row = line.partition("#")[0].strip()
        if not row:
            continue
        tick, _, rest = row.partition(":")
        before, _, after = rest.partition("->")
        for words, rows in ((before, inputs), (after, outputs)):
            for word in words.split():
                name, _, value = word.partition("=")
                rows.setdefault(int(tick), {})[name] = int(value, 0)
    return inputs, outputs


def play(block: Callable[[], Block], text: str, *, beyond: int = 60) -> None:
    """Play a sequence, and some ticks more in which nothing may happen that it does not say."""
    inputs, expected = parse(text)
    until = max([*inputs, *expected]) + beyond
    assert drive(block(), inputs, until=until) == expected
    # Calling the block in every tick must not change anything.
    every_tick: Changes = {tick: inputs.get(tick, {}) for tick in range(until + 1)}
    assert drive(block(), every_tick) == expected


def memory(*tables: Sequence[int]) -> Callable[[int, int], Sequence[int]]:
    """A memory with some tables, at the addresses 0, 1000, 2000, ..."""
    return lambda address, words: tables[address // 1000][:words]


def row(repeats: int, trigger: int = 0, position: int = 0, phase1: str = "0", phase2: str = "0") -> list[int]:
    """A row of a SEQ table; a phase is its time and its outputs, "3AB"."""
    times = [int("".join(filter(str.isdigit, phase))) for phase in (phase1, phase2)]
    bits = [sum(1 << "ABCDEF".index(letter) for letter in phase if letter.isalpha()) for phase in (phase1, phase2)]
    return [repeats | trigger << 16 | bits[0] << 20 | bits[1] << 26, position & 0xFFFFFFFF, *times]


def merged(*parts: Rows) -> dict[int, dict[str, Value]]:
    """Several sequences played at once."""
    rows: dict[int, dict[str, Value]] = {}
    for part in parts:
        for tick, values in part.items():
            rows.setdefault(tick, {}).update(values)
    return rows
