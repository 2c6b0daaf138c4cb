"""Settings of a PandA: parse and compare saved designs."""

from .compare import Difference, compare
from .parse import Settings, SettingsError, commands, parse
from .rows import Rows

__all__ = ["Difference", "Rows", "Settings", "SettingsError", "commands", "compare", "parse"]
