"""File paths: template, name and number, allowed directories, creation of directories."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import CaptureError

#: Format directives of a template, as in areaDetector: %s for the directory, %s for the name, %d for the number.
_DIRECTIVE = re.compile(r"%(?:%|-?\d{0,3}s|[-0]{0,2}\d{0,3}(?:\.\d{1,3})?d)")

#: Format directive of the number in a series of file names.
_NUMBER = re.compile(r"%(?:%|0?\d{0,2}(?:\.\d{1,2})?d)")

#: Unicode categories of non-printable characters: control, line separator, paragraph separator, surrogate.
_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp", "Cs"})

_MAX_PATH = 1023


@dataclass(frozen=True)
class FileName:
    """The components of a file path.

    Attributes:
        directory: absolute path of the directory
        name: file name
        template: format of directory, name and number, such as "%s%s_%4.4d.h5"; "" uses directory and name only
        number: number for the template
    """

    directory: str
    name: str
    template: str = ""
    number: int = 0

    def path(self) -> Path:
        """Return the path of the file.

        Raises:
            CaptureError: a component is invalid, or the path is not in the directory
        """
        directory = checked_directory(self.directory)
        if not self.name:
            raise CaptureError("no file name: set HDF_FILE_NAME")
        check_name(self.name)
        path = Path(self._filled(f"{directory}/".replace("//", "/"))) if self.template else directory / self.name
        if path.parent != directory:
            raise CaptureError(f"the template {self.template!r} results in {path}, which is not in {directory}")
        if len(bytes(path)) > _MAX_PATH or len(path.name.encode()) > 255:
            raise CaptureError(f"file path too long: {str(path)[:80]}...")
        return path

    def _filled(self, directory: str) -> str:
        check_template(self.template)
        values: list[str | int] = [directory, self.name]
        arguments = []
        for directive in re.findall(_DIRECTIVE, self.template):
            if directive.endswith("s"):
                arguments.append(values.pop(0) if values else "")
            elif directive != "%%":
                arguments.append(self.number)
        return self.template % tuple(arguments)


def check_name(name: str) -> None:
    """Check a file name.

    Raises:
        CaptureError: the name is empty, has a directory or non-printable characters
    """
    _check_printable(name)
    if not name or "/" in name or name in {".", ".."}:
        raise CaptureError(f"invalid file name {name!r}: set the directory in HDF_DIRECTORY")


def _check_printable(text: str) -> None:
    """Check that a text has no non-printable characters, which could forge log lines or control a terminal."""
    for letter in text:
        if unicodedata.category(letter) in _UNPRINTABLE:
            raise CaptureError(f"{text!r} contains the control character {letter!r}")


def check_template(template: str) -> None:
    """Check a template: %s, %s and optionally %d, with optional widths.

    Raises:
        CaptureError: the template has other format directives
    """
    _check_printable(template)
    directives = [directive for directive in _DIRECTIVE.findall(template) if directive != "%%"]
    rest = _DIRECTIVE.sub("", template)
    strings = [directive[-1] for directive in directives]
    if "%" in rest or strings not in (["s", "s"], ["s", "s", "d"]):
        raise CaptureError(
            f"invalid template {template!r}: it needs %s for the directory, then %s for the name, "
            "and may have %d for the number after them"
        )


def numbered(path: Path) -> Callable[[int], Path] | None:
    """Parse a path of a series of files, such as "scan_%d.h5" or "scan_%04d.h5"; "%%" is a percent sign.

    Returns:
        a function that returns the path of a number; None if the name has no number

    Raises:
        CaptureError: the name has several numbers
    """
    directives = [directive for directive in _NUMBER.findall(path.name) if directive != "%%"]
    if not directives:
        return None
    if len(directives) > 1:
        raise CaptureError(f"{path.name!r} has more than one number: use one %d")

    def numbered_path(number: int) -> Path:
        return path.with_name(_NUMBER.sub(lambda found: "%" if found[0] == "%%" else found[0] % number, path.name))

    return numbered_path


def checked_directory(directory: str) -> Path:
    """Check a directory and return it as a path.

    Raises:
        CaptureError: the path is empty, not absolute or contains ".."
    """
    if not directory:
        raise CaptureError("no directory for the file: set HDF_DIRECTORY")
    _check_printable(directory)
    path = Path(directory)
    if not path.is_absolute() or ".." in path.parts:
        raise CaptureError(f"invalid directory {directory!r}: use an absolute path without '..'")
    return path


def check_within(path: Path, roots: Sequence[Path]) -> None:
    """Check that a path, with symbolic links resolved, is in one of the allowed directories.

    Args:
        path: path to check
        roots: allowed directories; empty to allow all

    Raises:
        CaptureError: the path is elsewhere or cannot be resolved
    """
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
        reason = getattr(error, "strerror", None) or "loop of symbolic links"
        raise CaptureError(f"cannot resolve {path}: {reason}") from error
    if roots and not any(real.is_relative_to(root.resolve()) for root in roots):
        raise CaptureError(f"{path} is not in an allowed directory: use {' or '.join(map(str, roots))}")


def make_directory(directory: str, levels: int, roots: Sequence[Path] = ()) -> bool:
    """Create a directory if allowed; return whether it exists afterwards.

    Args:
        directory: absolute path
        levels: levels that may be created, as areaDetector's CreateDirectory: 0 for none, -n for up to n levels at the
            end of the path, n for all levels below the first n
        roots: allowed directories; see `check_within`

    Raises:
        CaptureError: the directory is not allowed or cannot be created
    """
    path = checked_directory(directory)
    try:
        check_within(path, roots)
        if path.is_dir():
            return True
        missing = [part for part in (path, *path.parents) if not part.exists()]
        allowed = -levels if levels < 0 else len(path.parts) - 1 - levels
        if not levels or len(missing) > allowed:
            return False
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CaptureError(f"cannot create the directory {path}: {error.strerror}") from error
    return True
