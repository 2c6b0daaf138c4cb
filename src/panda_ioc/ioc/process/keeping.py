"""What was kept on disk: read at the start, whatever somebody or a full disk has made of it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..plan.autosave import AutosaveEntry
from ..plan.codecs import Value

log = logging.getLogger(__name__)

_KINDS = {str: "text", int: "a whole number", float: "a number"}


def read(path: Path) -> dict[str, Any]:
    """What a file says that softioc's autosave wrote; one that makes no sense is renamed to end in `.bad`."""
    try:
        content = yaml.safe_load(path.read_bytes().decode())
        if isinstance(content, dict):
            return content
        problem = "it is no mapping of names to values"
    except FileNotFoundError:
        return {}
    except Exception as error:  # noqa: BLE001 - YAML makes errors of many kinds of what is none
        problem = str(error)
    bad = path.with_name(f"{path.name}.bad")
    log.warning("the settings kept in %s make no sense, and it becomes %s: %s", path, bad.name, problem)
    try:
        path.replace(bad)
    except OSError as error:
        log.warning("%s cannot be renamed: %s", path, error.strerror)
    return {}


def give_back(kept: Mapping[str, AutosaveEntry], content: Mapping[str, Any], path: Path) -> None:
    """Set what a file says. What cannot be set is told in the log, and all else set.

    Args:
        kept: what can be set, by name
        content: what the file says
        path: of the file, for messages
    """
    for name, value in content.items():
        if name not in kept:
            log.warning("%s has a setting %s, which is not known here", path, name)
            continue
        try:
            kept[name].set(_as_kind_of(kept[name].get(), value))
        except Exception as error:  # noqa: BLE001 - whatever is in a file
            log.warning("the setting %s = %.80r, kept in %s, is not used: %s", name, value, path, error)


def _as_kind_of(now: Value, value: Any) -> Value:
    """A value as what is there now: text, a whole number, or any."""
    if isinstance(now, str) and isinstance(value, str):
        return value
    if isinstance(now, float) and isinstance(value, int | float):
        return float(value)
    if isinstance(now, int) and isinstance(value, int | float) and value == int(value):
        return int(value)
    raise ValueError(f"it is to be {_KINDS.get(type(now), 'something else')}")
