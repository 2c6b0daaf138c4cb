"""Environments of other projects, to be measured as black boxes."""

import subprocess
import sys
from pathlib import Path

CACHE = Path.home() / ".cache" / "panda-ioc"


def environment(name: str, *requirements: str) -> Path:
    """The folder of commands of an environment that has some packages; it is made the first time."""
    folder = CACHE / name
    ready = folder / "ready"
    if not ready.exists():
        print(f"installing {' '.join(requirements)} into {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", *requirements], check=True)
        ready.touch()
    return folder / "bin"
