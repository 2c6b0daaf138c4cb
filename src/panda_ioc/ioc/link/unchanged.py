"""Replies to polls that report no change, which is most of 25 replies per second.

Such a reply is compared byte for byte with the expected one, and is then neither parsed nor passed to any service.
"""

from ...protocol import COMPLETION, Expected, Poll, Polled


class UnchangedReplies:
    """The expected replies to polls if nothing changes.

    Attributes:
        acquiring: whether the last reply showed a running acquisition
    """

    def __init__(self) -> None:
        self.acquiring = False
        #: By id, because hashing a poll costs more than sending it; the poll is kept so that its id stays its own.
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
        """Update the expected replies from a parsed reply.

        The value of a field in error is forgotten, so that the reply to its next query is parsed, whatever it is.
        """
        changes = answer.changes
        known = {*self._values, *poll.asked}
        new = {
            name: value for name, value in changes.values.items() if name in known and self._values.get(name) != value
        }
        old = {*changes.in_error} & known
        self._values.update(new)
        for name in old:
            self._values.pop(name, None)
        self.acquiring = self._values.get(COMPLETION) == "Busy"
        outdated = {*new, *old}
        if outdated:
            self._expected = {key: kept for key, kept in self._expected.items() if outdated.isdisjoint(kept[0].asked)}
