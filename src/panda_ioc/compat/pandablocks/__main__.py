"""Run a script that was written for pandablocks."""

import runpy
import sys
from pathlib import Path

from . import install


def main() -> None:
    """Run the script that the first argument names, with the arguments after it."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m panda_ioc.compat.pandablocks SCRIPT [ARGUMENTS]")
    install()
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)  # as for any script
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
