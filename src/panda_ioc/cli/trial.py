"""Commands that show what a design does: tried in a simulated PandA, drawn, and compared."""
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

_SOURCE = "a saved design, a scenario (.yaml), or a host as HOST or HOST:PORT"
_device_option = click.option("--device", type=_FILE, help="Device file of the PandA of FILE; a PandABox by default.")


class _Trouble(click.ClickException):
    """A command could not do what it was asked; 1 says that it found something."""

    exit_code = 2


def _exit_2_if_it_fails(command: Callable[P, R]) -> Callable[P, R]:
    """Exit with 2 when something goes wrong, as 1 says that something was found."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except click.UsageError:
            raise
        except click.ClickException as error:
            raise _Trouble(error.message) from error

    return wrapped


@click.command("try")
@click.option("--design", type=_FILE, help="Settings, as `save` writes them.")
@click.option("--from", "source", metavar="HOST", help="Take blocks and settings from the PandA at HOST or HOST:PORT.")
@click.option("--device", type=_FILE, help="Device file, as `simulator` takes it; a PandABox by default.")
@click.option("--scenario", type=_FILE, help="Scenario file: what happens, as `simulator` takes it.")
@click.option(
    "--for", "seconds", type=click.FloatRange(0, 1e6, min_open=True), default=1.0, show_default=True, help="Seconds."
)
@click.option("--watch", metavar="SIGNALS", multiple=True, help="Such as SEQ1.OUTA,PULSE*.OUT; all wired by default.")
@click.option("--picture", type=_FILE, help="Timing diagram to write: .png, .svg or .pdf.")
@click.option("--window", is_flag=True, help="Show the timing diagram in a window.")
@click.option("--between", type=float, nargs=2, metavar="A B", help="Seconds from and to which the diagram goes.")
@click.option("--vcd", type=_FILE, help="Waveforms to write, for GTKWave.")
@click.option("--hdf5", type=_FILE, help="HDF5 file of what PCAP captures, as `capture` writes it.")
@click.option("--report", "report_file", type=_FILE, help="Report to write in JSON.")
@click.option("--expect", metavar="NAME=VALUE", multiple=True, help="What must hold, such as PCAP.samples=200.")
@click.option("--no-arm", is_flag=True, help="Do not arm PCAP at the start if the scenario does not arm it.")
@click.option("--skip-unknown", is_flag=True, help="Leave out settings that the device refuses, and list them.")
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
    """Try a design in a simulated PandA, as fast as it can, and report what it does.

    Exits with 1 if something that is expected does not hold, with 2 if the design cannot be tried.
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
        raise click.UsageError("--from HOST brings its own --design and --device")
    if not math.isfinite(options["seconds"]):
        raise click.UsageError("--for must be a number of seconds")
    lines: Sequence[str] = ()
    if source is not None:
        spec, lines = _copied(source)
    else:
        spec = load(device or PANDABOX)
        lines = commands(read(design).state) if design is not None else ()
    happens = load_scenario(scenario) if scenario is not None else Scenario()
    return Plan(spec, lines, happens, **options)


def _copied(source: str) -> tuple["DeviceSpec", Sequence[str]]:
    """The PandA at a host, and its settings apart from it."""
    from .copying import device_at

    spec, left_out = device_at(*_host(source), "copy")
    for field in left_out:
        click.echo(f"left out: {field}", err=True)
    return spec.model_copy(update={"settings": ()}), spec.settings


def _host(source: str) -> tuple[str, int, int]:
    """HOST, HOST:PORT or [HOST]:PORT, with the port for data that goes with it."""
    name, colon, port = source.rpartition(":")
    if colon and port.isdecimal() and (":" not in name or name.startswith("[")):
        return name.strip("[]"), int(port), int(port) + 1
    return source.strip("[]"), CONTROL_PORT, DATA_PORT


class _clear_refusals:  # noqa: N801 - used as a function is
    """Show what the simulator refuses as a clear error."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

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
    note = f"Without a change: {', '.join(still)}" if still else ""
    draw(outcome, changed, picture, between=between, title=title, note=note)


@click.command()
@_device_option
@click.option("--output", "-o", type=_FILE, required=True, help="Picture to write: .svg, .png, .pdf or .dot.")
@click.argument("source", metavar="FILE|HOST")
@_exit_2_if_it_fails
@clear_errors
def wiring(device: Path | None, output: Path, source: str) -> None:
    """Draw the setup in FILE, or of the PandA at HOST: blocks, what is set in them, and the wires between them."""
    from ..settings import parse
    from ..trial.dot import as_dot, draw
    from ..trial.wiring import diagram

    spec, lines = _setup(source, device)
    made = diagram(parse(lines), spec)
    if not made.wires:
        raise click.ClickException(f"{source}: no block is wired to another one")
    draw(as_dot(made, Path(source).stem if _is_file(source) else source), output)
    click.echo(f"{output}: {len(made.boxes)} boxes, {len(made.wires)} wires")


@click.command()
@_device_option
@click.option("--json", "as_json", is_flag=True, help="Print what differs as JSON.")
@click.argument("a", metavar="FILE|HOST")
@click.argument("b", metavar="FILE|HOST")
@_exit_2_if_it_fails
@clear_errors
def diff(device: Path | None, as_json: bool, a: str, b: str) -> None:  # noqa: FBT001 - as click gives it
    """Show what differs between two setups, block by block; each is a saved FILE, or the PandA at a HOST.

    Exits with 0 if nothing differs, with 1 if something does, and with 2 if they cannot be compared.
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
    """What a command line names: a design, the settings of a scenario, or a PandA."""
    from ..designfile import read
    from ..simulator import PANDABOX, load, load_scenario

    if not _is_file(source):
        return _copied(source)
    path = Path(source)
    lines = load_scenario(path).settings if path.suffix in {".yaml", ".yml"} else read(path).state
    return load(device or PANDABOX), lines
