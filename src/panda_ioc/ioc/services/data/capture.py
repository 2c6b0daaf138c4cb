"""Control of captures to HDF5 files: start, status and end."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .... import __version__
from ....calls import DISK_TIMEOUT, NoAnswerError, SerialExecutor
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

#: Limit of the write queue in bytes. With the 256 MB buffer of the PandA, this is over 5 s at 60 MB/s.
QUEUE_BYTES = 64 << 20

#: Limit of directories with calls that the disk has not answered.
_MAX_UNRESPONSIVE = 4

#: Delay in s before a full write queue is shown; at high rates it is often full for a short time.
_SHOW_WAITING_DELAY = 0.5

Columns = Callable[[StartData], Sequence[Column]]


#: Remark in STATUS after a put to a setting of the file name during a capture.
_FOR_NEXT_FILE = "the new directory, name or template applies to the next file"


@dataclass(frozen=True)
class FileFacts:
    """The properties that all files of an IOC have in common.

    Attributes:
        columns: returns, for raw (True) or scaled data, the function that selects the columns to store
        roots: directories in which files may be created; empty for any directory
        attributes: see `FileOptions`
        descriptions: see `FileOptions`
    """

    columns: Callable[[bool], Columns]
    roots: Sequence[Path] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)


class CaptureController:
    """Control of captures, one at a time; calls of `start` and `stop` must not overlap.

    Args:
        settings: settings of the capture and its file
        facts: properties of all files
        changed: called when a capture starts or ends, or its status changes

    Attributes:
        path: path of the current file, or of the last one
        waits: whether reading of the data port is paused because the write queue is full
    """

    def __init__(self, settings: Settings, facts: FileFacts, changed: Callable[[], None]) -> None:
        self.path = ""
        self.waits = False
        self._recorder: Recorder | None = None
        self._refusal = ""  # why the last start failed
        self._rows_per_chunk = 0
        self._name_settings: tuple[str, ...] = ()
        self._settings = settings
        self._facts = facts
        self._changed = changed
        self._disks: dict[str, SerialExecutor] = {}

    @property
    def progress(self) -> Progress | None:
        """Progress of the current capture or the last one; None before the first one."""
        return self._recorder.progress if self._recorder is not None else None

    @property
    def active(self) -> bool:
        """Whether a capture is running or its file is being closed."""
        return self._recorder is not None and self._recorder.progress.phase is not Phase.CLOSED

    @property
    def rows_per_chunk(self) -> int:
        """Rows per chunk of the current file; without one, of the next file."""
        return self._rows_per_chunk if self.active else int(self._settings["CHUNK_ROWS"])

    @property
    def status(self) -> str:
        """Status text."""
        progress = self.progress
        if self._refusal:
            return f"ERROR: {self._refusal}"
        if progress is None:
            return "Idle"
        if progress.phase is Phase.CLOSED:
            missed = f"; {progress.missed} samples before them were missed" if progress.missed else ""
            done = f"OK: {progress.flushed} samples in {self.path}{missed}"
            return f"ERROR: {progress.error}" if progress.error else done
        if self.waits:
            queued = f"{progress.queued_bytes / 1e6:.0f} MB"
            return f"Waiting for the disk: {queued} are queued in the IOC, the PandA buffers the rest"
        if progress.phase is Phase.CLOSING:
            return "Closing the file"
        if progress.error:
            return f"Capturing, but: {progress.error}"
        return "Capturing" if self._name_settings == self._current_name_settings() else f"Capturing; {_FOR_NEXT_FILE}"

    def _current_name_settings(self) -> tuple[str, ...]:
        """Return the settings that form the file name."""
        return tuple(str(self._settings[name]) for name in ("HDF_DIRECTORY", "HDF_FILE_NAME", "FILE_TEMPLATE"))

    @property
    def problem(self) -> str:
        """Error of the current capture or the last one; "" for none."""
        progress = self.progress
        return self._refusal or (str(progress.error or "") if progress is not None else "")

    def next_path(self) -> str:
        """Return the path of the next file; "" if the settings are incomplete or invalid."""
        try:
            return str(self._file_name().path())
        except CaptureError:
            return ""

    def process(self, data: Data, acquisition: AcquisitionState) -> None:
        """Pass an event of the data port to the recorder."""
        if self._recorder is not None:
            self._recorder.process(data, acquisition)

    async def wait_room(self) -> None:
        """Wait until the write queue has room for more samples."""
        recorder = self._recorder
        if recorder is None or not recorder.full or await recorder.wait_room(_SHOW_WAITING_DELAY):
            return
        self.waits = True
        self._changed()
        try:
            await recorder.wait_room()
        finally:
            self.waits = False
            self._changed()

    def lost(self, error: PandaError) -> None:
        """End the capture because the data connection was lost."""
        self.finish(error, LOST)

    def finish(self, error: PandaError | None = None, *reason: str) -> None:
        """End the current capture, if any, without waiting for its file; see `Recorder.finish`."""
        if self._recorder is not None:
            self._recorder.finish(error, *reason)

    def refuse(self, reason: str) -> None:
        """Show why a capture cannot start."""
        self._refusal = reason
        self._changed()

    async def start(self, receiver: Receiver) -> bool:
        """Start a capture unless one is running; return when all further samples will be captured.

        Returns:
            whether a new capture was started

        Raises:
            PandaError: the capture cannot start; `status` has the reason, too
        """
        if self._recorder is not None and self.active:
            if self._recorder.capturing:
                return False
            await self._closed(self._recorder)
        self._name_settings = self._current_name_settings()
        try:
            await self._begin(receiver)
        except PandaError as error:
            self.refuse(str(error))
            raise
        self._changed()
        return True

    async def stop(self) -> None:
        """End the current capture; return when its file is closed.

        Raises:
            CaptureError: the disk does not respond
        """
        if self._recorder is not None and self.active:
            self._recorder.finish()
            self._changed()
            await self._closed(self._recorder)

    async def wait_closed(self, timeout: float) -> bool:
        """Wait until the file of an ended capture is closed; return False after the timeout in s."""
        return self._recorder is None or await self._recorder.wait_closed(timeout)

    async def flush(self) -> None:
        """Make all received samples visible to readers of the file.

        Raises:
            PandaError: the disk does not respond, or samples could not be written
        """
        if self._recorder is not None and not await self._recorder.flush(DISK_TIMEOUT):
            raise CaptureError(f"the disk did not respond for {DISK_TIMEOUT:g} s: {self.path} is not flushed yet")

    async def directory_exists(self) -> bool:
        """Create the directory if that is allowed; return whether it exists.

        Raises:
            PandaError: the directory cannot be created, or the disk does not respond
        """
        directory = self._settings["HDF_DIRECTORY"]
        if not directory:
            return False
        levels = self._settings["CREATE_DIRECTORY"]
        return await self._disk(directory).call(directory, make_directory, directory, levels, self._facts.roots)

    def set_flush_period(self, seconds: float) -> None:
        """Set the flush period of the current file in s."""
        if self._recorder is not None:
            self._recorder.set_flush_period(seconds)

    async def _closed(self, recorder: Recorder) -> None:
        """Wait until the file of an ended capture is closed."""
        if not await recorder.wait_closed(DISK_TIMEOUT):
            raise CaptureError(f"the disk did not respond for {DISK_TIMEOUT:g} s: {self.path} is not closed yet")

    def _disk(self, directory: str) -> SerialExecutor:
        """Return the executor of calls to a directory; an unresponsive directory does not block others.

        Raises:
            NoAnswerError: too many directories do not respond
        """
        self._disks = {name: disk for name, disk in self._disks.items() if disk.pending or name == directory}
        if directory not in self._disks and len(self._disks) >= _MAX_UNRESPONSIVE:
            raise NoAnswerError(f"{directory} was not accessed, because {', '.join(self._disks)} do not respond")
        return self._disks.setdefault(directory, SerialExecutor())

    def _file_name(self) -> FileName:
        parts = ("HDF_DIRECTORY", "HDF_FILE_NAME", "FILE_TEMPLATE", "FILE_NUMBER")
        return FileName(*(self._settings[part] for part in parts))

    async def _begin(self, receiver: Receiver) -> None:
        settings = self._settings
        path = self._file_name().path()
        if not await self.directory_exists():
            raise CaptureError(f"the directory {path.parent} does not exist: create it, or set CREATE_DIRECTORY")
        await receiver.wait_ready()
        selection = MODES[CAPTURE_MODES[settings["CAPTURE_MODE"]]](settings["NUM_CAPTURE"])
        recorder = Recorder(self._plan(path), selection, lambda: self._recorder_changed(recorder))
        if not settings["LAZY_OPEN"] and not await recorder.wait_opened(DISK_TIMEOUT):
            recorder.finish(CaptureError(f"the disk did not create {path} within {DISK_TIMEOUT:g} s"))
        if not receiver.ready:
            recorder.finish(CaptureError("the data connection was lost while the file was created"))
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
            from ....capture.hdf import HdfFile  # noqa: PLC0415 - slow to load, not needed at the start

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
        """Handle a change of a recorder; log the result when its file is closed."""
        if recorder is not self._recorder:
            return  # its capture did not start
        progress = recorder.progress
        if progress.phase is Phase.CLOSED:
            if progress.error:
                log.error("the capture into %s failed: %s", self.path, progress.error)
            else:
                log.info("captured %d samples into %s", progress.flushed, self.path)
        self._changed()
