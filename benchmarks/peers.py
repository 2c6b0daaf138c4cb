"""Environments with other projects, for measurements as black boxes."""

import subprocess
import sys
from pathlib import Path

CACHE = Path.home() / ".cache" / "panda-ioc"


def environment(name: str, *requirements: str) -> Path:
    """Return the folder of commands of an environment with given packages; the first call makes the environment."""
    folder = CACHE / name
    ready = folder / "ready"
    if not ready.exists():
        print(f"installing {' '.join(requirements)} into {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", *requirements], check=True)
        ready.touch()
    return folder / "bin"
