"""The command `panda-ioc` with all subcommands."""

import os

import click

from .. import __version__
from . import capture, ioc, plotting, pvs, setup, simulator, trial
from .common import LOG_LEVELS
from .console import console


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="panda-ioc")
@click.option("--log-level", type=LOG_LEVELS, help="Default --log-level of every command.")
@click.pass_context
def main(context: click.Context, log_level: str | None) -> None:
    """Serve a PandA as EPICS PVs, control it, capture its data, or simulate one."""
    if log_level is not None:  # pandablocks-ioc has this option before the command
        context.default_map = {name: {"log_level": log_level} for name in main.commands}
        os.environ["PANDA_IOC_LOG_LEVEL"] = log_level  # the variable would override the default


for command in (
    ioc.run,
    ioc.records,
    ioc.schema,
    ioc.check,
    ioc.screens,
    simulator.demo,
    simulator.simulator,
    simulator.drive,
    console,
    setup.save,
    setup.load,
    trial.try_,
    trial.wiring,
    trial.diff,
    capture.capture,
    plotting.plot,
    pvs.get_,
    pvs.put,
    pvs.monitor,
):
    main.add_command(command)

# The name of this command in pandablocks-ioc, for existing deployments.
main.add_command(ioc.run, "softioc")
