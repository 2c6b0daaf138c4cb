"""What the start of the IOC does early, other commands do not."""

import subprocess
import sys

import pytest

#: SIGTERM, because SIGINT is ignored in a process that a shell started in the background.
SHOW = "import gc, signal, panda_ioc.cli; print(gc.isenabled(), not callable(signal.getsignal(signal.SIGTERM)))"


@pytest.mark.parametrize(
    ("arguments", "is_ioc"),
    [
        ("run HOST PREFIX", True),
        ("--log-level debug softioc HOST PREFIX", True),
        ("--log-level=debug run HOST PREFIX", True),
        ("save HOST run", False),
        ("capture HOST softioc --arm", False),
        ("--log-level run", False),
        ("", False),
    ],
)
def test_only_an_ioc_starts_without_garbage_collection_and_exits_on_signals(arguments: str, *, is_ioc: bool) -> None:
    process = subprocess.run([sys.executable, "-c", SHOW, *arguments.split()], capture_output=True, check=True)
    assert process.stdout.decode().split() == [str(not is_ioc)] * 2
