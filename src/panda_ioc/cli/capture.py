"""Commands about captured data: into a file, and as a picture."""
# ruff: noqa: PLC0415 - see the package

import asyncio
import contextlib
import signal
import threading
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from .common import clear_errors, panda_options
from .numbered import capture_each, is_numbered

if TYPE_CHECKING:
    from tqdm import tqdm

    from ..capture.recorder import Recorder
    from ..client import AsyncioClient
    from ..protocol import Data

#: Seconds that a disk may take for what waits, at the end.
_CLOSE_TIMEOUT = 60.0


@click.command()
@panda_options
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--arm", is_flag=True, help="Arm PCAP once all is ready, for each acquisition.")
@click.option("--samples", type=click.IntRange(1), help="End after so many samples.")
@click.option(
    "--acquisitions", type=click.IntRange(0), help="End after so many acquisitions, 0 for never.  [default: 1]"
)
@click.option("--raw", is_flag=True, help="Store integers as the hardware made them; attributes tell how they scale.")
@click.option("--compression", default="none", show_default=True, help="none, gzip, lz4 or zstd.")
@click.option(
    "--bits",
    type=click.Choice(("uint32", "float64")),
    default="uint32",
    show_default=True,
    help="Type of bits in a file that is not raw.",
)
@click.option(
    "--chunk-rows", type=click.IntRange(1, 1 << 20), help="Rows of a chunk; more for fast captures.  [default: 1024]"
)
@click.option("--nexus", is_flag=True, help="Mark the data so that NeXus viewers plot them.")
@click.option("--overwrite", is_flag=True, help="Replace the file if there is one.")
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
    """Capture what the PandA at HOST sends into an HDF5 FILE, which others can read while it grows.

    It ends after one acquisition, or with Ctrl-C; exits with 1 if the file does not have all that was captured.
    A name with a number in it, scan_%04d.h5, makes a file for each acquisition, counted from 1.
    """
    from ..capture.columns import stored_columns
    from ..capture.hdf import HdfFile
    from ..capture.options import ROWS_PER_CHUNK, ColumnOptions, FileOptions
    from ..capture.pipeline import Writing
    from ..capture.recorder import Recorder, Storing
    from ..capture.selection import First
    from ..client import AsyncioClient

    options = FileOptions(
        rows_per_chunk=chunk_rows or ROWS_PER_CHUNK, compression=compression, nexus=nexus, overwrite=overwrite
    )
    limit = acquisitions if acquisitions is not None else 0 if samples else 1
    made = threading.Event()

    def make_file() -> HdfFile:
        hdf = HdfFile(file, options)
        made.set()
        return hdf

    if is_numbered(file) and samples:
        raise click.UsageError("--samples is for one file; leave it out, or the number in the name of the file")

    async def run() -> "Recorder | None":
        async with AsyncioClient(host, control_port, data_port) as client:
            asked = await _asked(client)
            columns = partial(stored_columns, options=ColumnOptions(raw=raw, asked=asked, bits=bits, nexus=nexus))
            if is_numbered(file):
                writing = Writing(columns=columns, make_file=partial(HdfFile, options=options))
                await capture_each(client, file, writing, arm=arm, acquisitions=limit)
                return None
            stream = await _ready(client)  # or there is no file to be made
            recorder = Recorder(Storing(make_file, columns), First(samples or 0, limit))
            with _progress(samples) as progress:
                await _record(client, stream, recorder, progress, arm=arm)
            return recorder

    recorder = asyncio.run(run())
    if recorder is None:
        return
    if made.is_set() and recorder.error and not recorder.acquisitions:
        file.unlink(missing_ok=True)  # or the next try would find it in its way
    elif made.is_set():
        click.echo(
            f"{file}: {recorder.writer.flushed} samples of {recorder.acquisitions} acquisitions, "
            f"{recorder.missed} missed, last end: {recorder.end_reason or 'none'}"
        )
    if recorder.error:
        raise recorder.error


