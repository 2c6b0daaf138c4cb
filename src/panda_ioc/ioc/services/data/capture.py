"""Captures into files, as the settings say: how one begins, what it shows as it goes, how it ends."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .... import __version__
from ....calls import DISK_TIMEOUT, Calls, NoAnswerError
from ....capture.acquisition import AcquisitionState
from ....capture.columns import Column
from ....capture.errors import CaptureError
from ....capture.files import FileName, check_within, make_directory
from ....capture.options import FileOptions
from ....capture.progress import Phase, Progress
from ....capture.recorder import LOST, FilePlan, Recorder
from ....capture.selection import MODES
from ....protocol import Data, PandaError, StartData
from ...plan.data_settings import CAPTURE_MODES, COMPRESSION_CHOICES, Settings
from .receiver import Receiver

if TYPE_CHECKING:
    from ....capture.hdf import HdfFile

log = logging.getLogger(__name__)

#: Bytes of samples that may wait for the disk: with the 256 MB that the PandA buffers, over five seconds at 60 MB/s.
QUEUE_BYTES = 64 << 20

#: Directories that may leave calls without an answer.
_MOST_SILENT = 4

#: Seconds for which the data port may be left unread before that is shown: a fast PandA makes it happen all the time.
_SHOW_WAITING = 0.5

Columns = Callable[[StartData], Sequence[Column]]


#: What STATUS says of puts during a capture.
_FOR_THE_NEXT = "the directory, name or template that was put since is for the next file"


@dataclass(frozen=True)
class FileFacts:
    """What all files of an IOC have in common.

    Attributes:
        columns: makes what is stored of an acquisition, given whether it is stored raw
        roots: files are made only below these directories, anywhere if there are none
        attributes, descriptions: as for `FileOptions`
    """

    columns: Callable[[bool], Columns]
    roots: Sequence[Path] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)


class Captures:
    """One capture after the other; who calls `start` and `stop` waits for one before the next.

    Args:
        settings: how files are made
        facts: what holds for all of them
        changed: called when a capture began or ended, or what is to be said of it changed

    Attributes:
        path: of the file of the capture under way, or of the last one
        waits: whether the data port is not read, as the disk has enough to write
    """

    def __init__(self, settings: Settings, facts: FileFacts, changed: Callable[[], None]) -> None:
        self.path = ""
        self.waits = False
        self._recorder: Recorder | None = None
        self._refusal = ""  # why the last one did not begin
        self._rows_per_chunk = 0
        self._named: tuple[str, ...] = ()
        self._settings = settings
        self._facts = facts
        self._changed = changed
        self._disks: dict[str, Calls] = {}

    @property
    def progress(self) -> Progress | None:
        """How the capture under way goes, or the last one went; None before the first one."""
        return self._recorder.progress if self._recorder is not None else None

    @property
    def active(self) -> bool:
        """Whether a capture is under way."""
        return self._recorder is not None and self._recorder.progress.phase is not Phase.CLOSED

    @property
    def rows_per_chunk(self) -> int:
        """Of the file under way; while there is none, of the next one."""
        return self._rows_per_chunk if self.active else int(self._settings["CHUNK_ROWS"])

    @property
    def status(self) -> str:
        """How it goes, in words."""
        progress = self.progress
        if self._refusal:
            return f"ERROR: {self._refusal}"
        if progress is None:
            return "Idle"
        if progress.phase is Phase.CLOSED:
            return f"ERROR: {progress.error}" if progress.error else f"OK: {progress.flushed} samples in {self.path}"
        if self.waits:
            return f"Waiting for the disk: {progress.queued_bytes / 1e6:.0f} MB wait here, the PandA buffers the rest"
        if progress.phase is Phase.CLOSING:
            return "Closing the file"
        if progress.error:
            return f"Capturing, but: {progress.error}"
        return "Capturing" if self._named == self._names() else f"Capturing; {_FOR_THE_NEXT}"

    def _names(self) -> tuple[str, ...]:
        """What the settings say of the file's name."""
        return tuple(str(self._settings[name]) for name in ("HDF_DIRECTORY", "HDF_FILE_NAME", "FILE_TEMPLATE"))

    @property
    def problem(self) -> str:
        """What went wrong, in the capture under way or in the last one; "" if all is well."""
        progress = self.progress
        return self._refusal or (str(progress.error or "") if progress is not None else "")

    def next_path(self) -> str:
        """The path of the next file; "" as long as the settings make none."""
        try:
            return str(self._file_name().path())
        except CaptureError:
            return ""

    def take(self, data: Data, acquisition: AcquisitionState) -> None:
        """Take what comes from the data port."""
        if self._recorder is not None:
            self._recorder.take(data, acquisition)

    async def room(self) -> None:
        """Wait until more should be taken: while the queue for the disk is full, none should."""
        recorder = self._recorder
        if recorder is None or not recorder.full or await recorder.wait_room(_SHOW_WAITING):
            return
        self.waits = True
        self._changed()
        try:
            await recorder.wait_room()
        finally:
            self.waits = False
            self._changed()

    def lost(self, error: PandaError) -> None:
        """The data connection is lost: so is the capture."""
        self.finish(error, LOST)

    def finish(self, error: PandaError | None = None, *reason: str) -> None:
        """End the capture under way, if one is, and do not wait for its file; as `Recorder.finish`."""
        if self._recorder is not None:
            self._recorder.finish(error, *reason)

    def refuse(self, reason: str) -> None:
        """Note why a capture does not begin."""
        self._refusal = reason
        self._changed()

    async def start(self, receiver: Receiver) -> bool:
        """Begin; return when no sample will be missed any more, with whether one had to be begun.

        Raises:
            PandaError: it cannot begin; `status` says why, too
        """
        if self._recorder is not None and self.active:
            if self._recorder.capturing:
                return False
            await self._closed(self._recorder)
        self._named = self._names()
        try:
            await self._begin(receiver)
        except PandaError as error:
            self.refuse(str(error))
            raise
        self._changed()
        return True

    async def stop(self) -> None:
        """End the capture under way; return when its file is closed.

        Raises:
            CaptureError: the disk takes nothing
        """
        if self._recorder is not None and self.active:
            self._recorder.finish()
            self._changed()
            await self._closed(self._recorder)

    async def wait_closed(self, timeout: float) -> bool:
        """Wait until the file of the capture that was ended is closed; return whether it is."""
        return self._recorder is None or await self._recorder.wait_closed(timeout)

    async def flush(self) -> None:
        """Let readers of the file see all that came.

        Raises:
            PandaError: the disk takes nothing, or took not all
        """
        if self._recorder is not None and not await self._recorder.flush(DISK_TIMEOUT):
            raise CaptureError(f"the disk took nothing for {DISK_TIMEOUT:g} s: {self.path} is not flushed yet")

    async def directory_exists(self) -> bool:
        """Whether the directory exists, after making it if that is allowed.

        Raises:
            PandaError: it cannot be made, or the disk does not answer
        """
        directory = self._settings["HDF_DIRECTORY"]
        if not directory:
            return False
        levels = self._settings["CREATE_DIRECTORY"]
        return await self._disk(directory).call(directory, make_directory, directory, levels, self._facts.roots)

    def set_flush_period(self, seconds: float) -> None:
        """Change how often the file under way is flushed."""
        if self._recorder is not None:
            self._recorder.set_flush_period(seconds)

    async def _closed(self, recorder: Recorder) -> None:
        """Wait until the file of a capture that takes no more is closed."""
        if not await recorder.wait_closed(DISK_TIMEOUT):
            raise CaptureError(f"the disk took nothing for {DISK_TIMEOUT:g} s: {self.path} is not closed yet")

    def _disk(self, directory: str) -> Calls:
        """Return what makes calls about a directory; others that do not answer do not block it.

        Raises:
            NoAnswerError: too many do not
        """
        self._disks = {name: disk for name, disk in self._disks.items() if disk.pending or name == directory}
        if directory not in self._disks and len(self._disks) >= _MOST_SILENT:
            raise NoAnswerError(f"{directory}: not asked, as {', '.join(self._disks)} have not answered yet")
        return self._disks.setdefault(directory, Calls())

    def _file_name(self) -> FileName:
        parts = ("HDF_DIRECTORY", "HDF_FILE_NAME", "FILE_TEMPLATE", "FILE_NUMBER")
        return FileName(*(self._settings[part] for part in parts))

    async def _begin(self, receiver: Receiver) -> None:
        settings = self._settings
        path = self._file_name().path()
        if not await self.directory_exists():
            raise CaptureError(
                f"the directory {path.parent} does not exist, and CREATE_DIRECTORY does not let it be made"
            )
        await receiver.wait_ready()
        selection = MODES[CAPTURE_MODES[settings["CAPTURE_MODE"]]](settings["NUM_CAPTURE"])
        recorder = Recorder(self._plan(path), selection, lambda: self._recorder_changed(recorder))
        if not settings["LAZY_OPEN"] and not await recorder.wait_opened(DISK_TIMEOUT):
            recorder.finish(CaptureError(f"the disk took over {DISK_TIMEOUT:g} s to make {path}"))
        if not receiver.ready:
            recorder.finish(CaptureError("the data connection was lost while the file was made"))
        failure = recorder.progress.error
        if failure is not None:
            raise failure
        self._recorder, self.path, self._refusal = recorder, str(path), ""
        self._rows_per_chunk = int(settings["CHUNK_ROWS"])
        log.info("capturing into %s", path)

    def _plan(self, path: Path) -> FilePlan:
        settings = self._settings
        roots = self._facts.roots
        options = FileOptions(
            rows_per_chunk=int(settings["CHUNK_ROWS"]),
            compression=COMPRESSION_CHOICES[settings["COMPRESSION"]],
            nexus=bool(settings["NEXUS"]),
            overwrite=bool(settings["OVERWRITE"]),
            attributes={**self._facts.attributes, "ioc_version": __version__},
            descriptions=self._facts.descriptions,
        )

        def make_file() -> "HdfFile":
            from ....capture.hdf import HdfFile  # noqa: PLC0415 - slow to load, and not needed to start

            check_within(path, roots)
            return HdfFile(path, options)

        return FilePlan(
            make_file,
            self._facts.columns(bool(settings["RAW"])),
            flush_period=settings["FLUSH_PERIOD"],
            lazy=bool(settings["LAZY_OPEN"]),
            queue_bytes=QUEUE_BYTES,
        )

    def _recorder_changed(self, recorder: Recorder) -> None:
        """Something happened to a file; the log is told when it is closed."""
        if recorder is not self._recorder:
            return  # it did not begin
        progress = recorder.progress
        if progress.phase is Phase.CLOSED:
            if progress.error:
                log.error("the capture into %s failed: %s", self.path, progress.error)
            else:
                log.info("captured %d samples into %s", progress.flushed, self.path)
        self._changed()
