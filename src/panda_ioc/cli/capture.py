"""Command to capture data into HDF5 files."""
# ruff: noqa: PLC0415 - see the package

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from .common import clear_errors, panda_options

if TYPE_CHECKING:
    from tqdm import tqdm

    from ..capture.progress import Progress
    from ..capture.recorder import FilePlan, Recorder
    from ..capture.selection import Selection
    from ..client import AsyncioClient
    from ..protocol import Data, PandaError

#: Time limit for the disk to create or close a file, in s.
_DISK_TIMEOUT = 60.0


@click.command()
@panda_options
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--arm", is_flag=True, help="Arm PCAP for each acquisition, once the data port is ready.")
@click.option("--samples", type=click.IntRange(1), help="Stop after this many samples.")
@click.option(
    "--acquisitions", type=click.IntRange(0), help="Stop after this many acquisitions; 0 = no limit.  [default: 1]"
)
@click.option("--raw", is_flag=True, help="Store unscaled integers, with scale and offset as attributes.")
@click.option(
    "--compression", default="none", show_default=True, help="Compression of the datasets: none, gzip, lz4 or zstd."
)
@click.option(
    "--bits",
    type=click.Choice(("uint32", "float64")),
    default="uint32",
    show_default=True,
    help="Data type of bits without --raw.",
)
@click.option(
    "--chunk-rows",
    type=click.IntRange(1, 1 << 20),
    help="Rows per HDF5 chunk; more for fast captures.  [default: 1024]",
)
@click.option("--nexus", is_flag=True, help="Add NeXus attributes, so that viewers plot the data.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@clear_errors
def capture(
    *,
    host: str,
    file: Path,
    control_port: int,
    data_port: int,
    arm: bool,
    samples: int | None,
    acquisitions: int | None,
    raw: bool,
    compression: str,
    bits: str,
    chunk_rows: int | None,
    nexus: bool,
    overwrite: bool,
) -> None:
    """Capture data of the PandA at HOST into an HDF5 FILE, which can be read while it is written (SWMR).

    A FILE with a number format, such as scan_%d.h5 or scan_%04d.h5, makes one file per acquisition, numbered from 1.

    The command stops after one acquisition, unless options say otherwise, or with Ctrl-C. It exits with 1 if samples
    are missing from the files.
    """
    from tqdm import tqdm

    from ..capture.columns import stored_columns
    from ..capture.hdf import HdfFile
    from ..capture.options import ROWS_PER_CHUNK, ColumnOptions, FileOptions
    from ..capture.recorder import FilePlan
    from ..client import AsyncioClient

    options = FileOptions(
        rows_per_chunk=chunk_rows or ROWS_PER_CHUNK, compression=compression, nexus=nexus, overwrite=overwrite
    )
    limit = acquisitions if acquisitions is not None else 0 if samples else 1

    async def run() -> "_Files":
        async with AsyncioClient(host, control_port, data_port) as client:
            asked = await _asked(client)
            columns = partial(stored_columns, options=ColumnOptions(raw=raw, asked=asked, bits=bits, nexus=nexus))
            stream = await _ready(client)  # first, so that no file is created if it fails
            files = _Files(file, lambda path: FilePlan(lambda: HdfFile(path, options, empty=False), columns))
            files.begin(samples or 0, limit)
            with tqdm(total=samples, unit=" samples", unit_scale=True, disable=None) as progress:
                await _record(client, stream, files, progress, arm=arm)
            return files

    _report(asyncio.run(run()))


def _report(files: "_Files") -> None:
    """Print what each file contains; raise the error that ended the capture, or that samples were missed."""
    from ..capture.errors import CaptureError

    for path, made in files.made:
        if made.acquisitions and (made.flushed or not made.error):  # otherwise the error says it all
            click.echo(
                f"{path}: {made.flushed} samples in {made.acquisitions} acquisition{'s'[: made.acquisitions != 1]}, "
                f"{made.missed} missed, end reason: {made.end_reason or 'none'}"
            )
    if files.error:
        raise files.error
    if not any(made.acquisitions for _, made in files.made):
        click.echo("nothing was captured, so no file was created")
    if missed := sum(made.missed for _, made in files.made):
        raise CaptureError(
            f"{missed} samples taken before the capture are missing: start it before PCAP is armed, or use --arm"
        )


class _Files:
    """The files of a capture: one for all acquisitions, or one per acquisition.

    Args:
        path: path of the file; with a number format in its name, one file per acquisition
        plan: function that returns the plan of the file at a path

    Attributes:
        made: path and progress of each closed file
        error: the first error
        failed: set when an error closed the current file
    """

    def __init__(self, path: Path, plan: "Callable[[Path], FilePlan]") -> None:
        from ..capture.files import numbered

        self.made: list[tuple[Path, Progress]] = []
        self.error: PandaError | None = None
        self.failed = asyncio.Event()
        self._path = path
        self._numbered = numbered(path)
        self._plan = plan
        self._samples = self._acquisitions = 0
        self._under_way: tuple[Path, Recorder] | None = None

    @property
    def recorder(self) -> "Recorder":
        """The recorder of the current file."""
        if self._under_way is None:
            raise RuntimeError("no file is open")
        return self._under_way[1]

    def begin(self, samples: int, acquisitions: int, select: "Callable[[int, int], Selection] | None" = None) -> None:
        """Begin a file.

        Args:
            samples: total number of samples to capture, 0 for no limit
            acquisitions: total number of acquisitions, 0 for no limit
            select: function that returns the selection for a number of samples and acquisitions
        """
        from ..capture.recorder import Recorder
        from ..capture.selection import First

        self._samples, self._acquisitions = samples, acquisitions
        path = self._numbered(len(self.made) + 1) if self._numbered else self._path
        selection = (select or First)(samples, 1 if self._numbered else acquisitions)
        self._under_way = path, Recorder(self._plan(path), selection, self._changed)

    async def wait_created(self) -> bool:
        """Wait until the current file exists; return whether samples can be captured.

        Raises:
            CaptureError: the disk does not respond in time
        """
        from ..capture.errors import CaptureError

        if not await self.recorder.wait_opened(_DISK_TIMEOUT):
            raise CaptureError(f"the disk did not create the file within {_DISK_TIMEOUT:g} s: nothing was armed")
        return self.recorder.capturing

    async def next(self) -> bool:
        """Close the current file and begin the next one; return False if the capture is complete."""
        await self.close()
        _, made = self.made[-1]
        samples, acquisitions = self._samples - made.accepted, self._acquisitions - 1
        enough = (self._samples and samples <= 0) or (self._acquisitions and acquisitions <= 0)
        if self.error or enough or not self._numbered:
            return False
        self.begin(max(samples, 0), max(acquisitions, 0))
        return True

    async def close(self) -> None:
        """Wait until the current file is closed.

        Raises:
            CaptureError: the disk does not respond in time
        """
        from ..capture.errors import CaptureError

        if self._under_way is None:
            return
        path, recorder = self._under_way
        if not await recorder.wait_closed(_DISK_TIMEOUT):
            raise CaptureError(f"the disk did not respond for {_DISK_TIMEOUT:g} s: {path} is not complete")
        self._under_way = None
        progress = recorder.progress
        self.made.append((path, progress))
        self.error = self.error or progress.error

    def finish(self, error: "PandaError | None", reason: str) -> None:
        """End the capture, as `Recorder.finish` does."""
        if self._under_way is not None:
            self.recorder.finish(error, reason)
        elif error is not None:
            self.error = self.error or error

    def _changed(self) -> None:
        if self._under_way is not None and self.recorder.progress.error and not self.recorder.capturing:
            self.failed.set()


async def _ready(client: "AsyncioClient") -> "AsyncGenerator[Data, None]":
    """Return the data stream once the data port is ready, so that a later acquisition is not missed."""
    from ..client import PandaTimeoutError

    stream = client.data(scaled=False)
    try:
        async with asyncio.timeout(client.timeout):
            await anext(stream)
    except TimeoutError as error:
        raise PandaTimeoutError(
            f"no reply from the data port {client.host}:{client.data_port} within {client.timeout:g} s"
        ) from error
    return stream


async def _asked(client: "AsyncioClient") -> frozenset[str]:
    """Return the columns that are set for capture; raw data have additional ones, to compute means from."""
    from ..protocol import GetLine, GetMultiline

    fields = [line.split()[0] for line in await client.send(GetMultiline("*CAPTURE"))]
    captures = await asyncio.gather(*(client.send(GetLine(f"{field}.CAPTURE")) for field in fields))
    return frozenset(f"{field}.{word}" for field, words in zip(fields, captures, strict=True) for word in words.split())


async def _record(
    client: "AsyncioClient",
    stream: "AsyncGenerator[Data, None]",
    files: _Files,
    progress: "tqdm[NoReturn]",
    *,
    arm: bool,
) -> None:
    """Write the stream to files until the limit, an error, or a signal."""
    from ..capture.errors import CaptureError
    from ..capture.recorder import LOST, STOPPED
    from ..client import PandaConnectionError
    from ..protocol import PandaError

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    arming = _Arming(client) if arm else None
    receiving = asyncio.create_task(_receive(stream, files, progress, arming))
    ends = [receiving, asyncio.create_task(stop.wait()), asyncio.create_task(files.failed.wait())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for task in ends:
        task.cancel()
    (failure, *_) = await asyncio.gather(*ends, return_exceptions=True)
    files.finish(
        failure if isinstance(failure, PandaError) else None,
        LOST if isinstance(failure, PandaConnectionError) else STOPPED,
    )
    armed = await arming.disarm() if arming else ""
    await files.close()
    if isinstance(failure, Exception) and not isinstance(failure, PandaError):
        raise failure
    if armed:
        files.error = files.error or CaptureError(f"the PandA may still be armed, disarming failed: {armed}")


class _Arming:
    """Arms PCAP, and disarms it at the end if it may still be armed."""

    def __init__(self, client: "AsyncioClient") -> None:
        self._client = client
        self._armed = False

    async def arm(self, files: _Files) -> bool:
        """Arm PCAP, once the file exists for its samples; return False if that cannot be created."""
        from ..protocol import Arm, CommandError

        if not await files.wait_created():
            return False
        self._armed = True
        try:
            await self._client.send(Arm())
        except CommandError:
            self._armed = False
            raise
        return True

    def ended(self) -> None:
        """Note that the acquisition ended, so PCAP is not armed."""
        self._armed = False

    async def disarm(self) -> str:
        """Disarm if PCAP may be armed; return the error message if that fails, else ""."""
        from ..protocol import Disarm, PandaError

        try:
            if self._armed:
                await self._client.send(Disarm())
        except PandaError as error:
            return str(error)
        return ""


async def _receive(
    stream: "AsyncGenerator[Data, None]", files: _Files, progress: "tqdm[NoReturn]", arming: _Arming | None
) -> None:
    from ..capture.acquisition import follow, samples_in
    from ..protocol import EndData

    acquisition = None
    async with contextlib.aclosing(stream):
        if arming is not None and not await arming.arm(files):
            return
        async for data in stream:
            acquisition = follow(acquisition, data)
            if acquisition is None:
                continue
            recorder = files.recorder
            recorder.process(data, acquisition)
            progress.update(samples_in(data))
            if arming is not None and isinstance(data, EndData):
                arming.ended()
            if not recorder.capturing and not await files.next():
                return
            if arming is not None and isinstance(data, EndData) and not await arming.arm(files):
                return
            if recorder.full:
                await recorder.wait_room()  # the PandA buffers its data meanwhile
