"""Opening files while descriptors are short."""

import subprocess
import sys
from pathlib import Path

import pytest

# A separate process, because the limits apply to a whole process.
_PROGRAM = """
import errno, os, resource, sys, threading
from pathlib import Path
from panda_ioc.capture.creation import create_file
from panda_ioc.opening import opened

path = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

def take_all():
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.EMFILE
    return taken

def let_go(taken):
    for descriptor in taken:
        os.close(descriptor)
"""


def _outcome(program: str, path: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM + program, str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("make", ["create_file(path, {})", 'opened(path.open, "w")'])
def test_a_file_is_opened_when_there_are_descriptors_again(tmp_path: Path, make: str) -> None:
    let_go = "threading.Timer(0.3, let_go, [take_all()]).start()\n"
    assert _outcome(f"{let_go}{make}.close()\nprint(path.exists())", tmp_path / "x") == "True\n"


def test_descriptors_that_do_not_come_back(tmp_path: Path) -> None:
    output = _outcome('take_all()\nopened(path.open, "w")', tmp_path / "x")
    assert "[Errno 24] Too many open files" in output


def test_what_else_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    program = 'import panda_ioc.opening as o\no.time.sleep = print\nopened(path.open, "r")'
    output = _outcome(program, tmp_path / "x")
    assert "FileNotFoundError" in output
    assert not output.startswith("0.1")
