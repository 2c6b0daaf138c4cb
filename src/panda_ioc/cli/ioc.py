"""Commands about the IOC: run it, and show what it would serve."""
# ruff: noqa: PLC0415 - see the package

import asyncio
import dataclasses
import json
import sys
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ..protocol import ChangeGroup
from .common import clear_errors, log_option, log_to_stdout, panda_options

if TYPE_CHECKING:
    from ..ioc.plan import Plan
    from ..ioc.run import Options


def _periods(values: tuple[str, ...]) -> Mapping[ChangeGroup, float]:
    from ..ioc.poll import PERIODS

    periods = dict(PERIODS)
    for value in values:
        name, equals, seconds = value.partition("=")
        try:
            group, period = ChangeGroup[name.upper()], float(seconds)
        except (KeyError, ValueError):
            group, period = ChangeGroup.ALL, 0.0
        if not equals or group not in periods or not 0.005 <= period <= 60:
            names = ", ".join(group.name for group in periods)
            raise click.BadParameter(
                f"{value!r} is not GROUP=SECONDS with a group of {names} and 0.005 to 60 seconds", param_hint="--poll"
            )
        periods[group] = period
    return periods


@click.command()
@panda_options
@click.argument("prefix")
@click.option("--poll", multiple=True, metavar="GROUP=SECONDS", help="How often to ask for a group of changes.")
@click.option("--screens-dir", type=click.Path(), help="Accepted as from pandablocks-ioc; no screens are written yet.")
@click.option("--clear-bobfiles", is_flag=True, help="Accepted as from pandablocks-ioc.")
@log_option
@clear_errors
def run(
    *,
    host: str,
    prefix: str,
    control_port: int,
    data_port: int,
    poll: tuple[str, ...],
    screens_dir: str | None,
    clear_bobfiles: bool,  # noqa: ARG001 - there are no screens to clear
    log_level: str,
) -> None:
    """Serve the PandA at HOST as process variables that begin with PREFIX, until stopped.

    Exits with 0 when it was told to stop, with 1 when it could not start, and with 75 when the PandA came
    back with other blocks or firmware, so that it has to be started anew.
    """
    from ..ioc.run import Options

    if screens_dir:
        click.echo(f"panda-ioc: nothing is written to {screens_dir}: this version makes no screens", err=True)
    end(serve(Options(host, prefix, control_port, data_port, _periods(poll)), log_level))


def serve(options: "Options", log_level: str) -> int:
    """Run an IOC until it is told to stop; return the exit code for `end`."""
    from ..ioc.run import run

    log_to_stdout(log_level)
    return asyncio.run(run(options))


def end(code: int) -> NoReturn:
    """End the process in which EPICS has run."""
    from ..ioc.epics import stop

    sys.stdout.flush()
    stop(code)


@click.command()
@panda_options
@click.argument("prefix")
@click.option("--json", "as_json", is_flag=True, help="Print all that is planned, as JSON.")
@clear_errors
def records(*, host: str, prefix: str, control_port: int, data_port: int, as_json: bool) -> None:
    """Print the records that `run HOST PREFIX` would serve."""
    from ..client import AsyncioClient
    from ..ioc.introspect import introspect
    from ..ioc.plan import make_plan

    async def ask() -> "Plan":
        async with AsyncioClient(host, control_port, data_port) as client:
            return make_plan(await introspect(client), prefix)

    plan = asyncio.run(ask())
    for remark in plan.remarks:
        click.echo(remark, err=True)
    if as_json:
        click.echo(
            json.dumps({"prefix": plan.prefix, "records": [_plain(record) for record in plan.records]}, indent=1)
        )
        return
    rows = [
        (plan.pv(name), record.kind.value, record.access.value, record.units, record.description)
        for record in plan.records
        for name in (record.name, *record.aliases)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[4]]).rstrip())


def _plain(record: Any) -> dict[str, Any]:
    """A record as JSON has it: without what has its default, the codec by its name and what it needs."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if field.name == "codec":
            value = {"type": type(value).__name__, **dataclasses.asdict(value)}
        if value != field.default or field.name == "description":
            plain[field.name] = value.value if isinstance(value, Enum) else value
    return plain
