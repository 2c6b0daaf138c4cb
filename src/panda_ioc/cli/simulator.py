"""Commands to run and drive a simulated PandA, and the demo."""
# ruff: noqa: PLC0415 - see the package

import asyncio
import contextlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click

from ..ports import CONTROL_PORT, DATA_PORT
from .common import clear_errors, log_option, panda_options

_PORT = click.IntRange(0, 65535)
_FILE = click.Path(path_type=Path)
_SPEED = "Simulated time per real time: 1 = real time, inf = as fast as possible, 0 = paused."


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--control-port", type=_PORT, default=CONTROL_PORT, show_default=True, help="Control port; 0 = any free port."
)
@click.option("--data-port", type=_PORT, default=DATA_PORT, show_default=True, help="Data port; 0 = any free port.")
@click.option("--device", type=_FILE, help="Device file.  [default: a PandABox]")
@click.option("--scenario", type=_FILE, help="Scenario file: settings, and events over time.")
@click.option("--speed", type=click.FloatRange(min=0), default=1.0, show_default=True, help=_SPEED)
@click.option(
    "--from",
    "source",
    metavar="HOST",
    help="Copy the PandA at HOST to a device FILE, then exit; the port options are those of HOST.",
)
@click.option(
    "--until-eof", is_flag=True, hidden=True, help="Exit at the end of standard input, when the parent process exits."
)
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@clear_errors
def simulator(
    *,
    host: str,
    control_port: int,
    data_port: int,
    device: Path | None,
    scenario: Path | None,
    speed: float,
    source: str | None,
    until_eof: bool,
    file: Path | None,
) -> None:
    """Run a simulated PandA until stopped; with --from, create a device FILE of a real PandA instead."""
    from ..simulator import PANDABOX, Server, load, load_scenario

    if (source is None) != (file is None):
        raise click.UsageError("--from HOST and FILE must be given together")
    if math.isnan(speed):
        raise click.UsageError("--speed must be a number or inf, not nan")
    if source is not None and file is not None:
        _copy(source, control_port, data_port, file)
        return

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if until_eof:
            loop.add_reader(sys.stdin.fileno(), stop.set)  # readable only at its end, nothing is written to it
        panda = Server(
            load(device or PANDABOX),
            host=host,
            control_port=control_port,
            data_port=data_port,
            speed=speed,
            scenario=load_scenario(scenario) if scenario else None,
        )
        async with panda:
            click.echo(f"simulated PandA: control port {panda.control_port}, data port {panda.data_port}")
            sys.stdout.flush()
            await stop.wait()

    asyncio.run(serve())


def _copy(host: str, control_port: int, data_port: int, file: Path) -> None:
    from .copying import copy

    left_out = copy(host, control_port, data_port, file)
    for field in left_out:
        click.echo(f"skipped: {field}", err=True)
    click.echo(f"copied {host} to {file}; run it with: panda-ioc simulator --device {file}")


@click.command()
@panda_options
@click.option("--at", type=click.FloatRange(min=0), default=0.0, help="Delay in seconds of simulated time.")
@click.argument("action")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@clear_errors
def drive(*, host: str, control_port: int, data_port: int, at: float, action: str, parameters: tuple[str, ...]) -> None:
    """Act on the simulated PandA at HOST: move a motor, drive an input, inject a fault.

    \b
    panda-ioc drive localhost move motor=INENC1 to=5000 speed=1000
    panda-ioc drive localhost pulses input=TTLIN1 width=0.001 cycles=10
    panda-ioc drive localhost restart software=4.2 down=3
    """  # noqa: D301 - click needs the backspace
    from ..client import BlockingClient
    from ..protocol import Put

    step = {"at": at, action: _parameters(action, parameters)}
    with BlockingClient(host, control_port, data_port) as client:
        client.send(Put("*DRIVE", json.dumps(step)))


def _parameters(action: str, texts: tuple[str, ...]) -> dict[str, object]:
    """Parse parameters, each of which may be given once."""
    parameters: dict[str, object] = {}
    for text in texts:
        name, value = _parameter(action, text)
        if name in parameters:
            raise click.UsageError(f"{name} is given twice: give it once")
        parameters[name] = value
    return parameters


def _parameter(action: str, text: str) -> tuple[str, object]:
    """Parse NAME=VALUE; the value is JSON (a number, true, false, null, a list) or else text."""
    from ..simulator.steps import Step

    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{text!r} is not of the form NAME=VALUE")
    try:
        parsed = json.loads(value)
    except ValueError:
        return name, value
    if isinstance(parsed, int | float) and Step.takes_text(action, name):
        return name, value
    return name, parsed


