"""What a PandA said last: one picture, which the link keeps and everybody else reads."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from ...protocol import Changes


@dataclass
class Known:
    """What is known of the PandA.

    What nobody needs is not kept: a PandA that makes up new keys with each answer would fill the memory.

    Attributes:
        is_needed: whether somebody may need a key of `*CHANGES`
        texts: what it said last, by key
        in_error: the keys that it could not read
        lost: why there is no connection; "" while there is one
    """

    is_needed: Callable[[str], bool] = lambda _: True
    texts: dict[str, str] = field(default_factory=dict)
    in_error: set[str] = field(default_factory=set)
    lost: str = "there was no connection yet"

    def start_with(self, changes: Changes) -> None:
        """Forget everything but what the PandA says now, when it was asked for everything."""
        self.texts.clear()
        self.texts.update(self._needed(changes.values))
        self.in_error.clear()
        self.in_error.update(filter(self.is_needed, changes.in_error))

    def take(self, changes: Changes) -> Collection[str]:
        """Take what the PandA says has changed; return the keys of which something else is known now."""
        values = self._needed(changes.values)
        in_error = [key for key in changes.in_error if self.is_needed(key)]
        different = {key for key, text in values.items() if key in self.in_error or self.texts.get(key) != text}
        different.update(key for key in in_error if key not in self.in_error)
        self.texts.update(values)
        self.in_error.difference_update(values)
        self.in_error.update(in_error)
        return different

    def _needed(self, values: Mapping[str, str]) -> dict[str, str]:
        return {key: text for key, text in values.items() if self.is_needed(key)}
