"""Commands to try a design in a simulated PandA, to draw its wiring, and to compare designs."""
# ruff: noqa: PLC0415 - see the package

import functools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from ..ports import CONTROL_PORT, DATA_PORT
from .common import clear_errors

if TYPE_CHECKING:
    from ..settings import Difference
    from ..simulator import DeviceSpec
    from ..trial.report import Report
    from ..trial.run import Outcome, Plan

P = ParamSpec("P")
R = TypeVar("R")

_FILE = click.Path(path_type=Path)

_device_option = click.option(
    "--device", type=_FILE, help="Device file of the PandA that FILE is for.  [default: a PandABox]"
)


class _CommandFailed(click.ClickException):
    """The command failed; exit code 1 means that it found something."""

    exit_code = 2


def _exit_2_if_it_fails(command: Callable[P, R]) -> Callable[P, R]:
    """Exit with 2 on errors, because 1 means that something was found."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except click.UsageError:
            raise
        except click.ClickException as error:
            raise _CommandFailed(error.message) from error

    return wrapped


@click.command("try")
@click.option("--design", type=_FILE, help="Design file: settings, as `save` writes them.")
@click.option("--from", "source", metavar="HOST", help="Copy blocks and settings from the PandA at HOST or HOST:PORT.")
@click.option("--device", type=_FILE, help="Device file, as for `simulator`.  [default: a PandABox]")
@click.option("--scenario", type=_FILE, help="Scenario file, as for `simulator`: settings, and events over time.")
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(0, 1e6, min_open=True),
    default=1.0,
    show_default=True,
    help="Duration in seconds of simulated time.",
)
@click.option(
    "--watch",
    metavar="SIGNALS",
    multiple=True,
    help="Signals to report, such as SEQ1.OUTA,PULSE*.OUT; repeatable.  [default: all that are wired]",
)
@click.option("--picture", type=_FILE, help="Write a timing diagram: .png, .svg or .pdf.")
@click.option("--window", is_flag=True, help="Show the timing diagram in a window.")
@click.option("--between", type=float, nargs=2, metavar="A B", help="Time range of the diagram in seconds.")
@click.option("--vcd", type=_FILE, help="Write the waveforms as a VCD file, for GTKWave.")
@click.option("--hdf5", type=_FILE, help="Write the data that PCAP captures to an HDF5 file, as `capture` does.")
@click.option("--report", "report_file", type=_FILE, help="Write the report as JSON.")
@click.option(
    "--expect", metavar="NAME=VALUE", multiple=True, help="Expectation to check, such as PCAP.samples=200; repeatable."
)
@click.option("--no-arm", is_flag=True, help="Do not arm PCAP at the start.  [default: arm, unless the scenario does]")
@click.option("--skip-unknown", is_flag=True, help="Skip and list settings that the device refuses.")
@_exit_2_if_it_fails
@clear_errors
def try_(
    *,
    design: Path | None,
    source: str | None,
    device: Path | None,
    scenario: Path | None,
    seconds: float,
    watch: tuple[str, ...],
    picture: Path | None,
    window: bool,
    between: tuple[float, float] | None,
    vcd: Path | None,
    hdf5: Path | None,
    report_file: Path | None,
    expect: tuple[str, ...],
    no_arm: bool,
    skip_unknown: bool,
) -> None:
    """Run a design in a simulated PandA, as fast as possible, and report what it does.

    Exits with 1 if an expectation is not met, with 2 if the design cannot be run.
    """
    from ..trial import expect as expecting
    from ..trial.report import as_text, report
    from ..trial.run import run
    from ..trial.signals import chosen

    expectations = [expecting.parse(text) for text in expect]
    patterns = [name for names in watch for name in names.split(",") if name]
    options = {"seconds": seconds, "arm": not no_arm, "skip_unknown": skip_unknown, "watch": patterns}
    plan = _plan(design, source, device, scenario, **options)
    with _clear_refusals():
        outcome = run(plan, hdf5)
        names = chosen(outcome, patterns)
    made = report(outcome, names)
    click.echo(as_text(made))
    _write_products(outcome, names, made, watched=bool(watch), vcd=vcd, report_file=report_file)
    if picture is not None or window:
        _draw(outcome, names, picture, watched=bool(watch), between=between, title=_title(design, source, scenario))
    known = expecting.facts(made)
    broken = [broken for one in expectations if (broken := expecting.check(one, known, outcome))]
    for one in broken:
        click.echo(f"expected {one.expectation.text}, but {one.why}", err=True)
    if broken:
        raise SystemExit(1)


def _plan(
    design: Path | None, source: str | None, device: Path | None, scenario: Path | None, **options: Any
) -> "Plan":
    from ..designfile import read
    from ..settings import commands
    from ..simulator import PANDABOX, Scenario, load, load_scenario
    from ..trial.run import Plan

    if source is not None and (design is not None or device is not None):
        raise click.UsageError("--from HOST cannot be combined with --design or --device")
    if not math.isfinite(options["seconds"]):
        raise click.UsageError("--for must be a finite number of seconds")
    lines: Sequence[str] = ()
    if source is not None:
        spec, lines = _copied(source)
    else:
        spec = load(device or PANDABOX)
        lines = commands(read(design).state) if design is not None else ()
    happens = load_scenario(scenario) if scenario is not None else Scenario()
    return Plan(spec, lines, happens, **options)


def _copied(source: str) -> tuple["DeviceSpec", Sequence[str]]:
    """Return the device and the settings of the PandA at a host."""
    from msgspec.structs import replace

    from .copying import device_at

    spec, left_out = device_at(*_host(source), "copy")
    for field in left_out:
        click.echo(f"skipped: {field}", err=True)
    return replace(spec, settings=()), spec.settings


def _host(source: str) -> tuple[str, int, int]:
    """Parse HOST, HOST:PORT or [HOST]:PORT; return host, control port and data port."""
    name, colon, port = source.rpartition(":")
    if colon and port.isdecimal() and (":" not in name or name.startswith("[")):
        return name.strip("[]"), int(port), int(port) + 1
    return source.strip("[]"), CONTROL_PORT, DATA_PORT


class _clear_refusals:  # noqa: N801 - used like a function
    """A context that shows refusals of the simulator as error messages."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        from ..simulator.numbers import Refused

        if isinstance(error, Refused):
            raise click.ClickException(str(error)) from error


