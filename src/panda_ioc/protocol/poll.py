"""What to ask a PandA again and again: what changed, and why its last acquisition ended."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from .changes import QUEUED_LINES, ChangeGroup, Changes, parse_changes
from .exchange import Command, Conversation, Expected, Request, text

#: Says "Busy" from arming to the end of an acquisition, then why it ended. Servers report no changes of it.
COMPLETION = "*PCAP.COMPLETION"

#: The groups that hold what people set.
SETTINGS = (ChangeGroup.CONFIG, ChangeGroup.ATTR)


@dataclass(frozen=True)
class Polled:
    """The answer to a poll.

    Attributes:
        changes: what changed; also the value of COMPLETION, where the server has it
        settings: whether people changed any of it
        refused: the groups that the PandA does not know, and what it said
    """

    changes: Changes
    settings: bool
    refused: Mapping[ChangeGroup, str]


@dataclass(frozen=True)
class Poll(Command[Polled]):
    """Ask for the changes of some groups, for some fields, and why the last acquisition ended, in one round trip.

    Unlike `GetChanges`, it goes on without a group that the server refuses; fields that it refuses are in error.
    """

    groups: tuple[ChangeGroup, ...]
    fields: tuple[str, ...] = ()

    @cached_property
    def _requests(self) -> list[Request]:
        groups = [Request(f"*CHANGES{group.value}?") for group in self.groups]
        return [*groups, *(Request(f"{field}?") for field in self.fields), Request(f"{COMPLETION}?")]

    @property
    def asked(self) -> tuple[str, ...]:
        """The names of all that is answered with a value, whether it changed or not."""
        return *self.fields, COMPLETION

    def nothing_new(self, values: Mapping[str, str]) -> Expected[Polled]:
        """Return the answer that nothing changed.

        Args:
            values: what the PandA said last of all in `asked`
        """
        request = b"".join(map(bytes, self._requests))
        told = {name: values[name] for name in self.asked}
        answer = ".\n" * len(self.groups) + "".join(f"OK ={value}\n" for value in told.values())
        return Expected(request, answer.encode(), Polled(Changes(told), settings=False, refused={}))

    def conversation(self) -> Conversation[Polled]:
        *replies, completion = yield self._requests
        replies, of_fields = replies[: len(self.groups)], replies[len(self.groups) :]
        refused = {
            group: reply.error for group, reply in zip(self.groups, replies, strict=True) if reply.error is not None
        }
        answers = {
            group: reply.multiline() for group, reply in zip(self.groups, replies, strict=True) if group not in refused
        }
        changes = parse_changes([line for answer in answers.values() for line in answer])
        settings = any(f".{QUEUED_LINES}=" not in line for group in SETTINGS for line in answers.get(group, ()))
        changes.values.update(
            {
                field: text(reply.value)
                for field, reply in zip(self.fields, of_fields, strict=True)
                if reply.value is not None
            }
        )
        failed = tuple(field for field, reply in zip(self.fields, of_fields, strict=True) if reply.error is not None)
        if failed:
            changes = replace(changes, in_error=(*changes.in_error, *failed))
        if completion.error is None:  # an old server does not know it
            changes.values[COMPLETION] = completion.line()
        return Polled(changes, settings, refused)