async def _ready(client: "AsyncioClient") -> "AsyncGenerator[Data, None]":
    """What comes from the data port, once that is ready: what is armed from then on is not missed."""
    from ..client import PandaTimeoutError

    stream = client.data(scaled=False)
    try:
        async with asyncio.timeout(client.timeout):
            await anext(stream)
    except TimeoutError as error:
        raise PandaTimeoutError(
            f"the data port {client.host}:{client.data_port} said nothing within {client.timeout:g} s"
        ) from error
    return stream


async def _asked(client: "AsyncioClient") -> frozenset[str]:
    """Return the columns that people chose for capture; raw data may have others, to compute means from."""
    from ..protocol import GetLine, GetMultiline

    fields = [line.split()[0] for line in await client.send(GetMultiline("*CAPTURE"))]
    captures = await asyncio.gather(*(client.send(GetLine(f"{field}.CAPTURE")) for field in fields))
    return frozenset(f"{field}.{word}" for field, words in zip(fields, captures, strict=True) for word in words.split())


def _progress(samples: int | None) -> "tqdm[NoReturn]":
    from tqdm import tqdm

    return tqdm(total=samples, unit=" samples", unit_scale=True, disable=None)


async def _record(
    client: "AsyncioClient",
    stream: "AsyncGenerator[Data, None]",
    recorder: "Recorder",
    progress: "tqdm[NoReturn]",
    *,
    arm: bool,
) -> None:
    """Give the recorder what comes, until it has enough, it cannot go on, or somebody stops it."""
    from ..capture.errors import CaptureError
    from ..capture.recorder import LOST, STOPPED
    from ..client import PandaConnectionError
    from ..protocol import PandaError

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    arming = _Arming(client) if arm else None
    receiving = asyncio.create_task(_receive(stream, recorder, progress, arming))
    ends = [receiving, asyncio.create_task(stop.wait()), asyncio.create_task(recorder.wait_closed())]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for task in ends:
        task.cancel()
    (failure, *_) = await asyncio.gather(*ends, return_exceptions=True)
    recorder.finish(
        failure if isinstance(failure, PandaError) else None,
        LOST if isinstance(failure, PandaConnectionError) else STOPPED,
    )
    armed = await arming.disarm() if arming else ""
    if not await recorder.wait_closed(_CLOSE_TIMEOUT):
        raise CaptureError(f"the disk took nothing for {_CLOSE_TIMEOUT:g} s: the file is not complete")
    if isinstance(failure, Exception) and not isinstance(failure, PandaError):
        raise failure
    if armed:
        recorder.error = recorder.error or CaptureError(f"the PandA may be armed still: {armed}")


class _Arming:
    """Arms PCAP, and knows whether it may be armed still by us."""

    def __init__(self, client: "AsyncioClient") -> None:
        self._client = client
        self._armed = False

    async def arm(self) -> None:
        """Arm, when nothing is under way."""
        from ..protocol import Arm, CommandError

        self._armed = True
        try:
            await self._client.send(Arm())
        except CommandError:
            self._armed = False
            raise

    def ended(self) -> None:
        """The acquisition is over."""
        self._armed = False

    async def disarm(self) -> str:
        """Disarm if need be; return why that was not possible, "" if it was."""
        from ..protocol import Disarm, PandaError

        try:
            if self._armed:
                await self._client.send(Disarm())
        except PandaError as error:
            return str(error)
        return ""


async def _receive(
    stream: "AsyncGenerator[Data, None]", recorder: "Recorder", progress: "tqdm[NoReturn]", arming: _Arming | None
) -> None:
    from ..protocol import EndData, FrameData

    async with contextlib.aclosing(stream):
        if arming is not None:
            await arming.arm()
        async for data in stream:
            recorder.take(data)
            if isinstance(data, FrameData):
                progress.update(len(data.data))
            if arming is not None and isinstance(data, EndData):
                arming.ended()
            if recorder.finished:
                return
            if arming is not None and isinstance(data, EndData):
                await arming.arm()


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Picture to write, such as x.png; else a window.")
@click.option("--column", "-c", multiple=True, help="Column to show; all if none is named.")
@clear_errors
def plot(*, file: Path, output: Path | None, column: tuple[str, ...]) -> None:
    """Show the columns of a captured FILE against time, also while it is written."""
    from ..capture.picture import draw

    draw(file, output, column)
