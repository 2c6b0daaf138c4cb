"""A log of changes, from which each connection gets those that it has not seen.

Each change has a serial number. A connection remembers, for each group, the last number that it has seen. The log keeps
only the last change of each name, newest last, so the cost of a reply is proportional to its length.
"""

from collections.abc import Callable

from ..protocol import ChangeGroup

#: All groups, in the order in which `*CHANGES?` reports them.
GROUPS: tuple[ChangeGroup, ...] = tuple(group for group in ChangeGroup if group is not ChangeGroup.ALL)


class ChangeLog:
    """The changes of one group."""

    def __init__(self) -> None:
        self._lines: dict[str, Callable[[], str]] = {}
        self._failed: dict[str, Callable[[], bool]] = {}
        self._order: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def add(self, name: str, line: Callable[[], str], failed: Callable[[], bool]) -> None:
        """Register a name, the function that reports it and the one that says if it fails. It counts as changed."""
        self._lines[name] = line
        self._failed[name] = failed
        self._order[name] = len(self._order)
        self._last[name] = 0

    def touch(self, name: str, serial: int) -> None:
        """Record a change."""
        if name in self._lines:
            self._last.pop(name)
            self._last[name] = serial

    def since(self, serial: int) -> list[str]:
        """Return the lines of what changed after a serial number; everything, also fields in error, for -1."""
        names = []
        for name in reversed(self._last):
            if self._last[name] <= serial:
                break
            if serial < 0 or not self._failed[name]():
                names.append(name)
        return [self._lines[name]() for name in sorted(names, key=self._order.__getitem__)]
