"""Libraries for LD_PRELOAD that make the disk of a process fail or block."""

import shutil
import subprocess
from pathlib import Path

import pytest


def build(name: str, directory: Path) -> Path:
    """Compile a library from its source in this directory; skip the test without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = directory / f"{name}.so"
    source = Path(__file__).parent / f"{name}.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60)
    return library
