"""The periodic poll of a PandA: changes, and the end reason of the last acquisition."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from .changes import QUEUED_LINES, ChangeGroup, Changes, parse_changes
from .exchange import Command, Conversation, Expected, Request, text

#: "Busy" from arming to the end of an acquisition, then the reason for its end. Change reports do not contain it.
COMPLETION = "*PCAP.COMPLETION"

#: Groups that contain settings.
SETTINGS = (ChangeGroup.CONFIG, ChangeGroup.ATTR)


@dataclass(frozen=True)
class Polled:
    """The response to a `Poll`.

    Attributes:
        changes: changed values, the polled fields, and COMPLETION if the server has it
        settings: whether the changes include settings
        refused: error message of the server for each group that it does not support
    """

    changes: Changes
    settings: bool
    refused: Mapping[ChangeGroup, str]


@dataclass(frozen=True)
class Poll(Command[Polled]):
    """Get changes, selected fields and the end reason of the last acquisition in one round trip.

    The response is a `Polled`. Unlike `GetChanges`, it accepts that the server refuses a group (see `Polled.refused`);
    refused fields are listed in `Changes.in_error`.

    Args:
        groups: groups to report
        fields: names of further fields to read, for example those that change reports omit

    Raises:
        RemoteProtocolError: a report cannot be parsed
    """

    groups: tuple[ChangeGroup, ...]
    fields: tuple[str, ...] = ()

    @cached_property
    def _requests(self) -> list[Request]:
        groups = [Request(f"*CHANGES{group.value}?") for group in self.groups]
        return [*groups, *(Request(f"{field}?") for field in self.fields), Request(f"{COMPLETION}?")]

    @property
    def asked(self) -> tuple[str, ...]:
        """The names of the values that each reply contains, even if they have not changed."""
        return *self.fields, COMPLETION

    def nothing_new(self, values: Mapping[str, str]) -> Expected[Polled]:
        """Return the expected reply if nothing has changed.

        Args:
            values: last value of each name in `asked`; other names are ignored
        """
        request = b"".join(map(bytes, self._requests))
        last = {name: values[name] for name in self.asked}
        answer = ".\n" * len(self.groups) + "".join(f"OK ={value}\n" for value in last.values())
        return Expected(request, answer.encode(), Polled(Changes(last), settings=False, refused={}))

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
        if completion.error is None:  # old servers do not have it
            changes.values[COMPLETION] = completion.line()
        return Polled(changes, settings, refused)
