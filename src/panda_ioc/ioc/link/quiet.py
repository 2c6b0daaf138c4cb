"""Polls that are answered as before: an IOC asks 25 times a second, and mostly nothing has changed.

Such an answer is compared byte for byte with the one that was to be expected, and is then done with: it is neither
parsed nor shown to any service.
"""

from ...protocol import Expected, Poll, Polled


class Quiet:
    """The answers to polls that say nothing new.

    They are void once an answer reports anything: what was asked for itself may be in error by then.
    """

    def __init__(self) -> None:
        self._expected: dict[int, tuple[Poll, Expected[Polled]]] = {}
        self._values: dict[str, str] = {}

    def expected(self, poll: Poll) -> Expected[Polled] | None:
        """Return the answer to a poll that says nothing new, always the same object; None if it is not known."""
        found = self._expected.get(id(poll))
        if found is None:
            if not self._values.keys() >= {*poll.asked}:
                return None
            found = self._expected[id(poll)] = poll, poll.nothing_new(self._values)
        return found[1]

    def learn(self, poll: Poll, answer: Polled) -> None:
        """Take an answer that was parsed."""
        changes = answer.changes
        asked = {name: changes.values[name] for name in poll.asked if name in changes.values}
        reports = len(changes.values) > len(asked) or changes.multiline or changes.in_error or answer.refused
        if reports:
            self._expected.clear()
            self._values.clear()
            return
        if any(self._values.get(name) != value for name, value in asked.items()):
            self._expected.clear()
        self._values.update(asked)
