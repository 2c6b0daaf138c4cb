"""Storage of IOC settings on disk by the autosave of softioc."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from softioc import autosave

from ....calls import SerialExecutor
from ...plan.autosave import AutosaveEntry

log = logging.getLogger(__name__)

#: Suffix of the autosave file.
SAVE_SUFFIX: str = autosave.SAV_SUFFIX

#: Time between saves of changed values, in s.
_SAVE_PERIOD = 5.0


def keep(entries: Mapping[str, AutosaveEntry], directory: Path, name: str) -> None:
    """Save values to disk, a few seconds after each change and at shutdown.

    Args:
        entries: values by unique name
        directory: directory of the file; must exist
        name: name of the file without its suffix
    """
    autosave.configure(directory, name, save_period=_SAVE_PERIOD, timestamped_backups=False)
    for key, value in entries.items():
        autosave.add_pv_to_autosave(value, key, fields=True)
    autosave.Autosave._save = _guarded(autosave.Autosave._save, directory)  # noqa: SLF001


def stop_saving() -> None:
    """Save the values a last time and stop."""
    autosave.Autosave._stop()  # noqa: SLF001


def _guarded(save: Callable[[], None], directory: Path) -> Callable[[], None]:
    """Return a save function with a time limit that logs a repeated error once and does not raise it."""
    logged = ""
    disk = SerialExecutor()

    def saving() -> None:
        nonlocal logged
        problem = ""
        try:
            disk.wait(str(directory), save)
        except Exception as error:  # noqa: BLE001 - softioc would retry without a limit, also at shutdown
            problem = str(error)
        if problem and problem != logged:
            log.warning("cannot save settings in %s: %s", directory, problem)
        logged = problem

    return saving
