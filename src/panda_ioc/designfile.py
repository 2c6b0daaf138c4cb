"""Whole setups of a PandA as files: saved, and loaded all or nothing."""

from pathlib import Path

from . import textfile
from .calls import Calls
from .client import AsyncioClient
from .protocol import GetState, Identify, LocalProtocolError, PandaError, SetState, StateError

#: Seconds that all settings of a PandA may take.
TIMEOUT = 30.0

#: Bytes that a file may have: many times what the largest PandA makes of all its tables.
MAX_BYTES = 100_000_000

#: Refused lines that a message shows.
_SHOWN = 5


class DesignError(PandaError):
    """A design that cannot be saved or loaded; the message says which and why."""


async def save(client: AsyncioClient, path: Path, disk: Calls) -> None:
    """Save all settings of a PandA.

    Args:
        client: connected, and not used to poll for changes: it will count all as told
        path: of the file, which is replaced if there is one
        disk: makes the calls for the file

    Raises:
        DesignError: the file cannot be written
        NoAnswerError: the disk does not answer; it may still write the file later
        PandaError: see `AsyncioClient.send`
    """
    state = await _state(client)
    try:
        await disk.call(str(path), textfile.replace, path, "".join(f"{line}\n" for line in state))
    except OSError as error:
        raise DesignError(f"{path}: {error.strerror}") from error


async def load(client: AsyncioClient, path: Path, disk: Calls) -> None:
    """Load settings into a PandA; if it refuses any of them, or does not answer, bring back what was before.

    Args:
        client: as for `save`
        path: as for `save`
        disk: as for `save`

    Raises:
        DesignError: the file cannot be read, is no whole design, or the PandA refused some of it or was lost; the
            message says what is set now, or that it is not known
        NoAnswerError: the disk does not answer; nothing was set
        PandaError: see `AsyncioClient.send`; nothing was set
    """
    wanted = await disk.call(str(path), read, path)
    before = await _state(client)
    try:
        await client.send(wanted, timeout=TIMEOUT)
    except LocalProtocolError as error:  # nothing was sent
        raise DesignError(f"{path}: {error}") from error
    except PandaError as error:
        outcome = await _bring_back(client, before)
        if isinstance(error, StateError):
            raise DesignError(f"the PandA refused {path}, {outcome}: {_lines(error)}") from error
        raise DesignError(f"loading {path} did not come to an end, {outcome}: {error}") from error


async def _state(client: AsyncioClient) -> list[str]:
    """All settings, of a PandA that answers: one that does not is not waited for as long as all settings may take."""
    await client.send(Identify())
    return await client.send(GetState(), timeout=TIMEOUT)


def read(path: Path) -> SetState:
    """Read a design, checked for being whole. It may take long: for a thread, not for an event loop.

    Raises:
        DesignError: the file cannot be read, or is no whole design
    """
    try:
        with path.open("rb") as file:
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


async def _bring_back(client: AsyncioClient, before: list[str]) -> str:
    """Write what was before; return what became of it, as a part of a sentence."""
    try:
        await client.send(SetState(before), timeout=TIMEOUT)
    except StateError as error:
        return f"and not all could be brought back: {_lines(error)}"
    except PandaError as error:
        return f"and it is not known what is set now ({error})"
    return "all is as it was before"


def _lines(error: StateError) -> str:
    lines = [f"{line}: {reason}" for line, reason in error.failures]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "; ".join(lines[:_SHOWN] + more)
