"""The commands of pandablocks: each is a command of this project, with the other's name, arguments and response."""

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
    """A command was refused, cannot be sent, or was answered with what makes no sense."""


CommandException = CommandError


class VersionError(Exception):
    """Never raised here: a server that does not know a command refuses it."""


@dataclass(frozen=True)
class Command(ours.Command[T]):
    """Base of all commands."""

    def conversation(self) -> Conversation[T]:
        try:
            return (yield from self._conversation())
        except ours.CommandError as error:
            told = f"AssertionError: {error.request!r} -> 'ERR {error.reason}'"
            raise CommandError(f"{self!r} raised error:\n{told}") from error
        except (PandaError, TypeError, ValueError) as error:
            raise CommandError(f"{self!r} raised error:\n{type(error).__name__}: {error}") from error

    def _conversation(self) -> Conversation[T]:
        raise NotImplementedError


@dataclass(frozen=True)
class Raw(Command[list[str]]):
    """Send lines as they are."""

    inp: list[str]

    def _conversation(self) -> Conversation[list[str]]:
        return (yield from ours.Raw(self.inp).conversation())


@dataclass(frozen=True)
class Get(Command[str | list[str]]):
    """Read a value: text, or lines of it."""

    field: str

    def _conversation(self) -> Conversation[str | list[str]]:
        value = yield from ours.Get(self.field).conversation()
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        return [line.decode(errors="replace") for line in value]


@dataclass(frozen=True)
class GetLine(Command[str]):
    """Read a value of one line."""

    field: str

    def _conversation(self) -> Conversation[str]:
        return (yield from ours.GetLine(self.field).conversation())


@dataclass(frozen=True)
class GetMultiline(Command[list[str]]):
    """Read a value of several lines."""

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
    """Add a buffer to a streaming table."""

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
    """Ask for versions."""

    def _conversation(self) -> Conversation[Identification]:
        identity = yield from ours.Identify().conversation()
        return Identification(identity.software, identity.fpga, identity.rootfs)


@dataclass(frozen=True)
class GetBlockInfo(Command[dict[str, BlockInfo]]):
    """Ask which blocks there are."""

    skip_description: bool = False

    def _conversation(self) -> Conversation[dict[str, BlockInfo]]:
        blocks = yield from ours.GetBlockInfo(self.skip_description).conversation()
        return {
            name: BlockInfo(info.number, None if self.skip_description else info.description)
            for name, info in blocks.items()
        }


@dataclass(frozen=True)
class GetFieldInfo(Command[dict[str, FieldInfo]]):
    """Ask which fields a block has."""

    block: str
    extended_metadata: bool = True

    def _conversation(self) -> Conversation[dict[str, FieldInfo]]:
        fields = yield from ours.GetFieldInfo(self.block, self.extended_metadata).conversation()
        if not self.extended_metadata:
            return {name: FieldInfo(info.type, info.subtype, None) for name, info in fields.items()}
        return {name: _convert.field_info(info) for name, info in fields.items()}


@dataclass(frozen=True)
class GetPcapBitsLabels(Command[dict[str, list[str]]]):
    """Ask which bit is where in the captured words."""

    def _conversation(self) -> Conversation[dict[str, list[str]]]:
        labels = yield from ours.GetPcapBitsLabels().conversation()
        return {name: list(bits) for name, bits in labels.items()}


@dataclass(frozen=True)
class GetChanges(Command[Changes]):
    """Ask what changed."""

    group: ChangeGroup = ChangeGroup.ALL
    get_multiline: bool = False

    def _conversation(self) -> Conversation[Changes]:
        changes = yield from ours.GetChanges(self.group, self.get_multiline).conversation()
        return Changes(changes.values, list(changes.multiline), list(changes.in_error), changes.multiline_values)


@dataclass(frozen=True)
class GetState(Command[list[str]]):
    """Ask for all settings, as lines."""

    def _conversation(self) -> Conversation[list[str]]:
        return (yield from ours.GetState().conversation())


@dataclass(frozen=True)
class SetState(Command[None]):
    """Write settings, as lines; what is refused is logged, and the others are written."""

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
    """Give each assignment, and each table with its lines."""
    lines = iter(state)
    for line in lines:
        command = [line]
        if "<" in line.replace("?", "=").partition("=")[0]:
            for data in lines:
                command.append(data)
                if not data:
                    break
        yield command
