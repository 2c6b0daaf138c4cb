"""The whole setup of a PandA as lines of text, to be read and written back.

The lines are the very commands that restore it, so a saved file can be read, compared and edited:
`NAME=value`, and for tables and multi-line metadata `NAME<` or `NAME<B`, data, and a blank line.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .changes import QUEUED_LINES, ChangeGroup, parse_changes
from .errors import CommandError, LocalProtocolError
from .exchange import Command, Conversation, Request

#: Attributes come first: a time is written in the units that the saved text has.
_GROUPS = (ChangeGroup.ATTR, ChangeGroup.CONFIG, ChangeGroup.TABLE, ChangeGroup.METADATA)


@dataclass(frozen=True)
class GetState(Command[list[str]]):
    """Ask for all settings, as the lines that `SetState` takes.

    What this connection has been told by `GetChanges` does not matter, but the next `GetChanges` will
    count everything up to now as told.
    """

    def conversation(self) -> Conversation[list[str]]:
        restarts = [Request(f"*CHANGES{group.value}=S") for group in _GROUPS]
        polls = [Request(f"*CHANGES{group.value}?") for group in _GROUPS]
        replies = yield [*restarts, *polls]
        for reply in replies[: len(restarts)]:
            reply.ok()
        answered = [line for reply in replies[len(restarts) :] for line in reply.multiline()]
        changes = parse_changes(answered)
        state = [f"{name}={value}" for name, value in changes.values.items() if not name.endswith(f".{QUEUED_LINES}")]
        # A table is read as base64; metadata has only text.
        marks = ["" if name.startswith("*") else "B" for name in changes.multiline]
        contents = yield [
            Request(f"{name}.B?" if mark else f"{name}?") for name, mark in zip(changes.multiline, marks, strict=True)
        ]
        for name, mark, reply in zip(changes.multiline, marks, contents, strict=True):
            state += [f"{name}<{mark}", *reply.multiline(), ""]
        return state


class StateError(CommandError):
    """Some lines of a state were refused; all others were written.

    Attributes:
        failures: each refused line, without the data of a table, with the server's reason
    """

    def __init__(self, failures: Sequence[tuple[str, str]]) -> None:
        first, reason = failures[0]
        more = f" (and {len(failures) - 1} more lines)" if len(failures) > 1 else ""
        super().__init__(first, f"{reason}{more}")
        self.failures = tuple(failures)


@dataclass(frozen=True)
class SetState(Command[None]):
    """Write lines as `GetState` gives them, all of them even if some are refused.

    Args:
        state: the lines, without LF; empty ones and those that begin with `#` between them mean nothing

    Raises:
        LocalProtocolError: a line is no assignment, or a table lacks its blank line; nothing was sent
        StateError: the server refused some lines
    """

    state: Sequence[str]

    def requests(self) -> list[Request]:
        """What is sent.

        Raises:
            LocalProtocolError: see above
        """
        return list(_requests(self.state))

    def conversation(self) -> Conversation[None]:
        replies = yield self.requests()
        failures = [(reply.request, reply.error) for reply in replies if reply.error is not None]
        if failures:
            raise StateError(failures)


def _requests(state: Sequence[str]) -> Iterable[Request]:
    lines = enumerate(state, 1)
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        mark = _mark(line)
        if not mark:
            raise LocalProtocolError(f"line {number}: {line[:80]!r} is neither an assignment nor the start of a table")
        if mark == "=":
            yield Request(line)
            continue
        body = []
        for _, data in lines:
            if not data:
                break
            body.append(data)
        else:
            raise LocalProtocolError(f"line {number}: the data of {line[:80]!r} does not end with a blank line")
        yield Request(line, body)


def _mark(line: str) -> str:
    """What tells a line's kind: "=" of an assignment, "<" of a table, "" if it is neither."""
    first = next((character for character in line if character in "=<?"), "")
    return first.replace("?", "")
