"""Commands to read, write and watch PVs over PV Access, for where there are no EPICS tools."""
# ruff: noqa: PLC0415 - see the package

import contextlib
import queue
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .common import clear_errors

if TYPE_CHECKING:
    from p4p.client.thread import Context

_timeout = click.option("--timeout", type=float, default=5.0, show_default=True, help="Seconds to wait for an answer.")
_names = click.argument("pvs", nargs=-1, required=True, metavar="PV...")


@click.command("get")
@_names
@_timeout
@clear_errors
def get_(*, pvs: tuple[str, ...], timeout: float) -> None:
    """Read PVs."""
    with _context() as context:
        for name, value in zip(pvs, context.get(list(pvs), timeout=timeout, throw=False), strict=True):
            if isinstance(value, Exception):
                raise _failed(name, value)
            click.echo(f"{name} {_shown(value)}")


@click.command()
@click.argument("pv")
@click.argument("value", nargs=-1, required=True)
@_timeout
@clear_errors
def put(*, pv: str, value: tuple[str, ...], timeout: float) -> None:
    """Write VALUE to a PV, several to an array, and wait until it is done."""
    with _context() as context:
        try:
            is_array = isinstance(context.get(pv, timeout=timeout).raw.value, list) or len(value) > 1
            context.put(pv, list(value) if is_array else value[0], timeout=timeout)
            click.echo(f"{pv} {_shown(context.get(pv, timeout=timeout))}")
        except Exception as error:
            raise _failed(pv, error) from error


@click.command()
@_names
@clear_errors
def monitor(*, pvs: tuple[str, ...]) -> None:
    """Show PVs each time that they change, until stopped."""
    changes: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    with _context() as context, contextlib.suppress(KeyboardInterrupt):
        subscriptions = [
            context.monitor(pv, lambda value, pv=pv: changes.put((pv, value)), notify_disconnect=True) for pv in pvs
        ]
        there: set[str] = set()
        while subscriptions:
            name, value = changes.get()
            if not isinstance(value, Exception):
                there.add(name)
                click.echo(f"{name} {_shown(value)}")
            elif name in there:
                click.echo(f"{name} is not there any more")


@contextlib.contextmanager
def _context() -> "Iterator[Context]":
    from p4p.client.thread import Context

    with Context("pva") as context:
        yield context


def _failed(name: str, error: Exception) -> click.ClickException:
    if isinstance(error, TimeoutError):
        return click.ClickException(f"{name} does not answer")
    return click.ClickException(f"{name}: {error}")


def _shown(value: Any) -> str:
    """A value with its units and alarm, as a line; a table as its columns."""
    raw = value.raw if hasattr(value, "raw") else value
    content = raw.value if raw.has("value") else raw
    alarm = f"  [{raw.alarm.message or 'alarm'}]" if raw.has("alarm") and raw.alarm.severity else ""
    if raw.has("value.choices"):
        text = raw.value.choices[raw.value.index]
    elif hasattr(content, "items"):
        text = "\n  ".join(f"{name}: {column}" for name, column in content.items())
    else:
        text = str(content)
    units = f" {raw.display.units}" if raw.has("display.units") and raw.display.units else ""
    return f"{text}{units}{alarm}"
