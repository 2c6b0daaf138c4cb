"""Commands to read, write and monitor PVs over PV Access, for hosts without EPICS tools."""
# ruff: noqa: PLC0415 - see the package

import contextlib
import os
import queue
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .common import clear_errors

if TYPE_CHECKING:
    from p4p.client.thread import Context

#: Seconds after which `monitor` reports PVs that have not connected.
_CONNECT_WARNING = 5.0

#: Names of the EPICS alarm severities, by number.
_SEVERITIES = ("", "MINOR", "MAJOR", "INVALID", "UNDEFINED")

_FIELD = re.compile(r"\.[A-Z][A-Z0-9]*\$?$")

_timeout = click.option("--timeout", type=float, default=5.0, show_default=True, help="Time limit in seconds.")
_names = click.argument("pvs", nargs=-1, required=True, metavar="PV...")


class _WithNegatives(click.Command):
    """A command that accepts negative numbers as arguments, not as options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        before = args[: args.index("--")] if "--" in args else args
        known = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        for arg in before:
            if len(arg) > 1 and arg[0] == "-" and arg.partition("=")[0] not in known and not _is_number(arg):
                raise click.NoSuchOption(arg, ctx=ctx)
        ctx.ignore_unknown_options = True
        return super().parse_args(ctx, args)


#: Maximum number of choices that a message lists.
_MAX_LISTED = 16


def _is_number(text: str) -> bool:
    for kind in (float, lambda text: int(text, 0)):
        with contextlib.suppress(ValueError):
            kind(text)
            return True
    return False


@click.command("get")
@_names
@_timeout
@clear_errors
def get_(*, pvs: tuple[str, ...], timeout: float) -> None:
    """Read PVs and print their values, with units and alarms."""
    with _context() as context:
        for name, value in zip(pvs, context.get(list(pvs), timeout=timeout, throw=False), strict=True):
            if isinstance(value, Exception):
                raise _failed(name, value)
            click.echo(f"{name} {_shown(value)}")


@click.command(cls=_WithNegatives)
@click.argument("pv")
@click.argument("value", nargs=-1, required=True)
@_timeout
@clear_errors
def put(*, pv: str, value: tuple[str, ...], timeout: float) -> None:
    """Write VALUE to a PV, or several values to an array, and wait for completion."""
    with _context() as context:
        try:
            is_array = _check(pv, context.get(pv, timeout=timeout), value)
            context.put(pv, list(value) if is_array else value[0], timeout=timeout)
            click.echo(f"{pv} {_shown(context.get(pv, timeout=timeout))}")
        except click.ClickException:
            raise
        except Exception as error:
            raise _failed(pv, error, value) from error


@click.command()
@_names
@clear_errors
def monitor(*, pvs: tuple[str, ...]) -> None:
    """Print PVs whenever they change, until stopped."""
    changes: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    with _context() as context, contextlib.suppress(KeyboardInterrupt):
        subscriptions = [
            context.monitor(pv, lambda value, pv=pv: changes.put((pv, value)), notify_disconnect=True) for pv in pvs
        ]
        late = threading.Timer(_CONNECT_WARNING, changes.put, [("", None)])
        late.daemon = True
        late.start()
        there: set[str] = set()
        while subscriptions:
            name, value = changes.get()
            if not name:
                for pv in dict.fromkeys(pvs):
                    if pv not in there:
                        click.echo(f"{pv} is not connected yet{_hint(pv)}; still waiting", err=True)
            elif not isinstance(value, Exception):
                there.add(name)
                click.echo(f"{name} {_shown(value)}")
            elif name in there:
                click.echo(f"{name} is disconnected")


@contextlib.contextmanager
def _context() -> "Iterator[Context]":
    from p4p.client.thread import Context

    # In addition to broadcasts, which do not reach an IOC that listens on loopback only, such as the demo.
    os.environ.setdefault("EPICS_PVA_ADDR_LIST", "127.0.0.1")
    with Context("pva") as context:
        yield context


def _check(name: str, shown: Any, words: tuple[str, ...]) -> bool:
    """Check that values can be put to a PV, because the error messages of p4p are Python's.

    Returns:
        True if the PV is an array

    Raises:
        ClickException: a value is not valid for the PV
    """
    from ..ioc.plan.codecs import near_matches

    raw = shown.raw if hasattr(shown, "raw") else shown
    kind = raw.type().aspy("value") if raw.has("value") else None
    if raw.has("value.choices"):
        choices = list(raw.value.choices)
        if words[0] not in choices and not _is_number(words[0]):
            listed = near_matches(words[0], choices) if len(choices) > _MAX_LISTED else f": {', '.join(choices)}"
            of = f"the {len(choices)} choices" if len(choices) > _MAX_LISTED else "the choices"
            raise click.ClickException(f"{name}: {words[0]!r} is not one of {of}{listed}")
    elif not isinstance(kind, str):
        raise click.ClickException(f"{name}: a table cannot be written from the command line")
    elif kind.removeprefix("a") != "s":
        for word in words:
            if not _is_number(word):
                raise click.ClickException(f"{name}: {word!r} is not a number")
    return isinstance(kind, str) and kind.startswith("a")


def _failed(name: str, error: Exception, put: tuple[str, ...] = ()) -> click.ClickException:
    if isinstance(error, TimeoutError):
        return click.ClickException(f"{name} does not answer{_hint(name)}")
    if isinstance(error, ValueError | TypeError | ArithmeticError):  # their messages are Python's
        return click.ClickException(f"{name}: {' '.join(put)[:80]} does not fit into the PV")
    return click.ClickException(f"{name}: {error}")


def _hint(name: str) -> str:
    """Return a hint why a PV may not exist, to end a message; "" without a hint."""
    over_pva = "over PV Access, records have only the fields NAME, RTYP, DESC, EGU and PREC; use caget for others"
    return f": {over_pva}" if _FIELD.search(name) else ""


def _shown(value: Any) -> str:
    """Return a value with units and alarm as one line; a table with one line per column."""
    raw = value.raw if hasattr(value, "raw") else value
    content = raw.value if raw.has("value") else raw
    alarm = f"  [{_alarm(raw.alarm.severity, raw.alarm.message)}]" if raw.has("alarm") and raw.alarm.severity else ""
    if raw.has("value.choices"):
        text = raw.value.choices[raw.value.index]
    elif hasattr(content, "items"):
        text = "\n  ".join(f"{name}: {column}" for name, column in content.items())
    else:
        text = str(content)
    units = f" {raw.display.units}" if raw.has("display.units") and raw.display.units else ""
    return f"{text}{units}{alarm}"


def _alarm(severity: int, message: str) -> str:
    name = _SEVERITIES[severity] if 0 < severity < len(_SEVERITIES) else f"severity {severity}"
    return f"{name}: {message}" if message else name
