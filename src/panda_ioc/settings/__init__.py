"""Settings of a PandA as data: parsed from the lines of a saved design, and compared."""

from .compare import Difference, compare
from .parse import Settings, SettingsError, commands, parse
from .rows import Rows

__all__ = ["Difference", "Rows", "Settings", "SettingsError", "commands", "compare", "parse"]
