"""The command `panda-ioc`: a thin layer over the rest of the package.

Each command imports what it needs when it runs, so that none waits for what another one needs.
"""

import os

from . import early  # noqa: F401 - signals, before all that takes time

# numpy comes with a library for linear algebra, which makes a thread for each core when it is loaded; no use here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from .main import main  # noqa: E402

__all__ = ["main"]
