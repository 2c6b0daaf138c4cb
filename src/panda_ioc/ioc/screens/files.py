"""A directory of screens, in which files that users changed are neither overwritten nor removed.

The last line of a generated file is a comment with the checksum of the text before it. A file with a missing or wrong
checksum belongs to the user.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...protocol import PandaError
from ..plan.plan import Plan
from .make import as_files

log = logging.getLogger(__name__)

#: Existing files are recognised by this text: it must not change.
_MARK = "<!-- made by panda-ioc, which replaces it while it is unchanged: "
_END = " -->\n"

#: Larger files cannot be generated screens and are not read.
_MAX_BYTES = 8_000_000


@dataclass
class WriteResult:
    """The result of an update of a directory.

    Attributes:
        written: names of the written files
        kept: names of files that users changed and that were not overwritten
        removed: names of the removed files
    """

    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def try_write(plan: Plan, directory: Path, *, clear: bool = False) -> WriteResult | None:
    """Write all screens; on failure, log one warning and return None."""
    try:
        written = write(as_files(plan), directory, clear=clear)
    except OSError as error:
        log.warning("no screens written to %s: %s", directory, error.strerror or error)
    except PandaError as error:
        log.warning("no screens written to %s: %s", directory, error)
    except Exception as problem:  # noqa: BLE001 - a failure to write screens must not end the IOC
        log.warning("no screens written to %s: %r", directory, problem)
    else:
        log_result(written, directory)
        return written
    return None


def log_result(written: WriteResult, directory: Path) -> None:
    """Log the result of an update."""
    if written.kept:
        log.warning("%s: screens changed by users are not overwritten: %s", directory, ", ".join(written.kept))
    log.info("%s: wrote %d screens, %d removed", directory, len(written.written), len(written.removed))


def write(texts: Mapping[str, str], directory: Path, *, clear: bool = False) -> WriteResult:
    """Write screens to a directory.

    Args:
        texts: the texts of the screens by file name
        directory: the target directory, which must exist
        clear: remove other generated screens that are unchanged

    Returns:
        The names of the written, kept and removed files.

    Raises:
        OSError: the directory does not exist or is not writable
    """
    result = WriteResult()
    if not directory.is_dir():
        raise NotADirectoryError(None, "not a directory", str(directory))
    if clear:
        result.removed = _clear(directory, set(texts))
    for name, text in texts.items():
        path = directory / name
        if path.exists() and not is_unchanged(path):
            result.kept.append(name)
            continue
        part = path.with_name(f".{name}.part")
        try:
            part.write_text(marked(text), encoding="utf-8", newline="\n")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        result.written.append(name)
    return result


def marked(text: str) -> str:
    """Return a text with the mark of a generated file."""
    return f"{text}{_MARK}{_checksum(text)}{_END}"


def is_unchanged(path: Path) -> bool:
    """Return whether a file is a generated screen without later changes."""
    if not path.is_file() or path.is_symlink() or path.stat().st_size > _MAX_BYTES:
        return False
    text, mark, checksum = path.read_bytes().decode("utf-8", "replace").rpartition(_MARK)
    return bool(mark) and checksum == f"{_checksum(text)}{_END}"


def _clear(directory: Path, wanted: set[str]) -> list[str]:
    removed = []
    for path in sorted(directory.glob("*.bob")):
        if path.name not in wanted and is_unchanged(path):
            path.unlink()
            removed.append(path.name)
    return removed


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
