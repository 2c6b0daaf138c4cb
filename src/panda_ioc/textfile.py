"""Atomic writes of text files."""

from pathlib import Path


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
