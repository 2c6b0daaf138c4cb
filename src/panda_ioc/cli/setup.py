"""Commands about the whole setup of a PandA: save it to a file, load it from one."""
# ruff: noqa: PLC0415 - see the package

import asyncio
from pathlib import Path

import click

from .common import clear_errors, panda_options


@click.command()
@panda_options
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@clear_errors
def save(host: str, file: Path, control_port: int, data_port: int) -> None:
    """Save all settings of the PandA at HOST to FILE, as text that `load` takes."""
    from .. import designfile
    from ..calls import Calls
    from ..client import AsyncioClient

    async def run() -> str:
        async with AsyncioClient(host, control_port, data_port) as client:
            return await designfile.save(client, file, Calls())

    note = asyncio.run(run())
    click.echo(f"saved the settings of {host} to {file}; {note}" if note else f"saved all settings of {host} to {file}")


@click.command()
@panda_options
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@clear_errors
def load(host: str, file: Path, control_port: int, data_port: int) -> None:
    """Load the settings in FILE into the PandA at HOST: all, or if it refuses any, none."""
    from .. import designfile
    from ..calls import Calls
    from ..client import AsyncioClient

    async def run() -> None:
        async with AsyncioClient(host, control_port, data_port) as client:
            await designfile.load(client, file, Calls())

    asyncio.run(run())
    click.echo(f"{host} took all of {file}")
