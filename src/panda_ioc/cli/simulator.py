"""Commands about a PandA in software."""
# ruff: noqa: PLC0415 - see the package

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import click

from ..client.common import CONTROL_PORT, DATA_PORT
from .common import clear_errors, log_option

_PORT = click.IntRange(0, 65535)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--control-port", type=_PORT, default=CONTROL_PORT, show_default=True, help="0 for any that is free.")
@click.option("--data-port", type=_PORT, default=DATA_PORT, show_default=True, help="0 for any that is free.")
@click.option("--device", type=click.Path(path_type=Path), help="Device file; a PandABox if none is given.")
@click.option("--until-eof", is_flag=True, hidden=True, help="End with standard input: when who started it ends.")
@clear_errors
def simulator(*, host: str, control_port: int, data_port: int, device: Path | None, until_eof: bool) -> None:
    """Run a PandA in software, until stopped."""
    from ..simulator import PANDABOX, Server, load

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if until_eof:
            loop.add_reader(sys.stdin.fileno(), stop.set)  # nothing is ever written to it
        spec = load(device or PANDABOX)
        async with Server(spec, host=host, control_port=control_port, data_port=data_port) as server:
            click.echo(f"PandA in software: control port {server.control_port}, data port {server.data_port}")
            sys.stdout.flush()
            await stop.wait()

    asyncio.run(serve())


@click.command()
@click.option("--prefix", default="PANDA", show_default=True, help="What the names of all records begin with.")
@log_option
@clear_errors
def demo(prefix: str, log_level: str) -> None:
    """Run a PandA in software and an IOC for it, until stopped."""
    from ..ioc.config import Config, PandaConfig
    from .ioc import end, serve

    command = [sys.executable, "-m", "panda_ioc", "simulator", "--control-port", "0", "--data-port", "0", "--until-eof"]
    # The pipe to its input ends with this process, however that ends. In a group of its own, Ctrl-C does not
    # reach it: the IOC is to stop first.
    with subprocess.Popen(  # noqa: S603 - ourselves
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as panda:
        try:
            line = panda.stdout.readline() if panda.stdout else ""
            ports = re.findall(r"port (\d+)", line)
            if len(ports) != 2:
                raise click.ClickException("the PandA in software did not start")
            click.echo(
                f"A PandA in software and its IOC. Try, in another terminal:\n"
                f"  caget {prefix}:PULSE1:WIDTH\n"
                f"  caput -c {prefix}:PULSE1:WIDTH 0.1\n"
                f"  camonitor {prefix}:BITS:OUTA\n"
                f"  panda-ioc console 127.0.0.1 --control-port {ports[0]}\n"
                "Stop with Ctrl-C."
            )
            panda_config = PandaConfig(host="127.0.0.1", control_port=int(ports[0]), data_port=int(ports[1]))
            code = serve(Config(prefix=prefix, panda=panda_config, log_level=log_level))
        finally:
            panda.terminate()
    end(code)
