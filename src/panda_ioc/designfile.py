"""Whole setups of a PandA as files: saved, and loaded all or nothing.

A PandA tells SCALE and OFFSET with 10 digits, so whoever writes what was told may change them. They are written last,
when all else was taken, and only where they differ: so where a design is refused they are as they were, and what had to
be brought back with 10 digits is named.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from . import textfile
from .calls import Calls
from .client import AsyncioClient
from .opening import opened
from .protocol import GetWholeState, Identify, LocalProtocolError, PandaError, Request, SetState, State, StateError
from .protocol.state import ROUNDED_ATTRIBUTES
from .settings import Difference, compare, parse

#: Seconds that all settings of a PandA may take.
TIMEOUT = 30.0

#: Bytes that a file may have: many times what the largest PandA makes of all its tables.
MAX_BYTES = 100_000_000

#: Names that a message shows of those that are not exact.
_SHOWN = 5

#: What a PandA answers to a name, a bus entry or a label that it does not have, as server 4.1 says it.
_UNKNOWN = re.compile(
    "No such (block|field|attribute)|(Invalid|Missing) block number|Metadata key .* not found"
    "|Invalid (bit bus|position) selection|Invalid enumeration value"
)

_TO_TEN_DIGITS = "to the 10 digits that the PandA tells: "


class DesignError(PandaError):
    """A design that cannot be saved or loaded; the message says which and why."""


async def save(client: AsyncioClient, path: Path, disk: Calls) -> str:
    """Save all settings of a PandA.

    Args:
        client: connected, and not used to poll for changes: it will count all as told
        path: of the file, which is replaced if there is one
        disk: makes the calls for the file

    Returns:
        what is not in the file as it is on the PandA, for people; "" if all is

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
    notes = [f"{_TO_TEN_DIGITS}{_some(state.rounded)}"] if state.rounded else []
    if state.left_out:
        notes.append(f"left out: {_some(f'{name} ({reason})' for name, reason in state.left_out.items())}")
    return "; ".join(notes)


async def load(client: AsyncioClient, path: Path, disk: Calls, *, skip_unknown: bool = False) -> list[str]:
    """Load settings into a PandA; if it refuses any of them, or does not answer, bring back what was before.

    Args:
        client: as for `save`
        path: as for `save`
        disk: as for `save`
        skip_unknown: leave out what this PandA does not have, as other firmware may: blocks, fields, attributes, bus
            entries and labels; what it refuses for another reason is refused as ever

    Returns:
        what was left out, and why: "NOPE.X=1: No such block"; nothing without `skip_unknown`

    Raises:
        DesignError: the file cannot be read, is no whole design, or the PandA refused some of it or was lost; the
            message says what is set now, or that it is not known
        NoAnswerError: the disk does not answer; nothing was set
        PandaError: see `AsyncioClient.send`; nothing was set
    """
    wanted = await disk.call(str(path), read, path)
    before = await _state(client)
    first, last = _in_turn(wanted, before)
    written: list[Request] = []
    left_out: list[str] = []
    try:
        for requests in (first, last):
            written += requests
            left_out += await _write(client, requests, skip_unknown=skip_unknown)
    except LocalProtocolError as error:  # nothing was sent
        raise DesignError(f"{path}: {error}") from error
    except PandaError as error:
        outcome = await _bring_back(client, before, set(map(_name, written)))
        if isinstance(error, StateError):
            raise DesignError(f"the PandA refused {path}, {outcome}: {_lines(error)}") from error
        raise DesignError(f"loading {path} did not come to an end, {outcome}: {error}") from error
    if len(left_out) == len(wanted.requests()):
        raise DesignError(f"{path}: the PandA has nothing of what it sets, so nothing was set: {'; '.join(left_out)}")
    return left_out