def _title(design: Path | None, source: str | None, scenario: Path | None) -> str:
    stems = [path.stem for path in (design, scenario) if path is not None]
    return ", ".join(dict.fromkeys([*stems, *([source] if source else [])]))


def _write_products(
    outcome: "Outcome",
    names: Sequence[str],
    made: "Report",
    *,
    watched: bool,
    vcd: Path | None,
    report_file: Path | None,
) -> None:
    from .. import textfile
    from ..trial.signals import split
    from ..trial.vcd import write

    if vcd is not None:
        write(outcome, names if watched else split(outcome, names)[0], vcd)
    if report_file is not None:
        textfile.replace(report_file, json.dumps(made.as_json(), indent=2) + "\n")


def _draw(
    outcome: "Outcome",
    names: Sequence[str],
    picture: Path | None,
    *,
    watched: bool,
    between: tuple[float, float] | None,
    title: str,
) -> None:
    from ..trial.signals import split
    from ..trial.timing import draw

    changed, still = (names, ()) if watched else split(outcome, names)
    note = f"Not changing: {', '.join(still)}" if still else ""
    draw(outcome, changed, picture, between=between, title=title, note=note)


@click.command()
@_device_option
@click.option("--output", "-o", type=_FILE, required=True, help="Image file to write: .svg, .png, .pdf or .dot.")
@click.argument("source", metavar="FILE|HOST")
@_exit_2_if_it_fails
@clear_errors
def wiring(device: Path | None, output: Path, source: str) -> None:
    """Draw the wiring of the design in FILE, or of the PandA at HOST: blocks, their settings, and wires."""
    from ..settings import parse
    from ..trial.dot import as_dot, draw
    from ..trial.wiring import diagram

    spec, lines = _setup(source, device)
    made = diagram(parse(lines), spec)
    if not made.wires:
        raise click.ClickException(f"{source}: no block is wired to another block")
    draw(as_dot(made, Path(source).stem if _is_file(source) else source), output)
    click.echo(f"{output}: {len(made.boxes)} boxes, {len(made.wires)} wires")


@click.command()
@_device_option
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
@click.argument("a", metavar="FILE|HOST")
@click.argument("b", metavar="FILE|HOST")
@_exit_2_if_it_fails
@clear_errors
def diff(device: Path | None, as_json: bool, a: str, b: str) -> None:  # noqa: FBT001 - click passes a flag
    """Show the differences between two designs, block by block; each is a saved FILE or the PandA at a HOST.

    Exits with 0 if they are equal, with 1 if they differ, with 2 if they cannot be compared.
    """
    from ..settings import Rows, compare, parse
    from ..trial.tables import table_info

    spec, lines = _setup(a, device)
    _, others = _setup(b, device)
    found = compare(parse(lines), parse(others), lambda name: Rows(table_info(spec, name)))
    if as_json:
        click.echo(json.dumps([one.as_json() for one in found], indent=2))
    else:
        _show_differences(found)
    if found:
        raise SystemExit(1)


def _show_differences(found: Sequence["Difference"]) -> None:
    block = ""
    for one in found:
        if one.block != block:
            block = one.block
            click.echo(block)
        click.echo(f"  {one.change}")
        for row in one.rows:
            click.echo(f"    {row}")


def _is_file(source: str) -> bool:
    return Path(source).exists() or "/" in source


def _setup(source: str, device: Path | None) -> tuple["DeviceSpec", Sequence[str]]:
    """Return device and settings of an argument: a design file, a scenario file, or a host."""
    from ..designfile import read
    from ..simulator import PANDABOX, load, load_scenario

    if not _is_file(source):
        return _copied(source)
    path = Path(source)
    lines = load_scenario(path).settings if path.suffix in {".yaml", ".yml"} else read(path).state
    return load(device or PANDABOX), lines
