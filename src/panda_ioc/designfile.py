"""Designs: files with all settings of a PandA, saved, loaded all or nothing, and compared.

A PandA reports SCALE and OFFSET with 10 digits, so writing back what it reported may change them. They are therefore
written last, after all other settings were accepted, and only if they differ. If the PandA refuses a design, they are
usually unchanged; those that had to be restored with 10 digits are named.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from . import textfile
from .calls import SerialExecutor
from .client import AsyncioClient
from .opening import opened
from .protocol import GetWholeState, Identify, LocalProtocolError, PandaError, Request, SetState, State, StateError
from .protocol.state import ROUNDED_ATTRIBUTES
from .settings import Difference, compare, parse

#: Time limit for reading or writing all settings of a PandA, in s.
TIMEOUT = 30.0

#: Size limit of a file in bytes: many times the size of all tables of the largest PandA.
MAX_BYTES = 100_000_000

#: Maximum number of names in a message.
_SHOWN = 5

#: Replies of server 4.1 to a block, field, attribute, bus entry or label that the PandA does not have.
_UNKNOWN = re.compile(
    "No such (block|field|attribute)|(Invalid|Missing) block number|Metadata key .* not found"
    "|Invalid (bit bus|position) selection|Invalid enumeration value"
)

_ROUNDED = "rounded to 10 digits: "


class DesignError(PandaError):
    """A design that cannot be saved or loaded; the message names it and gives the reason."""


async def save(client: AsyncioClient, path: Path, disk: SerialExecutor) -> str:
    """Save all settings of a PandA.

    Args:
        client: connected, and not used to poll for changes: reading the settings marks all changes as seen
        path: path of the file; an existing file is replaced
        disk: executor for calls on the file

    Returns:
        a note for users about settings that are not saved exactly; "" if all are

    Raises:
        DesignError: the file cannot be written
        NoAnswerError: the disk does not answer; it may still write the file later
        PandaError: see `AsyncioClient.send`
    """
    state = await _state(client)
    try:
        await disk.call(str(path), opened, textfile.replace, path, "".join(f"{line}\n" for line in state.lines))
    except OSError as error:
        raise DesignError(f"{path}: {error.strerror}") from error
    notes = [f"{_ROUNDED}{_some(state.rounded)}"] if state.rounded else []
    if state.left_out:
        notes.append(f"left out: {_some(f'{name} ({reason})' for name, reason in state.left_out.items())}")
    return "; ".join(notes)


async def load(client: AsyncioClient, path: Path, disk: SerialExecutor, *, skip_unknown: bool = False) -> list[str]:
    """Load settings into a PandA; if it refuses any, or does not answer, restore the previous settings.

    Args:
        client: as for `save`
        path: path of the file
        disk: executor for calls on the file
        skip_unknown: skip what this PandA does not have, for example because of other firmware: blocks, fields,
            attributes, bus entries and labels; a setting refused for another reason still fails the load

    Returns:
        skipped settings, each with the reason; empty without `skip_unknown`

    Raises:
        DesignError: the file cannot be read or is incomplete, the PandA refused settings, or the connection was lost;
            the message says whether the previous settings are restored
        NoAnswerError: the disk does not answer; the settings are unchanged
        PandaError: see `AsyncioClient.send`; the settings are unchanged
    """
    wanted = await disk.call(str(path), read, path)
    before = await _state(client)
    first, last = _ordered(wanted, before)
    written: list[Request] = []
    left_out: list[str] = []
    try:
        for requests in (first, last):
            written += requests
            left_out += await _write(client, requests, skip_unknown=skip_unknown)
    except LocalProtocolError as error:  # raised before anything is sent
        raise DesignError(f"{path}: {error}") from error
    except PandaError as error:
        outcome = await _restore(client, before, set(map(_name, written)))
        if isinstance(error, StateError):
            raise DesignError(f"the PandA refused {path}: {_lines(error)}; {outcome}") from error
        raise DesignError(f"loading {path} failed: {error}; {outcome}") from error
    if len(left_out) == len(wanted.requests()):
        raise DesignError(f"{path}: nothing was set: the PandA does not have any of it: {'; '.join(left_out)}")
    return left_out


async def _write(client: AsyncioClient, requests: Sequence[Request], *, skip_unknown: bool) -> list[str]:
    """Write settings; return those that were skipped because the PandA does not have them."""
    try:
        await client.send(_to_set(requests), timeout=TIMEOUT)
    except StateError as error:
        if not skip_unknown or not all(_UNKNOWN.fullmatch(reason) for _, reason in error.failures):
            raise
        return [f"{line}: {reason}" for line, reason in error.failures]
    return []


async def differences(client: AsyncioClient, path: Path, disk: SerialExecutor) -> list[Difference]:
    """Compare a design (a) with the current settings of a PandA (b).

    Args:
        client: as for `save`
        path: path of the file
        disk: executor for calls on the file

    Returns:
        differences from the design to the PandA

    Raises:
        DesignError: the file cannot be read or is incomplete
        SettingsError: a table in it is invalid
        NoAnswerError: the disk does not answer
        PandaError: see `AsyncioClient.send`
    """
    state = await _state(client)
    return await disk.call(str(path), _compare, path, state.lines)


def _compare(path: Path, lines: Sequence[str]) -> list[Difference]:
    return compare(parse(read(path).state), parse(lines))


async def _state(client: AsyncioClient) -> State:
    """Return all settings; check with a short time limit first that the PandA answers at all."""
    await client.send(Identify())
    return await client.send(GetWholeState(), timeout=TIMEOUT)


def _ordered(wanted: SetState, before: State) -> tuple[list[Request], list[Request]]:
    """Return what to write first, and the scales and offsets to write after all of that was accepted.

    Scales and offsets that the PandA reports as set already are not written. Those that it does not have are written
    first, so that it refuses them.
    """
    reported = _settings(before.lines)
    first: list[Request] = []
    last: dict[str, Request] = {}
    for request in wanted.requests():
        name = _name(request)
        if name.endswith(ROUNDED_ATTRIBUTES) and name in reported:
            last[name] = request
        else:
            first.append(request)
    return first, [request for name, request in last.items() if request != reported[name]]


async def _restore(client: AsyncioClient, before: State, written: set[str]) -> str:
    """Write the previous settings; return the outcome as a clause for a message.

    Args:
        client: as for `load`
        before: previous settings
        written: names of all settings that were sent, accepted or not
    """
    wanted = _settings(before.lines)
    try:
        now = _settings((await _state(client)).lines)
        rounded = [
            name
            for name, request in wanted.items()
            if name.endswith(ROUNDED_ATTRIBUTES) and (name in written or now.get(name) != request)
        ]
        untouched = {name for name in wanted if name.endswith(ROUNDED_ATTRIBUTES)}.difference(rounded)
        await client.send(_to_set(wanted[name] for name in wanted if name not in untouched), timeout=TIMEOUT)
        now = _settings((await _state(client)).lines)
    except StateError as error:
        return f"some previous settings could not be restored: {_lines(error)}"
    except PandaError as error:
        return f"its settings are now unknown: {error}"
    different = [_difference(name, wanted, now) for name in wanted if wanted[name] != now.get(name)]
    if different:
        return f"some previous settings could not be restored: {_some(different, '; ')}"
    return "the previous settings are restored" + (f", {_ROUNDED}{_some(rounded)}" if rounded else "")


def _settings(lines: Iterable[str]) -> dict[str, Request]:
    """Return the settings in the lines of a state, by name."""
    return {_name(request): request for request in SetState(list(lines)).requests()}


def _name(request: Request) -> str:
    return re.split("[=<]", request.line, maxsplit=1)[0]


def _to_set(requests: Iterable[Request]) -> SetState:
    lines: list[str] = []
    for request in requests:
        lines += [request.line] if request.body is None else [request.line, *request.body, ""]
    return SetState(lines)


def _difference(name: str, before: Mapping[str, Request], now: Mapping[str, Request]) -> str:
    was, is_now = before.get(name), now.get(name)
    if was is None or is_now is None or was.body is not None or is_now.body is not None:
        return f"{name} differs"
    return f"{name} is {is_now.line.partition('=')[2]}, was {was.line.partition('=')[2]}"


def read(path: Path) -> SetState:
    """Read a design and check that it is complete. This may block: call it in a thread, not in an event loop.

    Args:
        path: path of the file

    Raises:
        DesignError: the file cannot be read or is incomplete
    """
    try:
        with opened(lambda: path.open("rb")) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DesignError(f"{path}: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise DesignError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB, the size limit of a design")
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise DesignError(f"{path}: not a text file in UTF-8") from error
    if not lines[-1]:
        lines.pop()  # the end of the last line; a blank line would end a table
    wanted = SetState(lines)
    try:
        if not wanted.requests():
            raise DesignError(f"{path}: no settings in the file")
    except LocalProtocolError as error:
        raise DesignError(f"{path}: {error}") from error
    return wanted


def _lines(error: StateError) -> str:
    return "; ".join(f"{line}: {reason}" for line, reason in error.failures)


def _some(names: Iterable[str], between: str = ", ") -> str:
    """Join the first names, and the number of the others."""
    names = list(names)
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return between.join(names[:_SHOWN] + more)
