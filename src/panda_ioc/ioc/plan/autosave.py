"""Values that the IOC saves to disk and restores after a restart."""

from collections.abc import Callable
from dataclasses import dataclass

from .codecs import Value


@dataclass(frozen=True)
class AutosaveEntry:
    """A value that softioc's autosave saves; autosave calls `get` and `set` by these names.

    Attributes:
        get: returns the current value
        set: restores a saved value, before any PV is served; raises an error if the value is not valid
    """

    get: Callable[[], Value]
    set: Callable[[Value], None]
