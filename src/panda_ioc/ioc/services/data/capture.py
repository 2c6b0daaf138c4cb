"""Captures into files, as the settings say: how one begins, what it shows as it goes, how it ends."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .... import __version__
from ....calls import DISK_TIMEOUT, Calls, NoAnswerError
from ....capture.columns import Column
from ....capture.errors import CaptureError
from ....capture.files import FileName, check_within, make_directory
from ....capture.options import FileOptions
from ....capture.recorder import LOST, Recorder, Storing
from ....capture.selection import MODES
from ....protocol import Data, PandaError, StartData
from ...plan.data_settings import CAPTURE_MODES, COMPRESSION_CHOICES, Settings
from .receiver import Receiver

if TYPE_CHECKING:
    from ....capture.hdf import HdfFile

log = logging.getLogger(__name__)

#: Directories that may leave calls without an answer.
_MOST_SILENT = 4

Columns = Callable[[StartData], Sequence[Column]]


#: What STATUS says of puts during a capture.
_FOR_THE_NEXT = "the directory, name or template that was put since is for the next file"


class Captures:
    """One capture after the other; who calls `start` and `stop` waits for one before the next.

    Args:
        settings: how files are made
        receiver: gives the data
        columns: makes what is stored of an acquisition, given whether it is stored raw
        changed: called when a capture began or ended

    Attributes:
        recorder: the capture under way, or the last one
        path: of its file
        roots: files are made only below these directories, anywhere if there are none
        attributes, descriptions: of its file, as for `FileOptions`
        failure: why it did not go well; "" if it did
    """

    def __init__(
        self, settings: Settings, receiver: Receiver, columns: Callable[[bool], Columns], changed: Callable[[], None]
    ) -> None:
        self.recorder: Recorder | None = None
        self.path = ""
        self.failure = ""
        self.roots: Sequence[Path] = ()
        self.attributes: Mapping[str, str] = {}
        self.descriptions: Mapping[str, str] = {}
        self._rows_per_chunk = 0
        self._named: tuple[str, ...] = ()
        self._settings = settings
        self._receiver = receiver
        self._columns = columns
        self._changed = changed
        self._disks: dict[str, Calls] = {}
        self._watching: asyncio.Task[None] | None = None

    @property
    def active(self) -> bool:
        """Whether a capture is under way."""
        return self._watching is not None

    @property
    def rows_per_chunk(self) -> int:
        """Of the file under way; while there is none, of the next one."""
        return self._rows_per_chunk if self.active else int(self._settings["CHUNK_ROWS"])

    @property
    def status(self) -> str:
        """How it goes, in words."""
        recorder = self.recorder
        if self.failure:
            return f"ERROR: {self.failure}"
        if recorder is None:
            return "Idle"
        if not self.active:
            return f"OK: {recorder.writer.flushed} samples in {self.path}"
        if recorder.finished:
            return "Closing the file"
        if recorder.error:
            return f"Capturing, but: {recorder.error}"
        return "Capturing" if self._named == self._file_name() else f"Capturing; {_FOR_THE_NEXT}"

    def _file_name(self) -> tuple[str, ...]:
        """What the settings say of the file's name."""
        return tuple(str(self._settings[name]) for name in ("HDF_DIRECTORY", "HDF_FILE_NAME", "FILE_TEMPLATE"))

    @property
    def problem(self) -> str:
        """What went wrong, in the capture under way or in the last one; "" if all is well."""
        return self.failure or (str(self.recorder.error or "") if self.recorder is not None and self.active else "")

    def take(self, data: Data) -> None:
        """Take what comes from the data port."""
        if self.recorder is not None:
            self.recorder.take(data)

    def lost(self, error: PandaError) -> None:
        """The data connection is lost: so is the capture."""
        if self.recorder is not None:
            self.recorder.finish(error, LOST)

    async def start(self) -> bool:
        """Begin; return when no sample will be missed any more, with whether one had to be begun.

        Raises:
            PandaError: it cannot begin; `failure` says why, too
        """
        if self.recorder is not None and self.active:
            if not self.recorder.finished:
                return False
            await self._closed(self.recorder)
        self._named = self._file_name()
        try:
            recorder = await self._begin()
        except PandaError as error:
            self.failure = str(error)
            self._changed()
            raise
        self._watching = asyncio.create_task(self._watch(recorder))
        self._changed()
        return True

    async def stop(self) -> None:
        """End the capture under way; return when its file is closed.

        Raises:
            CaptureError: the disk takes nothing
        """
        if self.recorder is not None and self.active:
            self.recorder.finish()
            self._changed()
            await self._closed(self.recorder)

    async def _closed(self, recorder: Recorder) -> None:
        """Wait until the file of a capture that takes no more is closed, and that is shown."""
        watching = self._watching
        if not await recorder.wait_closed(DISK_TIMEOUT):
            raise CaptureError(f"the disk took nothing for {DISK_TIMEOUT:g} s: {self.path} is not closed yet")
        if watching is not None:
            await watching

    async def flush(self) -> None:
        """Let readers of the file see all that came.

        Raises:
            CaptureError: the disk takes nothing, or took not all
        """
        recorder = self.recorder
        if recorder is None:
            return
        if not await asyncio.to_thread(recorder.writer.flush, DISK_TIMEOUT):
            raise CaptureError(f"the disk took nothing for {DISK_TIMEOUT:g} s: {self.path} is not flushed yet")
        if recorder.writer.error is not None:
            raise recorder.writer.error

    async def directory_exists(self) -> bool:
        """Whether the directory exists, after making it if that is allowed.

        Raises:
            PandaError: it cannot be made, or the disk does not answer
        """
        directory = self._settings["HDF_DIRECTORY"]
        if not directory:
            return False
        levels = self._settings["CREATE_DIRECTORY"]
        return await self._disk(directory).call(directory, make_directory, directory, levels, self.roots)

    def _disk(self, directory: str) -> Calls:
        """What makes calls about a directory, which others that do not answer hold up not.

        Raises:
            NoAnswerError: too many do not
        """
        self._disks = {name: disk for name, disk in self._disks.items() if disk.pending or name == directory}
        if directory not in self._disks and len(self._disks) >= _MOST_SILENT:
            raise NoAnswerError(f"{directory}: not asked, as {', '.join(self._disks)} have not answered yet")
        return self._disks.setdefault(directory, Calls())

    def set_flush_period(self, seconds: float) -> None:
        """Change how often the file under way is flushed."""
        if self.recorder is not None:
            self.recorder.writer.set_flush_period(seconds)

    async def _begin(self) -> Recorder:
        settings = self._settings
        name = FileName(
            *(settings[part] for part in ("HDF_DIRECTORY", "HDF_FILE_NAME", "FILE_TEMPLATE", "FILE_NUMBER"))
        )
        path = name.path()
        if not await self.directory_exists():
            raise CaptureError(
                f"the directory {path.parent} does not exist, and CREATE_DIRECTORY does not let it be made"
            )
        await self._receiver.wait_ready()
        recorder = Recorder(
            self._storing(path), MODES[CAPTURE_MODES[settings["CAPTURE_MODE"]]](settings["NUM_CAPTURE"])
        )
        if not settings["LAZY_OPEN"] and not await asyncio.to_thread(recorder.writer.wait_opened, DISK_TIMEOUT):
            recorder.finish(CaptureError(f"the disk took over {DISK_TIMEOUT:g} s to make {path}"))
        if not self._receiver.ready:
            recorder.finish(CaptureError("the data connection was lost while the file was made"))
        failure = recorder.writer.error or recorder.error
        if failure is not None:
            raise failure
        self.recorder, self.path, self.failure = recorder, str(path), ""
        if self._receiver.start is not None:
            recorder.join(self._receiver.start, self._receiver.samples)
        self._rows_per_chunk = int(settings["CHUNK_ROWS"])
        log.info("capturing into %s", path)
        return recorder

    def _storing(self, path: Path) -> Storing:
        settings = self._settings
        options = FileOptions(
            rows_per_chunk=int(settings["CHUNK_ROWS"]),
            compression=COMPRESSION_CHOICES[settings["COMPRESSION"]],
            nexus=bool(settings["NEXUS"]),
            overwrite=bool(settings["OVERWRITE"]),
            attributes={**self.attributes, "ioc_version": __version__},
            descriptions=self.descriptions,
        )

        def make_file() -> "HdfFile":
            from ....capture.hdf import HdfFile  # noqa: PLC0415 - slow to load, and not needed to start

            check_within(path, self.roots)
            return HdfFile(path, options)

        return Storing(
            make_file,
            self._columns(bool(settings["RAW"])),
            flush_period=settings["FLUSH_PERIOD"],
            lazy=bool(settings["LAZY_OPEN"]),
        )

    async def _watch(self, recorder: Recorder) -> None:
        await recorder.wait_closed()
        self.failure = str(recorder.error or "")
        self._watching = None
        if self.failure:
            log.error("the capture into %s failed: %s", self.path, self.failure)
        else:
            log.info("captured %d samples into %s", recorder.writer.flushed, self.path)
        self._changed()
