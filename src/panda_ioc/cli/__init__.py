"""The command-line interface `panda-ioc`, a thin layer over the rest of the package.

Each command imports its dependencies when it runs, which keeps the start of every command short.
"""

import os

from . import early  # noqa: F401 - handles signals, so it comes before slow imports

# The linear algebra library of numpy starts a thread per core when it is loaded; they are not needed.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from .main import main  # noqa: E402

__all__ = ["main"]
