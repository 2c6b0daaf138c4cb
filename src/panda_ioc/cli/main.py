"""All commands."""

import click

from .. import __version__
from . import capture, ioc, pvs, setup, simulator
from .console import console


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="panda-ioc")
def main() -> None:
    """Use a PandA: serve it as EPICS process variables, talk to it, or run one in software."""


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
    capture.capture,
    capture.plot,
    pvs.get_,
    pvs.put,
    pvs.monitor,
):
    main.add_command(command)

# What deployments of pandablocks-ioc call.
main.add_command(ioc.run, "softioc")
