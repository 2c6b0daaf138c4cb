"""Commands to save all settings of a PandA to a file, and to load them."""
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
    """Save all settings of the PandA at HOST to FILE, a text file for `load`."""
    from .. import designfile
    from ..calls import SerialExecutor
    from ..client import AsyncioClient

    async def run() -> str:
        async with AsyncioClient(host, control_port, data_port) as client:
            return await designfile.save(client, file, SerialExecutor())

    note = asyncio.run(run())
    click.echo(f"saved the settings of {host} to {file}; {note}" if note else f"saved all settings of {host} to {file}")


@click.command()
@panda_options
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--skip-unknown",
    is_flag=True,
    help="Skip and list blocks, fields, bus entries and labels that the PandA does not have.",
)
@clear_errors
def load(host: str, file: Path, control_port: int, data_port: int, skip_unknown: bool) -> None:  # noqa: FBT001 - an option
    """Load the settings in FILE into the PandA at HOST: all, or none if it refuses any."""
    from .. import designfile
    from ..calls import SerialExecutor
    from ..client import AsyncioClient

    async def run() -> list[str]:
        async with AsyncioClient(host, control_port, data_port) as client:
            return await designfile.load(client, file, SerialExecutor(), skip_unknown=skip_unknown)

    left_out = asyncio.run(run())
    if left_out:
        click.echo(f"loaded {file} into {host}, except for what it does not have:")
        for line in left_out:
            click.echo(f"  {line}")
    else:
        click.echo(f"loaded all settings in {file} into {host}")
