"""Commands about the IOC: run it, and show what it would serve."""
# ruff: noqa: PLC0415 - see the package

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from .common import LOG_LEVELS, PORT, Decorator, clear_errors, log_to_stdout, panda_options

if TYPE_CHECKING:
    from ..ioc.plan.model import Model
    from ..ioc.plan.plan import Plan
    from ..ioc.process.config import Config

DIRECTORY = click.Path()

#: Seconds that the end may take: of what is left for standard output, and of EPICS, which keeps settings a last time.
_FLUSH_TIMEOUT = 1.0
_END_TIMEOUT = 12.0


def _option(name: str, kind: Any, text: str, **more: Any) -> Decorator:
    """An option that says nothing unless it is given, here or by a variable."""
    variable = "PANDA_IOC_" + name.strip("-").replace("-", "_").upper()
    return click.option(name, type=kind, envvar=variable, help=text, **more)


@click.command()
@click.argument("host", required=False, envvar="PANDA_IOC_HOST")
@click.argument("prefix", required=False, envvar="PANDA_IOC_PREFIX")
@click.option("--config", type=click.Path(path_type=Path), envvar="PANDA_IOC_CONFIG", help="YAML file that says all.")
@_option("--control-port", PORT, "Port of the PandA's commands.  [default: 8888]")
@_option("--data-port", PORT, "Port of its data.  [default: 8889]")
@_option("--poll", None, "How often to ask for a group of changes.", multiple=True, metavar="GROUP=SECONDS")
@_option("--data-root", click.Path(), "Files are written only below; may be repeated.", multiple=True)
@_option("--state-dir", DIRECTORY, "Keep settings of DATA and what the PandA has here.")
@_option("--designs-dir", DIRECTORY, "Save and load whole setups of the PandA here.")
@_option("--screens-dir", DIRECTORY, "Write screens for Phoebus here.")
@_option("--clear-bobfiles", None, "Remove screens of an earlier run first.", is_flag=True, default=None)
@_option("--pvi-compatible", None, "List only what pandablocks-ioc lists in PVI.", is_flag=True, default=None)
@_option("--pvi-write-only", click.Choice(["rw", "w"]), "Access of fields that cannot be read in PVI.  [default: rw]")
@_option("--read-only", None, "Refuse every put.", is_flag=True, default=None)
@_option("--access-file", click.Path(), "EPICS access security file.")
@_option("--http-port", click.IntRange(0, 65535), "Serve /metrics, /healthz and /readyz on this port.")
@_option("--http-host", click.STRING, "Address to serve them on.  [default: 127.0.0.1]")
@_option("--console", None, "Read commands of EPICS here, such as dbl().", is_flag=True, default=None)
@_option("--log-level", LOG_LEVELS, "How much to log.  [default: info]")
@clear_errors
def run(*, config: Path | None, **options: Any) -> None:
    """Serve the PandA at HOST as process variables that begin with PREFIX, until stopped.

    All can be said in a YAML file, by options, or by variables such as PANDA_IOC_HTTP_PORT; an option goes over a
    variable, and both over the file.

    Exits with 0 when it was told to stop, with 1 when it could not start, and with 75 when it has to be started
    anew: the PandA came back with other blocks or firmware, or somebody put to PREFIX:IOC:RESTART.
    """
    from ..ioc.servers.ca.lean_dso import load_epics

    loading = threading.Thread(target=load_epics, name="load EPICS")  # it takes longest
    loading.start()
    try:
        wanted = _configuration(config, options)
    except BaseException:
        loading.join()  # not to be ended in the middle of it
        raise
    end(serve(wanted))


#: Where in a configuration the arguments and options of `run` go.
_PLACES = {
    "host": ("panda", "host"),
    "prefix": ("prefix",),
    "control_port": ("panda", "control_port"),
    "data_port": ("panda", "data_port"),
    "poll": ("poll",),
    "data_root": ("data", "roots"),
    "state_dir": ("state", "directory"),
    "designs_dir": ("designs", "directory"),
    "screens_dir": ("screens", "directory"),
    "clear_bobfiles": ("screens", "clear"),
    "pvi_compatible": ("pvi", "compatible"),
    "pvi_write_only": ("pvi", "write_only"),
    "read_only": ("access", "read_only"),
    "access_file": ("access", "file"),
    "http_port": ("http", "port"),
    "http_host": ("http", "host"),
    "console": ("console",),
    "log_level": ("log_level",),
}


def _configuration(file: Path | None, options: Mapping[str, Any]) -> "Config":
    """What is to be run: the file, and options over it.

    Raises:
        UsageError: options make no sense, each is named
        YamlFileError: the file makes none
    """
    from ..ioc.process.config import Config, merged

    over = _as_configuration(options)
    if problems := _problems(merged({}, over)):
        raise click.UsageError("\n".join(problems))
    if file is not None:
        from .. import yamlfile

        return yamlfile.load(
            file, Config, lambda content: merged(content, over) if isinstance(content, dict) else content
        )
    if options["host"] is None or options["prefix"] is None:
        raise click.UsageError("say HOST and PREFIX, or give a file with --config")
    return Config.model_validate(merged({}, over))


def _as_configuration(options: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        **options,
        "poll": dict(_poll(value) for value in options["poll"]),
        "data_root": list(options["data_root"]) or None,
    }
    configuration: dict[str, Any] = {}
    for name, (*sections, key) in _PLACES.items():
        section = configuration
        for step in sections:
            section = section.setdefault(step, {})
        section[key] = values[name]
    return configuration


def _problems(configuration: dict[str, Any]) -> list[str]:
    """What is wrong with the options, of which there need not be all."""
    from pydantic import ValidationError

    from ..ioc.process.config import Config

    try:
        Config.model_validate(configuration)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        return [f"{_shown(item['loc'])}: {item['msg']}" for item in problems if item["type"] != "missing"]
    return []


