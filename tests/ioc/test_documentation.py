"""Run the examples of docs/how-to/clients.md unchanged."""

import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from panda_ioc.simulator import Server, load

from ..command import said_by
from .process import Ioc, running_ioc

CLIENTS = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "clients.md"

#: Folder of caget and caput, if the EPICS tools are not installed.
TOOLS = Path(__file__).parent / "epicstools"

EXAMPLES = re.findall(r"^```(python|sh)\n(.*?)^```$", CLIENTS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

#: A part of the output of each example, in order.
PRINTS = ["(A&B)", "it was refused", "stream_resource count", "", "did you mean", "STREAMING_LAST", "[5. 6.]"]


@pytest.fixture(scope="module")
async def ioc(ca_ports: Iterator[int]) -> AsyncIterator[Ioc]:
    async with Server(load(), control_port=0, data_port=0) as server:
        data = ("--data-port", str(server.data_port))
        async with running_ioc(server.control_port, "PANDA", ca_ports, *data) as ioc:
            yield ioc


@pytest.mark.parametrize(
    ("language", "code", "prints"), [(*example, prints) for example, prints in zip(EXAMPLES, PRINTS, strict=True)]
)
async def test_an_example(ioc: Ioc, tmp_path: Path, language: str, code: str, prints: str) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(TOOLS)])
    command = [sys.executable, "-c", code] if language == "python" else ["sh", "-e", "-c", code]
    assert prints in await said_by(*command, environment={**ioc.environment, "PATH": path}, folder=tmp_path)
