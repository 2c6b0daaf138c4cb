"""Restoring autosaved settings at the start, from a file that may be damaged."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..plan.autosave import AutosaveEntry
from ..plan.codecs import Value

log = logging.getLogger(__name__)

_KINDS = {str: "a string", int: "an integer", float: "a number"}


def read(path: Path) -> dict[str, Any]:
    """Return the settings from a file of softioc's autosave; rename an invalid file to `.bad`."""
    import yaml  # noqa: PLC0415 - not needed for every start

    try:
        content = yaml.safe_load(path.read_bytes().decode())
        if isinstance(content, dict):
            return content
        problem = "not a mapping of names to values"
    except FileNotFoundError:
        return {}
    except Exception as error:  # noqa: BLE001 - YAML raises errors of many types for invalid files
        problem = str(error)
    bad = path.with_name(f"{path.name}.bad")
    log.warning("invalid autosave file %s, renamed to %s; its settings get their defaults: %s", path, bad.name, problem)
    try:
        path.replace(bad)
    except OSError as error:
        log.warning("cannot rename %s: %s", path, error.strerror)
    return {}


def restore(kept: Mapping[str, AutosaveEntry], content: Mapping[str, Any], path: Path) -> None:
    """Restore settings; log a warning for each setting that cannot be restored, and continue.

    Args:
        kept: the settings of the IOC by name
        content: the saved values by name
        path: the path of the file, for messages
    """
    for name, value in content.items():
        if name not in kept:
            log.warning("ignoring the unknown setting %s in %s", name, path)
            continue
        try:
            kept[name].set(_as_kind_of(kept[name].get(), value))
        except Exception as error:  # noqa: BLE001 - the file may have any content
            log.warning("cannot restore the setting %s = %.80r from %s: %s", name, value, path, error)


def _as_kind_of(now: Value, value: Any) -> Value:
    """Return a value with the type of the current value."""
    if isinstance(now, str) and isinstance(value, str):
        return value
    if isinstance(now, float) and isinstance(value, int | float):
        return float(value)
    if isinstance(now, int) and isinstance(value, int | float) and value == int(value):
        return int(value)
    raise ValueError(f"it must be {_KINDS.get(type(now), 'of another type')}")
