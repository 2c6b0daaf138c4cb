"""Where a file goes: its name from a template and a number, its directory, and what may be made on the way."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import CaptureError

#: What a template may have in it, as areaDetector's: %s for the directory, %s for the name, %d for the number.
_DIRECTIVE = re.compile(r"%(?:%|-?\d{0,3}s|[-0]{0,2}\d{0,3}(?:\.\d{1,3})?d)")

#: The number in the name of a file that is one of several.
_NUMBER = re.compile(r"%(?:%|0?\d{0,2}d)")

#: Unicode categories of what is no printable letter: controls, ends of lines and paragraphs, halves of letters.
_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp", "Cs"})

_MAX_PATH = 1023


@dataclass(frozen=True)
class FileName:
    """How a file is called.

    Attributes:
        directory: absolute
        name: of the file
        template: how both and the number become a path, such as "%s%s_%4.4d.h5"; "" for directory and name alone
        number: see above
    """

    directory: str
    name: str
    template: str = ""
    number: int = 0

    def path(self) -> Path:
        """The path of the file.

        Raises:
            CaptureError: what was given makes no path of a file in that directory
        """
        directory = checked_directory(self.directory)
        if not self.name:
            raise CaptureError("there is no file name: set HDF_FILE_NAME")
        check_name(self.name)
        path = Path(self._filled(f"{directory}/".replace("//", "/"))) if self.template else directory / self.name
        if path.parent != directory:
            raise CaptureError(f"the template {self.template!r} makes {path}, which is not in {directory}")
        if len(bytes(path)) > _MAX_PATH or len(path.name.encode()) > 255:
            raise CaptureError(f"the path of the file is too long: {str(path)[:80]}...")
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
    """Check that a file in a directory can have a name.

    Raises:
        CaptureError: it cannot
    """
    _check_printable(name)
    if not name or "/" in name or name in {".", ".."}:
        raise CaptureError(f"invalid file name {name!r}: set the directory in HDF_DIRECTORY")


def _check_printable(text: str) -> None:
    """Check that a name has no letter that would end a line, move a cursor or be no letter at all."""
    for letter in text:
        if unicodedata.category(letter) in _UNPRINTABLE:
            raise CaptureError(f"{text!r} has the control character {letter!r} in it")


def check_template(template: str) -> None:
    """Check that a template has in it what may be: two %s, at most one %d, with widths.

    Raises:
        CaptureError: it has something else
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
    """Read a path such as "scan_%d.h5" or "scan_%04d.h5", of which each file has a number; "%%" is a percent sign.

    Returns:
        makes a path of a number; None if there is no number in the name

    Raises:
        CaptureError: there are several
    """
    directives = [directive for directive in _NUMBER.findall(path.name) if directive != "%%"]
    if not directives:
        return None
    if len(directives) > 1:
        raise CaptureError(f"{path.name!r} has more than one number in it")

    def numbered_path(number: int) -> Path:
        return path.with_name(_NUMBER.sub(lambda found: "%" if found[0] == "%%" else found[0] % number, path.name))

    return numbered_path


def checked_directory(directory: str) -> Path:
    """A directory as people write it, as a path.

    Raises:
        CaptureError: it is not absolute, or leads upwards
    """
    if not directory:
        raise CaptureError("there is no directory for the file")
    _check_printable(directory)
    path = Path(directory)
    if not path.is_absolute() or ".." in path.parts:
        raise CaptureError(f"{directory!r} is not the absolute path of a directory, without '..'")
    return path


def check_within(path: Path, roots: Sequence[Path]) -> None:
    """Check that a path, with all links followed, is in one of some directories; anywhere is right if there are none.

    Raises:
        CaptureError: it is not
    """
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as error:  # the latter for links that lead in a circle
        reason = getattr(error, "strerror", None) or "its links lead in a circle"
        raise CaptureError(f"{path} cannot be followed: {reason}") from error
    if roots and not any(real.is_relative_to(root.resolve()) for root in roots):
        raise CaptureError(f"{path} is not below {' or '.join(map(str, roots))}, where files may be written")


def make_directory(directory: str, levels: int, roots: Sequence[Path] = ()) -> bool:
    """Make a directory if that is allowed; return whether it exists then.

    Args:
        directory: which
        levels: how many levels may be made, as areaDetector's CreateDirectory: none for 0; at most -n at the
            end of the path for a negative n; all below the first n for a positive one
        roots: see `check_within`

    Raises:
        CaptureError: it cannot be made, or may not be
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
        raise CaptureError(f"cannot make the directory {path}: {error.strerror}") from error
    return True
