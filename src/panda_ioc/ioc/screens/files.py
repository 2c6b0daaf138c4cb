"""A directory of screens: ours are marked, and what people changed is neither overwritten nor removed.

The last line of a file of ours is a comment with a checksum of all before it. A file without it, or whose text
no longer fits it, belongs to people.
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

_MARK = "<!-- made by panda-ioc, which replaces it while it is unchanged: "
_END = " -->\n"

#: Larger files are none of ours, and are not read.
_MOST_BYTES = 8_000_000


@dataclass
class Written:
    """What was done.

    Attributes:
        written: names of files that were written
        kept: names of files that belong to people, and that a screen of ours would have had
        removed: names of files of ours that were removed
    """

    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def try_write(plan: Plan, directory: Path, *, clear: bool = False) -> Written | None:
    """Write all screens; whatever goes wrong is one warning, and None."""
    try:
        written = write(as_files(plan), directory, clear=clear)
    except OSError as error:
        log.warning("no screens are written to %s: %s", directory, error.strerror or error)
    except PandaError as error:
        log.warning("no screens are written to %s: %s", directory, error)
    except Exception as problem:  # noqa: BLE001 - a screen is never worth an IOC
        log.warning("no screens are written to %s: %r", directory, problem)
    else:
        tell(written, directory)
        return written
    return None


def tell(written: Written, directory: Path) -> None:
    """Log what was done."""
    if written.kept:
        log.warning("%s: %s changed by people, and kept", directory, ", ".join(written.kept))
    log.info("%s: %d screens, %d removed", directory, len(written.written), len(written.removed))


def write(texts: Mapping[str, str], directory: Path, *, clear: bool = False) -> Written:
    """Write screens to a directory.

    Args:
        texts: their texts by the names of their files
        directory: where to; it has to be there
        clear: remove others of ours that are unchanged

    Raises:
        OSError: it cannot be written to
    """
    done = Written()
    if not directory.is_dir():
        raise NotADirectoryError(None, "it is no directory", str(directory))
    if clear:
        done.removed = _clear(directory, set(texts))
    for name, text in texts.items():
        path = directory / name
        if path.exists() and not is_ours(path):
            done.kept.append(name)
            continue
        part = path.with_name(f".{name}.part")
        try:
            part.write_text(marked(text), encoding="utf-8", newline="\n")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        done.written.append(name)
    return done


def marked(text: str) -> str:
    """A text with our mark."""
    return f"{text}{_MARK}{_checksum(text)}{_END}"


def is_ours(path: Path) -> bool:
    """Whether we wrote a file and nobody changed it since."""
    if not path.is_file() or path.is_symlink() or path.stat().st_size > _MOST_BYTES:
        return False
    text, mark, told = path.read_bytes().decode("utf-8", "replace").rpartition(_MARK)
    return bool(mark) and told == f"{_checksum(text)}{_END}"


def _clear(directory: Path, wanted: set[str]) -> list[str]:
    removed = []
    for path in sorted(directory.glob("*.bob")):
        if path.name not in wanted and is_ours(path):
            path.unlink()
            removed.append(path.name)
    return removed


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
