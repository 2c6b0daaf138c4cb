"""The command `panda-ioc`: a thin layer over the rest of the package.

Each command imports what it needs when it runs, so that none waits for what another one needs.
"""

from .main import main

__all__ = ["main"]
