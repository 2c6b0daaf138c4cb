"""Command to plot captured files."""
# ruff: noqa: PLC0415 - see the package

from pathlib import Path

import click

from .common import clear_errors


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="Image file to write, such as x.png; opens a window if not given.",
)
@click.option("--column", "-c", multiple=True, help="Column to plot; repeatable. All columns if not given.")
@clear_errors
def plot(*, file: Path, output: Path | None, column: tuple[str, ...]) -> None:
    """Plot the columns of a captured FILE against time; the file may still be written."""
    from ..capture.plot import draw

    draw(file, output, column)