async def _write(client: AsyncioClient, requests: Sequence[Request], *, skip_unknown: bool) -> list[str]:
    """Write settings; return what was left out, which is what the PandA does not have."""
    try:
        await client.send(_to_set(requests), timeout=TIMEOUT)
    except StateError as error:
        if not skip_unknown or not all(_UNKNOWN.fullmatch(reason) for _, reason in error.failures):
            raise
        return [f"{line}: {reason}" for line, reason in error.failures]
    return []


async def differences(client: AsyncioClient, path: Path, disk: Calls) -> list[Difference]:
    """Compare a design with the settings that a PandA has: from the design (a) to the PandA (b).

    Args:
        client: as for `save`
        path: as for `save`
        disk: as for `save`

    Raises:
        DesignError: the file cannot be read, or is no whole design
        SettingsError: a table in it cannot be read
        NoAnswerError: the disk does not answer
        PandaError: see `AsyncioClient.send`
    """
    state = await _state(client)
    return await disk.call(str(path), _compare, path, state.lines)


def _compare(path: Path, lines: Sequence[str]) -> list[Difference]:
    return compare(parse(read(path).state), parse(lines))


async def _state(client: AsyncioClient) -> State:
    """All settings, of a PandA that answers: one that does not is not waited for as long as all settings may take."""
    await client.send(Identify())
    return await client.send(GetWholeState(), timeout=TIMEOUT)


def _in_turn(wanted: SetState, before: State) -> tuple[list[Request], list[Request]]:
    """What is written first, and the scales and offsets that are written if all of that was taken.

    Those that the PandA has, as far as it tells, are not written. One that it does not have is written first, for it to
    say so.
    """
    told = _settings(before.lines)
    first: list[Request] = []
    last: dict[str, Request] = {}
    for request in wanted.requests():
        name = _name(request)
        if name.endswith(ROUNDED_ATTRIBUTES) and name in told:
            last[name] = request
        else:
            first.append(request)
    return first, [request for name, request in last.items() if request != told[name]]


async def _bring_back(client: AsyncioClient, before: State, written: set[str]) -> str:
    """Write what was before; return what became of it, as a part of a sentence.

    Args:
        client: as for `load`
        before: what was before
        written: the names of all that was sent, whether it was taken or not
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
        return f"and not all could be brought back: {_lines(error)}"
    except PandaError as error:
        return f"and it is not known what is set now ({error})"
    different = [_difference(name, wanted, now) for name in wanted if wanted[name] != now.get(name)]
    if different:
        return f"and not all could be brought back: {_some(different, '; ')}"
    return "all is as it was before" + (f", {_TO_TEN_DIGITS}{_some(rounded)}" if rounded else "")


def _settings(lines: Iterable[str]) -> dict[str, Request]:
    """What a state sets, by name."""
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
        return f"{name} is not as it was"
    return f"{name} is {is_now.line.partition('=')[2]}, was {was.line.partition('=')[2]}"


def read(path: Path) -> SetState:
    """Read a design, checked for being whole. It may take long: for a thread, not for an event loop.

    Raises:
        DesignError: the file cannot be read, or is no whole design
    """
    try:
        with opened(lambda: path.open("rb")) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DesignError(f"{path}: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise DesignError(f"{path}: has more than {MAX_BYTES // 1_000_000} MB, which no design has")
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise DesignError(f"{path}: is not text in UTF-8") from error
    if not lines[-1]:
        lines.pop()  # the end of the last line, and no blank one that could end a table
    wanted = SetState(lines)
    try:
        if not wanted.requests():
            raise DesignError(f"{path}: there is no setting in it")
    except LocalProtocolError as error:
        raise DesignError(f"{path}: {error}") from error
    return wanted


def _lines(error: StateError) -> str:
    return "; ".join(f"{line}: {reason}" for line, reason in error.failures)


def _some(names: Iterable[str], between: str = ", ") -> str:
    """The first of some names, and how many there are besides."""
    names = list(names)
    more = [f"and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return between.join(names[:_SHOWN] + more)
