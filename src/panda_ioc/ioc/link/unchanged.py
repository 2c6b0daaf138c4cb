"""Replies to polls that report no change, which is most of 25 replies per second.

Such a reply is compared byte for byte with the expected one, and is then neither parsed nor passed to any service.
"""

from ...protocol import Expected, Poll, Polled


class UnchangedReplies:
    """The expected replies to polls if nothing changes.

    A reply that reports a change invalidates them, because a queried field may be in error now.
    """

    def __init__(self) -> None:
        self._expected: dict[int, tuple[Poll, Expected[Polled]]] = {}
        self._values: dict[str, str] = {}

    def expected(self, poll: Poll) -> Expected[Polled] | None:
        """Return the expected reply to a poll, always the same object; None if the values are not known."""
        found = self._expected.get(id(poll))
        if found is None:
            if not self._values.keys() >= {*poll.asked}:
                return None
            found = self._expected[id(poll)] = poll, poll.nothing_new(self._values)
        return found[1]

    def learn(self, poll: Poll, answer: Polled) -> None:
        """Update the expected replies from a parsed reply."""
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
