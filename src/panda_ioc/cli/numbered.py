"""`panda-ioc capture` into a file for each acquisition."""
# ruff: noqa: PLC0415 - see the package

import asyncio
import contextlib
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..capture.pipeline import Writing
    from ..client import AsyncioClient


def is_numbered(file: Path) -> bool:
    """Return whether a name has a number in it, as scan_%04d.h5."""
    return re.search(r"%0?\d*d", file.name) is not None


async def capture_each(
    client: "AsyncioClient", file: Path, writing: "Writing", *, arm: bool, acquisitions: int
) -> None:
    """Write a file for each acquisition, until there are so many (0: for ever), or somebody stops it.

    Raises:
        PandaError: see `panda_ioc.capture.pipeline.write_files`
    """
    from ..capture.pipeline import write_files

    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - asyncio's promise, not input
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    files = write_files(client, file, writing, arm=arm, count=acquisitions or None)
    try:
        async with contextlib.aclosing(files) as written:
            async for done in written:
                click.echo(f"{done.path}: {done.samples} samples, {done.missed} missed, last end: {done.end_reason}")
    except asyncio.CancelledError:
        click.echo("stopped")
