"""What several commands share: how a PandA is named, how errors and logs are shown."""

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import click

from ..ioc.log import OneLineFormatter  # which makes the level "put" known, too
from ..ports import CONTROL_PORT, DATA_PORT
from .logwriter import LogWriter

P = ParamSpec("P")
R = TypeVar("R")
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

PORT = click.IntRange(1, 65535)

LOG_LEVELS = click.Choice(["debug", "put", "info", "warning", "error"], case_sensitive=False)


def panda_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument HOST and the options for its ports."""
    for decorate in (
        click.option("--data-port", type=PORT, default=DATA_PORT, show_default=True, help="Port of its data."),
        click.option(
            "--control-port", type=PORT, default=CONTROL_PORT, show_default=True, help="Port of its commands."
        ),
        click.argument("host"),
    ):
        command = decorate(command)
    return command


def clear_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Show what goes wrong as one line, without a traceback, and exit with 1."""

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
    """An error that may be expected, in words; None for others."""
    from ..protocol import PandaError  # noqa: PLC0415 - slow to load, so not before it is needed

    if isinstance(error, PandaError):
        return str(error)
    # Who read our output may have seen enough: then click ends without a word.
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        reason = error.strerror or str(error)
        return f"{error.filename}: {reason}" if error.filename else reason
    return None


def log_to_stdout(level: str) -> None:
    """Write logs as lines to standard output, where containers look for them, from a thread of their own.

    What is left of them is written when logging shuts down, as it does at the end of a process, and when handlers are
    flushed.

    Args:
        level: a name that logging knows; "put" also tells every put that was accepted
    """
    logging.raiseExceptions = False  # a log that nobody reads any more is no reason for tracebacks
    stream = sys.__stdout__ or sys.__stderr__  # either may have been closed by who started this process
    handler = LogWriter(stream.fileno(), stream.encoding) if stream else logging.NullHandler()
    handler.setFormatter(OneLineFormatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])


def log_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option for how much it logs."""
    return click.option("--log-level", type=LOG_LEVELS, default="info", show_default=True, help="How much to log.")(
        command
    )
