"""All commands."""

import os

import click

from .. import __version__
from . import capture, ioc, pvs, setup, simulator, trial
from .common import LOG_LEVELS
from .console import console


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="panda-ioc")
@click.option("--log-level", type=LOG_LEVELS, help="How much commands log that take it, too.")
@click.pass_context
def main(context: click.Context, log_level: str | None) -> None:
    """Use a PandA: serve it as EPICS process variables, talk to it, or run one in software."""
    if log_level is not None:  # before the command, as pandablocks-ioc has it
        context.default_map = {name: {"log_level": log_level} for name in main.commands}
        os.environ["PANDA_IOC_LOG_LEVEL"] = log_level  # which would go over a default


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
    capture.plot,
    pvs.get_,
    pvs.put,
    pvs.monitor,
):
    main.add_command(command)

# What deployments of pandablocks-ioc call.
main.add_command(ioc.run, "softioc")
