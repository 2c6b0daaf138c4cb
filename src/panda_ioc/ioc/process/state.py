"""The state directory: the cached description of the PandA, and the autosaved settings of the IOC.

An unresponsive disk delays neither startup nor shutdown: after a time limit, the IOC continues without saved state.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ...calls import NoAnswerError, SerialExecutor
from ..log import Repeated
from ..plan.autosave import AutosaveEntry
from ..plan.model import Model
from . import cache
from .config import Config
from .restoring import read, restore

log = logging.getLogger(__name__)

T = TypeVar("T")


class StateDirectory:
    """The files of one IOC in the state directory; without this directory, nothing is saved."""

    def __init__(self, config: Config) -> None:
        self._directory = config.state.directory
        self._stem = file_stem(config.prefix)
        self._disk = SerialExecutor()
        self._warning = Repeated(log.warning)

    async def cached_panda(self) -> Model | None:
        """Return the cached description of the PandA, or None."""
        return await self._try(cache.read, self._file("panda.json")) if self._directory else None

    async def save_panda(self, model: Model) -> None:
        """Save the description of the PandA, for a start without the PandA."""
        if self._directory:
            await self._try(cache.write, model, self._file("panda.json"))

    async def restore(self, kept: Mapping[str, AutosaveEntry]) -> None:
        """Restore the settings of the last run, and start softioc's autosave.

        Args:
            kept: the settings by name
        """
        if self._directory is None or not await self._try(_is_writable, self._directory):
            return
        from ..servers.ca import autosave  # noqa: PLC0415 - it imports EPICS, which is slow

        path = self._file(autosave.SAVE_SUFFIX)
        content = await self._try(read, path)
        if content is None:
            return  # the file cannot be read: autosave must not replace it
        restore(kept, content, path)
        await self._try(autosave.keep, kept, self._directory, self._stem)
        serving = asyncio.current_task()
        if serving is not None:  # after an error the autosave thread would keep the process alive
            serving.add_done_callback(lambda _: autosave.stop_saving())

    def _file(self, ending: str) -> Path:
        return Path(self._directory or "") / f"{self._stem}.{ending}"

    async def _try(self, function: Callable[..., T], *arguments: Any) -> T | None:
        """Call a function with the disk; if the disk does not respond or fails, log a warning and return None."""
        try:
            return await self._disk.call(str(self._directory), function, *arguments)
        except (NoAnswerError, OSError) as error:
            self._warning.tell(f"cannot access the state directory: {error}")
            return None


def _is_writable(directory: Path) -> bool:
    writable = directory.is_dir() and os.access(directory, os.W_OK)
    if not writable:
        log.warning("no state is saved: %s is not a writable directory", directory)
    return writable


def file_stem(prefix: str) -> str:
    """Return a prefix as a file name stem, without characters that are special for shells or file systems."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in prefix)
