"""Reading of text files of limited size, and atomic writes."""

import errno
import os
from pathlib import Path

#: Maximum size of a file to read in characters: far above any real one, and small enough for the memory of a container.
MAX_SIZE = 1 << 24


def read(path: Path) -> str:
    """Return the content of a file in UTF-8.

    Raises:
        OSError: the file cannot be read, or has more than 16 MiB, such as /dev/zero
        UnicodeDecodeError: the file is not valid UTF-8
    """
    with path.open(encoding="utf-8") as file:
        text = file.read(MAX_SIZE + 1)
    if len(text) > MAX_SIZE:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return text


def replace(path: Path, text: str) -> None:
    """Write a file; an existing file stays until the new one is complete.

    Args:
        path: path of the file
        text: content, written in UTF-8

    Raises:
        OSError: the file cannot be written; no temporary file is left
    """
    # Special files, such as pipes, cannot be replaced: write to them directly.
    part = path.with_name(f"{path.name}.part") if path.is_file() or not path.exists() else path
    try:
        with part.open("w", encoding="utf-8", newline="\n") as writing:
            writing.write(text)
        if part != path:
            part.replace(path)
    except OSError:
        if part != path:
            part.unlink(missing_ok=True)
        raise
