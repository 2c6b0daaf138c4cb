"""The commands of pandablocks, based on the commands of panda_ioc."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ... import protocol as ours
from ...protocol import ChangeGroup, PandaError
from ...protocol.exchange import Conversation
from . import _convert
from .responses import BlockInfo, Changes, FieldInfo, Identification

__all__ = [
    "Append",
    "Arm",
    "ChangeGroup",
    "Changes",
    "Command",
    "CommandError",
    "CommandException",
    "Disarm",
    "Get",
    "GetBlockInfo",
    "GetChanges",
    "GetFieldInfo",
    "GetLine",
    "GetMultiline",
    "GetPcapBitsLabels",
    "GetState",
    "Identify",
    "Put",
    "Raw",
    "SetState",
    "VersionError",
]

T = TypeVar("T")

log = logging.getLogger(__name__)


class CommandError(PandaError):
    """A command that was refused, cannot be sent, or received an invalid reply."""


CommandException = CommandError


class VersionError(Exception):
    """An error that this package never raises: servers refuse unknown commands."""


@dataclass(frozen=True)
class Command(ours.Command[T]):
    """Base of all commands."""

    def conversation(self) -> Conversation[T]:
        try:
            return (yield from self._conversation())
        except ours.CommandError as error:
            reason = f"AssertionError: {error.request!r} -> 'ERR {error.reason}'"
            raise CommandError(f"{self!r} raised error:\n{reason}") from error
        except (PandaError, TypeError, ValueError) as error:
            raise CommandError(f"{self!r} raised error:\n{type(error).__name__}: {error}") from error

    def _conversation(self) -> Conversation[T]:
        raise NotImplementedError


@dataclass(frozen=True)
class Raw(Command[list[str]]):
    """Send a command as text; return the lines of the reply."""

    inp: list[str]

    def _conversation(self) -> Conversation[list[str]]:
        return (yield from ours.Raw(self.inp).conversation())


@dataclass(frozen=True)
class Get(Command[str | list[str]]):
    """Read a value as text, or as a list of lines."""

    field: str

    def _conversation(self) -> Conversation[str | list[str]]:
        value = yield from ours.Get(self.field).conversation()
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        return [line.decode(errors="replace") for line in value]


@dataclass(frozen=True)
class GetLine(Command[str]):
    """Read a one-line value."""

    field: str

    def _conversation(self) -> Conversation[str]:
        return (yield from ours.GetLine(self.field).conversation())


@dataclass(frozen=True)
class GetMultiline(Command[list[str]]):
    """Read a multi-line value."""

    field: str

    def _conversation(self) -> Conversation[list[str]]:
        return (yield from ours.GetMultiline(self.field).conversation())


@dataclass(frozen=True)
class Put(Command[None]):
    """Write a value."""

    field: str
    value: str | float | Sequence[str] | Any = ""

    def _conversation(self) -> Conversation[None]:
        yield from ours.Put(self.field, self.value).conversation()


@dataclass(frozen=True)
class Append(Command[None]):
    """Append rows to a streaming table."""

    field: str
    value: list[str]
    last: bool = False

    def _conversation(self) -> Conversation[None]:
        words = [int(word, 0) for line in self.value for word in str(line).split()]
        yield from ours.Append(self.field, words, last=self.last).conversation()


@dataclass(frozen=True)
class Arm(Command[None]):
    """Arm PCAP."""

    def _conversation(self) -> Conversation[None]:
        yield from ours.Arm().conversation()


@dataclass(frozen=True)
class Disarm(Command[None]):
    """Disarm PCAP."""

    def _conversation(self) -> Conversation[None]:
        yield from ours.Disarm().conversation()


@dataclass(frozen=True)
class Identify(Command[Identification]):
    """Get the versions of the PandA."""

    def _conversation(self) -> Conversation[Identification]:
        identity = yield from ours.Identify().conversation()
        return Identification(identity.software, identity.fpga, identity.rootfs)


@dataclass(frozen=True)
class GetBlockInfo(Command[dict[str, BlockInfo]]):
    """List the block types."""

    skip_description: bool = False

    def _conversation(self) -> Conversation[dict[str, BlockInfo]]:
        blocks = yield from ours.GetBlockInfo(self.skip_description).conversation()
        return {
            name: BlockInfo(info.number, None if self.skip_description else info.description)
            for name, info in blocks.items()
        }


@dataclass(frozen=True)
class GetFieldInfo(Command[dict[str, FieldInfo]]):
    """List the fields of a block."""

    block: str
    extended_metadata: bool = True

    def _conversation(self) -> Conversation[dict[str, FieldInfo]]:
        fields = yield from ours.GetFieldInfo(self.block, self.extended_metadata).conversation()
        if not self.extended_metadata:
            return {name: FieldInfo(info.type, info.subtype, None) for name, info in fields.items()}
        return {name: _convert.field_info(info) for name, info in fields.items()}


@dataclass(frozen=True)
class GetPcapBitsLabels(Command[dict[str, list[str]]]):
    """Get the signal names of all captured bits."""

    def _conversation(self) -> Conversation[dict[str, list[str]]]:
        labels = yield from ours.GetPcapBitsLabels().conversation()
        return {name: list(bits) for name, bits in labels.items()}


@dataclass(frozen=True)
class GetChanges(Command[Changes]):
    """Get the changes since the previous report."""

    group: ChangeGroup = ChangeGroup.ALL
    get_multiline: bool = False

    def _conversation(self) -> Conversation[Changes]:
        changes = yield from ours.GetChanges(self.group, self.get_multiline).conversation()
        return Changes(changes.values, list(changes.multiline), list(changes.in_error), changes.multiline_values)


@dataclass(frozen=True)
class GetState(Command[list[str]]):
    """Read all settings as lines."""

    def _conversation(self) -> Conversation[list[str]]:
        return (yield from ours.GetState().conversation())


@dataclass(frozen=True)
class SetState(Command[None]):
    """Write settings as lines. Refused lines are logged; the others are written."""

    state: list[str]

    def _conversation(self) -> Conversation[None]:
        requests = []
        for lines in _split(self.state):
            try:
                requests.append(ours.Request(lines[0], lines[1:-1] if len(lines) > 1 else None))
            except PandaError as error:
                log.warning("command %s failed with %s", lines, [str(error)])
        replies = yield requests
        for request, reply in zip(requests, replies, strict=True):
            if reply.error is not None:
                log.warning("command %s failed with %s", [request.line], [f"ERR {reply.error}"])


def _split(state: Sequence[str]) -> Iterator[list[str]]:
    """Yield each assignment, and each table with its data lines."""
    lines = iter(state)
    for line in lines:
        command = [line]
        if "<" in line.replace("?", "=").partition("=")[0]:
            for data in lines:
                command.append(data)
                if not data:
                    break
        yield command
