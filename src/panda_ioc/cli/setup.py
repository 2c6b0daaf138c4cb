"""Commands about the whole setup of a PandA: save it to a file, load it from one."""
# ruff: noqa: PLC0415 - see the package

from pathlib import Path

import click

from .common import clear_errors, panda_options


@click.command()
@panda_options
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@clear_errors
def save(host: str, file: Path, control_port: int, data_port: int) -> None:
    """Save all settings of the PandA at HOST to FILE, as text that `load` takes."""
    from ..client import BlockingClient
    from ..protocol import GetState

    with BlockingClient(host, control_port, data_port) as client:
        state = client.send(GetState(), timeout=30)
    _write("".join(f"{line}\n" for line in state), file)
    click.echo(f"saved all settings of {host} to {file}")


def _write(text: str, file: Path) -> None:
    """Write a file whole or not at all: a former one with its name stays until the new one is complete."""
    part = file.with_name(f"{file.name}.part") if file.is_file() or not file.exists() else file
    try:
        with part.open("w", encoding="utf-8", newline="\n") as writing:
            writing.write(text)
        if part != file:
            part.replace(file)
    except OSError as error:
        if part != file:
            part.unlink(missing_ok=True)
        raise click.ClickException(f"{file}: {error.strerror}") from error


@click.command()
@panda_options
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@clear_errors
def load(host: str, file: Path, control_port: int, data_port: int) -> None:
    """Load the settings in FILE into the PandA at HOST."""
    from ..client import BlockingClient
    from ..protocol import SetState, StateError

    try:
        state = file.read_bytes().decode().split("\n")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file}: is not text in UTF-8") from error
    with BlockingClient(host, control_port, data_port) as client:
        try:
            client.send(SetState(state), timeout=30)
        except StateError as error:
            lines = "\n".join(f"  {line}: {reason}" for line, reason in error.failures)
            raise click.ClickException(f"the PandA took all of {file} but this:\n{lines}") from error
    click.echo(f"{host} took all of {file}")
