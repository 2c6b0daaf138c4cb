"""Commands to run the IOC, and to list the PVs and screens that it would serve."""
# ruff: noqa: PLC0415 - see the package

import asyncio
import contextlib
import dataclasses
import gc
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.core import ParameterSource

from .common import LOG_LEVELS, PORT, Decorator, clear_errors, log_to_stdout, panda_options
from .record_json import record_as_json

if TYPE_CHECKING:
    from ..ioc.plan.model import Model
    from ..ioc.plan.plan import Plan
    from ..ioc.process.config import Config

DIRECTORY = click.Path()

#: Seconds that shutdown may take: to flush standard output, and for EPICS to exit, which saves settings a last time.
_FLUSH_TIMEOUT = 1.0
_END_TIMEOUT = 12.0


def _variable(parameter: click.Parameter, context: click.Context) -> str:
    """Return the variable that set a parameter; "" if none did."""
    from_variable = context.get_parameter_source(parameter.name or "") is ParameterSource.ENVIRONMENT
    return str(parameter.envvar) if from_variable else ""


class _Option(click.Option):
    """An option whose errors name the variable if that set the value."""

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Return the name for error messages; click calls this."""
        return (ctx and _variable(self, ctx)) or super().get_error_hint(ctx)


def _option(name: str, kind: Any, text: str, **more: Any) -> Decorator:
    """Return an option without a default, which the variable PANDA_IOC_NAME can also set."""
    variable = "PANDA_IOC_" + name.strip("-").replace("-", "_").upper()
    return click.option(name, type=kind, envvar=variable, help=text, cls=_Option, **more)


@click.command()
@click.argument("host", required=False, envvar="PANDA_IOC_HOST")
@click.argument("prefix", required=False, envvar="PANDA_IOC_PREFIX")
@click.option("--config", type=click.Path(path_type=Path), envvar="PANDA_IOC_CONFIG", help="YAML configuration file.")
@_option("--control-port", PORT, "Control port of the PandA.  [default: 8888]")
@_option("--data-port", PORT, "Data port of the PandA.  [default: 8889]")
@_option(
    "--poll",
    None,
    "Poll period of a change group: CONFIG, ATTR, BITS, POSN, READ, TABLE or METADATA; repeatable.",
    multiple=True,
    metavar="GROUP=SECONDS",
)
@_option("--data-root", click.Path(), "Allow HDF5 files only below this directory; repeatable.", multiple=True)
@_option("--state-dir", DIRECTORY, "Directory for autosaved DATA settings and the cached description of the PandA.")
@_option("--designs-dir", DIRECTORY, "Directory of designs: all settings of a PandA, to save and load.")
@_option("--screens-dir", DIRECTORY, "Directory to write Phoebus screens to.")
@_option("--clear-bobfiles", None, "First remove unedited screens of earlier runs.", is_flag=True, default=None)
@_option("--pvi-compatible", None, "Limit PVI to the PVs that pandablocks-ioc lists.", is_flag=True, default=None)
@_option("--pvi-write-only", click.Choice(["rw", "w"]), "Access of write-only fields in PVI.  [default: rw]")
@_option("--read-only", None, "Refuse every put.", is_flag=True, default=None)
@_option("--access-file", click.Path(), "EPICS access security file.")
@_option("--http-port", click.IntRange(0, 65535), "Port for /metrics, /healthz and /readyz.")
@_option("--http-host", click.STRING, "Address for the HTTP port.  [default: 127.0.0.1]")
@_option("--console", None, "Start the EPICS console on standard input: dbl() and so on.", is_flag=True, default=None)
@_option("--log-level", LOG_LEVELS, "Lowest level to log; 'put' includes every accepted put.  [default: info]")
@clear_errors
def run(*, config: Path | None, **options: Any) -> None:
    """Run an IOC that serves the PandA at HOST as PVs with the given PREFIX, until stopped.

    A YAML file, options, or variables such as PANDA_IOC_HTTP_PORT set the configuration. Options override variables;
    variables override the file.

    Exit codes: 0 after SIGINT or SIGTERM; 1 if it cannot start or failed; 2 if the options are not valid; 75 if it must
    be restarted, because the PandA came back with other blocks or firmware, or after a put to PREFIX:IOC:RESTART.
    """
    from ..ioc.servers.ca.lean_dso import load_epics

    loading = threading.Thread(target=load_epics, name="load EPICS")  # the slowest import
    loading.start()
    try:
        wanted = _configuration(config, options)
    except BaseException:
        loading.join()  # Python must not exit while EPICS is loading
        raise
    end(serve(wanted))


#: The configuration key of each argument and option of `run`.
_KEYS = {
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
    """Return the configuration from the file, with the options merged over it.

    Raises:
        UsageError: options are not valid; the message names each
        YamlFileError: the file is not valid
    """
    from ..ioc.process.config import Config, merged
    from ..validation import validated

    over = _as_configuration(options)
    if problems := _problems(merged({}, over)):
        raise click.UsageError("\n".join(problems))
    if file is not None:
        from .. import yamlfile

        return yamlfile.load(
            file, Config, lambda content: merged(content, over) if isinstance(content, dict) else content
        )
    if options["host"] is None or options["prefix"] is None:
        raise click.UsageError("missing HOST and PREFIX: give both, or a configuration file with --config")
    return validated(merged({}, over), Config)


def _as_configuration(options: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        **options,
        "poll": dict(_poll(value) for value in options["poll"]),
        "data_root": list(options["data_root"]) or None,
    }
    configuration: dict[str, Any] = {}
    for name, (*sections, key) in _KEYS.items():
        section = configuration
        for step in sections:
            section = section.setdefault(step, {})
        section[key] = values[name]
    return configuration


def _problems(configuration: dict[str, Any]) -> list[str]:
    """Return the errors in the options; missing options are not errors."""
    from ..ioc.process.config import Config
    from ..validation import MISSING, InvalidError, Problem, validated

    try:
        validated(configuration, Config)
    except InvalidError as error:
        return [str(Problem((_shown(where),), what)) for where, what in error.problems if what != MISSING]
    return []


def _shown(location: tuple[int | str, ...]) -> str:
    """Return the name of the argument, option or variable that set a configuration key."""
    context = click.get_current_context()
    name = next(name for name, place in _KEYS.items() if location[: len(place)] == place)
    parameter = next(parameter for parameter in context.command.params if parameter.name == name)
    own_name = parameter.opts[0] if isinstance(parameter, click.Option) else name.upper()
    return _variable(parameter, context) or own_name


def _poll(value: str) -> tuple[str, float]:
    name, _, seconds = value.partition("=")
    try:
        return name, float(seconds)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not of the form GROUP=SECONDS", param_hint=_shown(("poll",))) from None


@click.command()
def schema() -> None:
    """Print the JSON schema of the configuration file."""
    from .. import validation
    from ..ioc.process.config import Config

    click.echo(json.dumps(validation.schema(Config), indent=2))


def serve(config: "Config") -> int:
    """Run an IOC until it is stopped; return the exit code for `end`."""
    from ..ioc.process.run import run

    gc.freeze()  # modules live until the end
    gc.enable()
    log_to_stdout(config.log_level)
    try:
        return asyncio.run(run(config))
    finally:
        for handler in logging.getLogger().handlers:
            handler.flush()  # so that an error message comes after the log lines before it


def end(code: int) -> NoReturn:
    """Exit a process in which EPICS has run, within a time limit even if a thread hangs."""
    from ..ioc.servers.ca.server import stop

    # In a thread, because flushing blocks if nothing reads standard output.
    flushing = threading.Thread(target=_flush, name="flush", daemon=True)
    flushing.start()
    flushing.join(_FLUSH_TIMEOUT)
    threading.Thread(target=_exit_late, args=(code,), name="last end", daemon=True).start()
    stop(code)


def _flush() -> None:
    with contextlib.suppress(OSError):  # a closed standard output must not change the exit code
        if sys.__stdout__:
            sys.__stdout__.flush()


def _exit_late(code: int) -> None:
    time.sleep(_END_TIMEOUT)
    os._exit(code)


@click.command()
@panda_options
@click.argument("prefix")
@click.option("--json", "as_json", is_flag=True, help="Print all attributes of the records as JSON.")
@clear_errors
def records(*, host: str, prefix: str, control_port: int, data_port: int, as_json: bool) -> None:
    """List the records and tables that `run HOST PREFIX` would serve."""
    from ..ioc.plan.archive import archive_hint

    plan = _plan_of(host, control_port, data_port, prefix)
    for remark in plan.remarks:
        click.echo(remark, err=True)
    if as_json:
        tables = [{**dataclasses.asdict(table), "access": table.access.value} for table in plan.tables]
        records = [{**record_as_json(record), "archive": archive_hint(record)} for record in plan.records]
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
    """Return the plan for a PandA."""
    return _model_and_plan(host, control_port, data_port, prefix, designs=designs)[1]


def _model_and_plan(
    host: str, control_port: int, data_port: int, prefix: str, *, designs: bool = False
) -> "tuple[Model, Plan]":
    """Connect to a PandA and return its model and the plan for it."""
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
    """Check that all PVs of pandablocks-ioc exist here, for the PandA at HOST.

    Lists the PVs that are missing, and exits with 1 if there are any.
    """
    from ..ioc.plan.compat import known_names, missing_names

    model, plan = _model_and_plan(host, control_port, data_port, prefix)
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
@click.option("--clear-bobfiles", is_flag=True, help="First remove unedited screens that are not needed any more.")
@click.option(
    "--designs", is_flag=True, help="Include the screen for designs, for an IOC that runs with --designs-dir."
)
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
    """Write Phoebus screens to DIRECTORY, for the PVs that `run HOST PREFIX` would serve.

    Screens that were edited by hand are not overwritten.
    """
    from ..ioc.screens.files import write
    from ..ioc.screens.make import as_files

    texts = as_files(_plan_of(host, control_port, data_port, prefix, designs=designs))
    directory.mkdir(parents=True, exist_ok=True)
    done = write(texts, directory, clear=clear_bobfiles)
    for name in done.kept:
        click.echo(f"{directory / name}: not overwritten, because it was edited", err=True)
    click.echo(f"wrote {len(done.written)} screens to {directory}; start with Overview.bob")
