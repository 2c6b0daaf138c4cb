"""What only the IOC knows, kept on disk by softioc's autosave."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from softioc import autosave

from ....calls import Calls
from ...plan.autosave import AutosaveEntry

log = logging.getLogger(__name__)

#: The ending of the file with what is kept.
KEPT_ENDING: str = autosave.SAV_SUFFIX

#: Seconds from one save of what is kept to the next, if it has changed.
_SAVE_PERIOD = 5.0


def keep(kept: Mapping[str, AutosaveEntry], directory: Path, name: str) -> None:
    """Keep values on disk: within seconds of a change, and at the end.

    Args:
        kept: what to keep, by a name that is unique
        directory: where; it must exist when this is called
        name: of the file, without its ending
    """
    autosave.configure(directory, name, save_period=_SAVE_PERIOD, timestamped_backups=False)
    for key, value in kept.items():
        autosave.add_pv_to_autosave(value, key, fields=True)
    autosave.Autosave._save = _careful(autosave.Autosave._save, directory)  # noqa: SLF001


def stop_saving() -> None:
    """Save what is kept a last time, and then no more."""
    autosave.Autosave._stop()  # noqa: SLF001


def _careful(save: Callable[[], None], directory: Path) -> Callable[[], None]:
    """Return a save that logs an error once: softioc would try again for ever, and the process not end."""
    told = ""
    disk = Calls()

    def saving() -> None:
        nonlocal told
        problem = ""
        try:
            disk.wait(str(directory), save)
        except Exception as error:  # noqa: BLE001 - whatever it is, the process is to go on, and to end
            problem = str(error)
        if problem and problem != told:
            log.warning("settings cannot be kept in %s: %s", directory, problem)
        told = problem

    return saving
