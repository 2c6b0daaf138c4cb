"""What only the IOC knows, and has to be there again after a restart."""

from collections.abc import Callable
from dataclasses import dataclass

from .codecs import Value


@dataclass(frozen=True)
class AutosaveEntry:
    """A value that is kept on disk, by softioc's autosave, which calls both by these names.

    Attributes:
        get: gives it
        set: takes it as it was kept, before anything is served; raises an error for what it cannot be
    """

    get: Callable[[], Value]
    set: Callable[[Value], None]
