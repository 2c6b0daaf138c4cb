"""What changed when, so that every connection can be told what is new to it.

Each change has a serial number. A connection remembers the number up to which it was told, group by group;
the log keeps for every name only its last change, newest last, so an answer costs what it reports.
"""

from collections.abc import Callable

from ..protocol import ChangeGroup

#: All groups in the order in which `*CHANGES?` reports them.
GROUPS: tuple[ChangeGroup, ...] = tuple(group for group in ChangeGroup if group is not ChangeGroup.ALL)


class ChangeLog:
    """The changes of one group."""

    def __init__(self) -> None:
        self._lines: dict[str, Callable[[], str]] = {}
        self._failed: dict[str, Callable[[], bool]] = {}
        self._order: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def add(self, name: str, line: Callable[[], str], failed: Callable[[], bool]) -> None:
        """Declare something that can change, how it is reported, and whether it fails. It counts as changed."""
        self._lines[name] = line
        self._failed[name] = failed
        self._order[name] = len(self._order)
        self._last[name] = 0

    def touch(self, name: str, serial: int) -> None:
        """Note a change."""
        if name in self._lines:
            self._last.pop(name)
            self._last[name] = serial

    def since(self, serial: int) -> list[str]:
        """Report what changed after a serial number; everything for -1, also what cannot be read."""
        names = []
        for name in reversed(self._last):
            if self._last[name] <= serial:
                break
            if serial < 0 or not self._failed[name]():
                names.append(name)
        return [self._lines[name]() for name in sorted(names, key=self._order.__getitem__)]
