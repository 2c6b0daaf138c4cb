"""Text files that are whole or not there."""

from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Write a file; a former one with its name stays until the new one is complete.

    Raises:
        OSError: it cannot be written; nothing is left beside it
    """
    # What is no ordinary file, such as a pipe, cannot be replaced.
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
