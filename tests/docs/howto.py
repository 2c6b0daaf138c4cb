"""The commands of how-to pages: `caget`, `caput` and `panda-ioc` are run in order, as a shell would run them."""

import asyncio
import doctest
import itertools
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from aioca import DBR_CHAR_STR, FORMAT_CTRL, caget, caput
from click.testing import CliRunner

from panda_ioc.cli import main

from ..command import said_by
from .pages import FENCED, ROOT, dedented

#: Pages of docs/ whose commands, scenarios and outputs `test_howto.py` runs.
HOWTOS = (
    "how-to/position-compare.md",
    "how-to/sequencer.md",
    "how-to/encoders.md",
    "how-to/time-stamps.md",
    "how-to/archiver.md",
    "how-to/networks.md",
    "how-to/gateways.md",
    "how-to/scan-software.md",
    "how-to/raw-files.md",
    "how-to/save-restore.md",
    "how-to/troubleshooting.md",
    "reference/errors.md",
)

_TOOLS = ROOT / "tests" / "ioc" / "epicstools"

_NAME = re.compile(r"# ([\w-]+\.\w+)\n")

#: How expected output is compared: "..." stands for anything, and white space does not matter.
_CHECKER = doctest.OutputChecker()
_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

#: Seconds until a value that is polled must be shown.
_PATIENCE = 10.0


@dataclass(frozen=True)
class Ports:
    """Where the PandA and the IOC of a test listen: pages have the usual ports, and localhost."""

    control: int
    data: int
    usual: Mapping[str, str]

    def replace(self, text: str) -> str:
        """Replace the usual ports of EPICS in a text by those of the test."""
        return re.sub(r"\b(5064|5075|5076|5085|5086)\b", lambda match: self.usual[match[1]], text)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: "sh", "python", "yaml", "text" or another
        text: its lines, without the common indentation
        expected: the text block that follows directly, or ""
    """

    language: str
    text: str
    expected: str

    @property
    def file(self) -> str:
        """The file name in its first line, or "": such a block is saved, not run."""
        match = _NAME.match(self.text)
        return match[1] if match else ""


def blocks(path: Path) -> Iterator[Block]:
    """Return the fenced blocks of a page, each with the output that the page shows for it."""
    text = path.read_text(encoding="utf-8")
    found = list(FENCED.finditer(text))
    for match, after in itertools.zip_longest(found, found[1:]):
        follows = after is not None and after[2] == "text" and not text[match.end() : after.start()].strip()
        if match[2] != "text":
            yield Block(match[2], dedented(match), dedented(after) if after and follows else "")


def check_output(expected: str, output: str) -> None:
    """Compare what a block printed with what the page shows."""
    assert _CHECKER.check_output(expected, output, _OPTIONS), f"expected:\n{expected}\nbut got:\n{output}"


async def show(block: Block, ports: Ports, folder: Path) -> None:
    """Run a shell block, and compare its output; one that only reads is repeated until the polls of the IOC show it."""
    expected = block.expected or "..."
    reads = all(re.match(r"caget |panda-ioc get |#|$", line) for line in block.text.splitlines())
    deadline = asyncio.get_running_loop().time() + (_PATIENCE if reads else 0)
    while True:
        output = await _run_lines(block.text, ports, folder) or "\n"
        if asyncio.get_running_loop().time() > deadline or _CHECKER.check_output(expected, output, _OPTIONS):
            break
    check_output(expected, output)


async def _run_lines(text: str, ports: Ports, folder: Path) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return "".join([await _run(line, ports, folder) for line in lines])


async def _run(line: str, ports: Ports, folder: Path) -> str:
    if re.match(r"[A-Z_]+=", line):  # variables need a separate process
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(_TOOLS)])
        return await said_by("sh", "-ec", f"exec 2>&1; {line}", environment={"PATH": path}, folder=folder)
    command, may_fail, _ = line.partition(" || true")
    words = shlex.split(command, comments=True)
    program, options = words[0], {word for word in words[1:] if re.fullmatch("-[acS]", word)}
    arguments = [word for word in words[1:] if word not in options]
    if program == "panda-ioc":
        return await asyncio.to_thread(_panda_ioc, words[1:], ports, folder, may_fail=bool(may_fail))
    datatype = DBR_CHAR_STR if "-S" in options else None
    if program == "caput":
        value = arguments[2:] if "-a" in options else arguments[1]  # -a is followed by the number of elements
        done = await caput(arguments[0], value, datatype=datatype, wait="-c" in options, timeout=10, throw=False)
        assert done.ok != bool(may_fail), f"{line}: {done}"
        return ""
    assert program == "caget", line
    return "".join([f"{pv} {await _shown(pv, datatype)}\n" for pv in arguments])


async def _shown(pv: str, datatype: object) -> str:
    value = await caget(pv, datatype=datatype, format=FORMAT_CTRL, timeout=10)
    if labels := getattr(value, "enums", None):
        return str(labels[value])
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _panda_ioc(words: list[str], ports: Ports, folder: Path, *, may_fail: bool) -> str:
    """Run a command of `panda-ioc`; what the page calls localhost is the PandA of the test."""
    if "localhost" in words:
        options = ["--control-port", str(ports.control)] + (["--data-port", str(ports.data)] * (words[0] != "drive"))
        at = words.index("localhost")
        words = [*words[:at], "127.0.0.1", *options, *words[at + 1 :]]
    file = words[words.index(">") + 1] if ">" in words else ""
    result = CliRunner().invoke(main, words[: words.index(">")] if file else words)
    assert (result.exit_code == 0) != may_fail, (words, result.output)
    if file:
        (folder / file).write_text(result.stdout, encoding="utf-8")
    return "" if file else result.output