def _shown(location: tuple[int | str, ...]) -> str:
    """The argument, option or variable that something in the configuration was given by."""
    context = click.get_current_context()
    name = next(name for name, place in _PLACES.items() if location[: len(place)] == place)
    parameter = next(parameter for parameter in context.command.params if parameter.name == name)
    if context.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
        return str(parameter.envvar)
    return parameter.opts[0] if isinstance(parameter, click.Option) else name.upper()


def _poll(value: str) -> tuple[str, float]:
    name, _, seconds = value.partition("=")
    try:
        return name, float(seconds)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not GROUP=SECONDS", param_hint="--poll") from None


@click.command()
def schema() -> None:
    """Print what a configuration file may say, as a JSON schema."""
    from ..ioc.process.config import Config

    click.echo(json.dumps(Config.model_json_schema(), indent=2))


def serve(config: "Config") -> int:
    """Run an IOC until it is told to stop; return the exit code for `end`."""
    from ..ioc.process.run import run

    log_to_stdout(config.log_level)
    try:
        return asyncio.run(run(config))
    finally:
        for handler in logging.getLogger().handlers:
            handler.flush()  # what is said of an error comes after what was logged before


def end(code: int) -> NoReturn:
    """End the process in which EPICS has run; whatever is stuck, it ends."""
    from ..ioc.servers.ca.server import stop

    flushing = threading.Thread(target=_flush, name="flush", daemon=True)  # it would wait for who does not read
    flushing.start()
    flushing.join(_FLUSH_TIMEOUT)
    threading.Thread(target=_end_at_last, args=(code,), name="last end", daemon=True).start()
    stop(code)


def _flush() -> None:
    with contextlib.suppress(OSError):  # nobody reads it any more, which must not make this a failure
        if sys.__stdout__:
            sys.__stdout__.flush()


def _end_at_last(code: int) -> None:
    time.sleep(_END_TIMEOUT)
    os._exit(code)


@click.command()
@panda_options
@click.argument("prefix")
@click.option("--json", "as_json", is_flag=True, help="Print all that is planned, as JSON.")
@clear_errors
def records(*, host: str, prefix: str, control_port: int, data_port: int, as_json: bool) -> None:
    """Print the records and tables that `run HOST PREFIX` would serve."""
    from ..ioc.plan.archive import archive_hint

    plan = _plan_of(host, control_port, data_port, prefix)
    for remark in plan.remarks:
        click.echo(remark, err=True)
    if as_json:
        tables = [{**dataclasses.asdict(table), "access": table.access.value} for table in plan.tables]
        records = [{**_plain(record), "archive": archive_hint(record)} for record in plan.records]
        click.echo(json.dumps({"prefix": plan.prefix, "records": records, "tables": tables}, indent=1))
        return
    rows = [
        (plan.pv(name), record.kind.value, record.access.value, record.units, record.description)
        for record in plan.records
        for name in (record.name, *record.aliases)
    ]
    rows += [(plan.pv(table.name), "table", table.access.value, "", table.description) for table in plan.tables]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[4]]).rstrip())


def _plan_of(host: str, control_port: int, data_port: int, prefix: str, *, designs: bool = False) -> "Plan":
    """What would be served for a PandA."""
    return _met(host, control_port, data_port, prefix, designs=designs)[1]


def _met(host: str, control_port: int, data_port: int, prefix: str, *, designs: bool = False) -> "tuple[Model, Plan]":
    """What a PandA has, and what would be served for it."""
    from ..client import AsyncioClient
    from ..ioc.link.introspection import introspect
    from ..ioc.plan.plan import make_plan

    async def ask() -> "tuple[Model, Plan]":
        async with AsyncioClient(host, control_port, data_port) as client:
            model = await introspect(client)
            return model, make_plan(model, prefix, designs=designs)

    return asyncio.run(ask())


@click.command()
@panda_options
@click.argument("prefix")
@clear_errors
def check(*, host: str, prefix: str, control_port: int, data_port: int) -> None:
    """Compare the names that pandablocks-ioc would serve for the PandA at HOST with ours.

    Exits with 1 if any is missing here.
    """
    from ..ioc.plan.compat import known_names, missing_names

    model, plan = _met(host, control_port, data_port, prefix)
    missing = missing_names(model, plan)
    for name in missing:
        click.echo(f"missing: {plan.pv(name)}")
    names = len(known_names(model))
    click.echo(f"{names - len(missing)} of the {names} names of pandablocks-ioc 0.11.6 are served here")
    if missing:
        sys.exit(1)


@click.command()
@panda_options
@click.argument("prefix")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--clear-bobfiles", is_flag=True, help="Remove screens there that this program made for something else.")
@click.option("--designs", is_flag=True, help="With the screen of an IOC that runs with --designs-dir.")
@clear_errors
def screens(
    *,
    host: str,
    prefix: str,
    directory: Path,
    control_port: int,
    data_port: int,
    clear_bobfiles: bool,
    designs: bool,
) -> None:
    """Write screens for Phoebus to DIRECTORY, of what `run HOST PREFIX` would serve.

    Screens that people changed are kept as they are.
    """
    from ..ioc.screens.files import write
    from ..ioc.screens.make import as_files

    texts = as_files(_plan_of(host, control_port, data_port, prefix, designs=designs))
    directory.mkdir(parents=True, exist_ok=True)
    done = write(texts, directory, clear=clear_bobfiles)
    for name in done.kept:
        click.echo(f"{directory / name}: changed by people, and kept", err=True)
    click.echo(f"wrote {len(done.written)} screens to {directory}: begin with Overview.bob")


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
