"""What a PandA said last: one picture, which the link keeps and everybody else reads."""

from collections.abc import Collection
from dataclasses import dataclass, field

from ...protocol import Changes


@dataclass
class Known:
    """What is known of the PandA.

    Attributes:
        texts: what it said last, by key of `*CHANGES`
        in_error: the keys that it could not read
        lost: why there is no connection; "" while there is one
    """

    texts: dict[str, str] = field(default_factory=dict)
    in_error: set[str] = field(default_factory=set)
    lost: str = "there was no connection yet"

    def start_with(self, changes: Changes) -> None:
        """Forget everything but what the PandA says now, when it was asked for everything."""
        self.texts.clear()
        self.texts.update(changes.values)
        self.in_error.clear()
        self.in_error.update(changes.in_error)

    def take(self, changes: Changes) -> Collection[str]:
        """Take what the PandA says has changed; return the keys of which something else is known now."""
        different = {key for key, text in changes.values.items() if key in self.in_error or self.texts.get(key) != text}
        different.update(key for key in changes.in_error if key not in self.in_error)
        self.texts.update(changes.values)
        self.in_error.difference_update(changes.values)
        self.in_error.update(changes.in_error)
        return different
