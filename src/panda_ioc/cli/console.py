"""The command `console`: an interactive prompt for PandA commands, with completion."""
# ruff: noqa: PLC0415 - see the package

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from .common import clear_errors, panda_options

if TYPE_CHECKING:
    from ..client import AsyncioClient

#: Commands for completion that are not field names.
_SYSTEM_COMMANDS = (
    "*IDN?", "*BLOCKS?", "*BITS?", "*POSITIONS?", "*CHANGES?", "*CAPTURE?", "*CAPTURE=", "*CAPTURE.*?",
    "*METADATA.*?", "*PCAP.ARM=", "*PCAP.DISARM=", "*PCAP.STATUS?", "*PCAP.CAPTURED?", "*PCAP.COMPLETION?",
    "*CLOCK_FREQ?", "*ECHO ", "*WHO?", "*SAVESTATE=", "*DESC.", "*ENUMS.",
)  # fmt: skip

#: Inputs that end the console.
_END = ("exit", "quit")


@click.command()
@panda_options
@click.option("--prompt", help="Prompt of the interactive console.  [default: HOST> ]")
@clear_errors
def console(host: str, control_port: int, data_port: int, prompt: str | None) -> None:
    """Send commands to the PandA at HOST: NAME? reads, NAME=value writes, NAME< writes a table.

    The lines after NAME< are the table, up to a blank line. exit, quit or the end of the input ends the console.
    Commands can be piped in; it then exits with 1 if the PandA refuses any.
    """
    from ..client import AsyncioClient
    from ..protocol import Identify

    async def talk() -> bool:
        async with AsyncioClient(host, control_port, data_port) as client:
            await client.send(Identify())  # reports a silent PandA before the first prompt
            typed = sys.stdin.isatty()
            lines = (
                _typed_lines(f"{host}> " if prompt is None else prompt, *await _names_and_labels(client))
                if typed
                else _piped_lines()
            )
            refused = False
            async for command in _commands(lines):
                refused |= not await _answer(client, command)
            return refused and not typed

    sys.exit(asyncio.run(talk()))


async def _answer(client: "AsyncioClient", command: list[str]) -> bool:
    """Send a command and print its reply; return True if the PandA accepted it."""
    from ..protocol import PandaError, Raw

    try:
        reply = await client.send(Raw(command))
    except PandaError as error:
        if not client.connected:
            raise
        click.echo(f"! {error}", err=True)
        return False
    for line in reply:
        click.echo(line)
    return not reply[0].startswith("ERR")


async def _commands(lines: AsyncIterator[str]) -> AsyncIterator[list[str]]:
    """Yield commands, with the lines of a table write joined into one, until exit or quit."""
    async for line in lines:
        if line.strip().lower() in _END:
            return
        if not line.strip():
            continue
        command = [line]
        head = line.replace("=", "?").partition("?")[0]
        if "<" in head:
            async for data in lines:
                command.append(data)
                if not data:
                    break
            else:
                raise click.ClickException(f"{line!r} was not sent: the table must end with a blank line")
        yield command


async def _piped_lines() -> AsyncIterator[str]:
    reader = asyncio.StreamReader(limit=1 << 20)
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    else:  # a regular file: asyncio cannot wait for it, and need not
        reader.feed_data(sys.stdin.buffer.read())
        reader.feed_eof()
    while True:
        try:
            line = await reader.readline()
        except ValueError as error:
            raise click.ClickException("a line on standard input is too long: the limit is 1 MiB") from error
        if not line:
            return
        yield line.decode(errors="replace").rstrip("\n")


async def _typed_lines(prompt: str, names: list[str], labels: Mapping[str, Iterable[str]]) -> AsyncIterator[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.document import Document

    class Names(Completer):
        """Completes field names, and after `=` the labels of the field."""

        def get_completions(self, document: Document, complete_event: Any) -> Iterable[Completion]:  # noqa: ARG002
            text = document.text_before_cursor
            name, equals, begun = text.partition("=")
            choices = labels.get(name, ()) if equals else names
            begun = begun if equals else text
            for choice in choices:
                if choice.upper().startswith(begun.upper()):
                    yield Completion(choice, start_position=-len(begun))

    session: PromptSession[str] = PromptSession(completer=Names())
    while True:
        try:
            yield await session.prompt_async(prompt)
        except EOFError:
            return
        except KeyboardInterrupt:
            continue


async def _names_and_labels(client: "AsyncioClient") -> tuple[list[str], dict[str, Iterable[str]]]:
    from ..ioc.link.introspection import introspect
    from ..protocol import EnumFieldInfo

    model = await introspect(client)
    names = list(_SYSTEM_COMMANDS)
    labels: dict[str, Iterable[str]] = {}
    for instance, field, info in model.fields():
        name = f"{instance}.{field}"
        names += [name, *(f"{name}.{attribute}" for attribute in info.attributes)]
        if isinstance(info, EnumFieldInfo):
            labels[name] = info.labels
    return sorted(names), labels