def _good_prefix(_context: click.Context, _parameter: click.Parameter, prefix: str) -> str:
    from ..ioc.plan.names import prefix_problem

    if problem := prefix_problem(prefix):
        raise click.BadParameter(problem)
    return prefix


@click.command()
@click.option(
    "--prefix",
    default="PANDA",
    show_default=True,
    callback=_good_prefix,
    help="PV prefix.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address for EPICS clients; 0.0.0.0 = all interfaces."
)
@log_option
@clear_errors
def demo(prefix: str, host: str, log_level: str) -> None:
    """Run a simulated PandA that scans repeatedly, and an IOC for it, until stopped."""
    from ..ioc.process.config import Config, PandaConfig
    from ..simulator.scenario import DEMO
    from .ioc import end, serve

    _listen_on(host)
    command = [sys.executable, "-m", "panda_ioc", "simulator", "--control-port", "0", "--data-port", "0", "--until-eof"]
    command += ["--scenario", str(DEMO)]
    # The pipe to its input closes when this process exits, for whatever reason. In a separate process group it does
    # not receive Ctrl-C, so the IOC stops first.
    with subprocess.Popen(  # noqa: S603 - runs this program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as panda:
        try:
            line = panda.stdout.readline() if panda.stdout else ""
            ports = re.findall(r"port (\d+)", line)
            if len(ports) != 2:
                raise click.ClickException("the simulated PandA did not start")
            click.echo(_hints(prefix, ports[0]))
            where = PandaConfig(host="127.0.0.1", control_port=int(ports[0]), data_port=int(ports[1]))
            code = serve(Config(prefix=prefix, panda=where, log_level=log_level))
        finally:
            panda.terminate()
    end(code)


#: Variables for the addresses on which Channel Access and PV Access listen.
_INTERFACES = ("EPICS_CAS_INTF_ADDR_LIST", "EPICS_CAS_BEACON_ADDR_LIST", "EPICS_PVAS_INTF_ADDR_LIST")


def _listen_on(host: str) -> None:
    """Make the EPICS servers listen on one address, unless the environment sets addresses."""
    if host == "0.0.0.0" or any(name in os.environ for name in _INTERFACES):  # noqa: S104 - the user chose it
        return
    os.environ.update(dict.fromkeys(_INTERFACES, host), EPICS_CAS_AUTO_BEACON_ADDR_LIST="NO")


def _hints(prefix: str, port: str) -> str:
    """Return commands to try, which work exactly as printed."""
    command = _this_command()
    return "\n".join(
        [
            "A simulated PandA and its IOC: a motor at INENC1 sweeps, PCOMP1 triggers, PCAP captures every 10 s.",
            "When it is running, try in another terminal, in this directory:",
            f"  {command} get {prefix}:PULSE1:WIDTH",
            f"  {command} put {prefix}:PULSE1:WIDTH 0.1",
            f"  {command} monitor {prefix}:INENC1:VAL",
            "To capture the next acquisition to a file:",
            f"  {command} put {prefix}:DATA:HDF_DIRECTORY /tmp",
            f"  {command} put {prefix}:DATA:HDF_FILE_NAME demo.h5",
            f"  {command} put {prefix}:DATA:CAPTURE 1",
            f"  {command} monitor {prefix}:DATA:STATUS",
            "and when the status is OK, plot it:",
            f"  {command} plot /tmp/demo.h5 -o /tmp/demo.png",
            "To drive an input, and to send commands to the PandA itself:",
            f"  {command} drive 127.0.0.1 --control-port {port} level input=TTLIN1 high=true",
            f"  {command} console 127.0.0.1 --control-port {port}",
            "EPICS tools work as well:",
            f"  EPICS_CA_ADDR_LIST=127.0.0.1 caget {prefix}:PULSE1:WIDTH",
            "Stop with Ctrl-C.",
        ]
    )


def _this_command() -> str:
    """Return how this program was called, so that hints can be copied."""
    called = Path(sys.argv[0])
    if called.name != "panda-ioc":
        return "panda-ioc"
    if shutil.which("panda-ioc") == str(called.absolute()):
        return "panda-ioc"
    with contextlib.suppress(ValueError):
        return str(called.absolute().relative_to(Path.cwd()))
    return str(called.absolute())
