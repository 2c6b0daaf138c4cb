"""What is kept on disk from run to run: what the PandA has, and what only the IOC knows.

A disk that is dead holds up neither the start nor the end: after a time limit, it is as if nothing were kept.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ...calls import Calls, NoAnswerError
from ..log import Repeated
from ..plan.autosave import AutosaveEntry
from ..plan.model import Model
from . import cache
from .config import Config
from .keeping import give_back, read

log = logging.getLogger(__name__)

T = TypeVar("T")


class State:
    """The files of one IOC in the directory for what is kept; without such a directory, nothing is."""

    def __init__(self, config: Config) -> None:
        self._directory = config.state.directory
        self._stem = file_stem(config.prefix)
        self._disk = Calls()
        self._warning = Repeated(log.warning)

    async def panda(self) -> Model | None:
        """What the PandA had; None if that is not known."""
        return await self._try(cache.read, self._file("panda.json")) if self._directory else None

    async def keep_panda(self, model: Model) -> None:
        """Keep what the PandA has, for a start without it."""
        if self._directory:
            await self._try(cache.write, model, self._file("panda.json"))

    async def restore(self, kept: Mapping[str, AutosaveEntry]) -> None:
        """Set what was kept of the last run, and let softioc's autosave keep it from now on.

        Args:
            kept: what to set and to keep
        """
        if self._directory is None or not await self._try(_can_be_written, self._directory):
            return
        from ..servers.ca import autosave  # noqa: PLC0415 - it starts EPICS, which takes long

        path = self._file(autosave.KEPT_ENDING)
        content = await self._try(read, path)
        if content is None:
            return  # what is there is not to be replaced
        give_back(kept, content, path)
        await self._try(autosave.keep, kept, self._directory, self._stem)
        serving = asyncio.current_task()
        if serving is not None:  # what saves would else keep a process that ends with an error
            serving.add_done_callback(lambda _: autosave.stop_saving())

    def _file(self, ending: str) -> Path:
        return Path(self._directory or "") / f"{self._stem}.{ending}"

    async def _try(self, function: Callable[..., T], *arguments: Any) -> T | None:
        """Call a function that tells in the log what goes wrong; so is a disk that does not answer."""
        try:
            return await self._disk.call(str(self._directory), function, *arguments)
        except (NoAnswerError, OSError) as error:
            self._warning.tell(f"what is kept from run to run is out of reach: {error}")
            return None


def _can_be_written(directory: Path) -> bool:
    can = directory.is_dir() and os.access(directory, os.W_OK)
    if not can:
        log.warning("nothing is kept: %s is not a directory that can be written", directory)
    return can


def file_stem(prefix: str) -> str:
    """A prefix as the beginning of a file's name: without what means something to shells and file systems."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in prefix)
