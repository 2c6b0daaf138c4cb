"""Parts that several commands share: the arguments for a PandA, error messages, logging."""

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import click

from ..ioc.log import OneLineFormatter  # also registers the log level "put"
from ..ports import CONTROL_PORT, DATA_PORT
from .logwriter import LogWriter

P = ParamSpec("P")
R = TypeVar("R")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

PORT = click.IntRange(1, 65535)

LOG_LEVELS = click.Choice(["debug", "put", "info", "warning", "error"], case_sensitive=False)


def panda_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument HOST and the port options to a command."""
    for decorate in (
        click.option("--data-port", type=PORT, default=DATA_PORT, show_default=True, help="Data port of the PandA."),
        click.option(
            "--control-port", type=PORT, default=CONTROL_PORT, show_default=True, help="Control port of the PandA."
        ),
        click.argument("host"),
    ):
        command = decorate(command)
    return command


def clear_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Show expected errors as one line, without a traceback, and exit with 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Exception as error:
            clear = _in_a_line(error)
            if clear is None:
                raise
            raise click.ClickException(clear) from error

    return wrapped


def _in_a_line(error: Exception) -> str | None:
    """Return the message of an expected error; None for other errors, which are bugs."""
    from ..protocol import PandaError  # noqa: PLC0415 - slow to import

    if isinstance(error, PandaError):
        return str(error)
    # The reader of our output may close it early, as `head` does: click then exits silently.
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        reason = error.strerror or str(error)
        return f"{error.filename}: {reason}" if error.filename else reason
    return None


def log_to_stdout(level: str) -> None:
    """Log to standard output, which containers collect, from a writer thread.

    Flushing the handlers writes the remaining lines; logging does so when the process exits.

    Args:
        level: name of a logging level; "put" includes every accepted put
    """
    logging.raiseExceptions = False  # no tracebacks if standard output is closed
    stream = sys.__stdout__ or sys.__stderr__  # the parent process may have closed either
    handler = LogWriter(stream.fileno(), stream.encoding) if stream else logging.NullHandler()
    handler.setFormatter(OneLineFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])


def log_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option --log-level to a command."""
    return click.option("--log-level", type=LOG_LEVELS, default="info", show_default=True, help="Lowest level to log.")(
        command
    )
