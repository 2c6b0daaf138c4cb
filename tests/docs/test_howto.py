"""The how-to pages: their commands give the output that the page shows, their Python runs, their pictures are made."""

import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from panda_ioc.simulator import Server, load

from ..command import said_by
from ..ioc.process import Ioc, running_ioc
from .howto import HOWTOS, blocks, check_output, show
from .pages import ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
async def panda() -> AsyncIterator[Server]:
    async with Server(load(), control_port=0, data_port=0) as server:
        yield server


@pytest.fixture(scope="module")
async def ioc(panda: Server, ca_ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ioc]:
    options = ("--data-port", str(panda.data_port))
    async with running_ioc(panda.control_port, "PANDA", ca_ports, *options) as ioc:
        yield ioc


@pytest.mark.parametrize("page", HOWTOS)
async def test_a_page(page: str, panda: Server, ioc: Ioc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ioc.environment.items():
        if name.startswith("EPICS_PVA"):
            monkeypatch.setenv(name, value)
    for block in blocks(DOCS / page):
        block = replace(block, text=block.text.replace("/tmp", str(tmp_path)))  # noqa: PLW2901, S108
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "sh":
            await show(block, (panda.control_port, panda.data_port))
        elif block.language == "python":
            said = await said_by(sys.executable, "-c", block.text, environment=ioc.environment, folder=tmp_path)
            check_output(block.expected or "...", said or "\n")
    for name in re.findall(r"\]\(\.\./pictures/([\w-]+\.\w+)\)", (DOCS / page).read_text(encoding="utf-8")):
        assert (DOCS / "pictures" / name).exists()
