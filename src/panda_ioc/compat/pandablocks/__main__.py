"""Command line: run a script written for pandablocks."""

import runpy
import sys
from pathlib import Path

from . import install


def main() -> None:
    """Run the script in the first argument with the remaining arguments."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m panda_ioc.compat.pandablocks SCRIPT [ARGUMENTS]")
    install()
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)  # as Python does for scripts
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
