"""The last known values of a PandA, which the link owns and all services read."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from ...protocol import Changes


@dataclass
class Known:
    """The last known values of a PandA.

    Keys that do not belong to the model are dropped, so replies with ever new keys cannot fill the memory.

    Attributes:
        is_needed: returns whether a key of `*CHANGES` belongs to the model
        texts: the last value by key
        in_error: keys that the PandA could not read
        lost: the reason why there is no connection; "" while connected
    """

    is_needed: Callable[[str], bool] = lambda _: True
    texts: dict[str, str] = field(default_factory=dict)
    in_error: set[str] = field(default_factory=set)
    lost: str = "not connected yet"

    def start_with(self, changes: Changes) -> None:
        """Replace all values by the complete reply of the PandA."""
        self.texts.clear()
        self.texts.update(self._needed(changes.values))
        self.in_error.clear()
        self.in_error.update(filter(self.is_needed, changes.in_error))

    def take(self, changes: Changes) -> Collection[str]:
        """Apply changes; return the keys whose value or error state differs from before."""
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
