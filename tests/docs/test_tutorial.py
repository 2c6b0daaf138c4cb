"""Run docs/tutorials/tutorial.md step by step, with the demo."""

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ..command import running, said_by
from ..ioc.process import environment
from .pages import ROOT, commands, examples

PIPES: Any = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}


@pytest.mark.long
async def test_the_tutorial(ca_ports: Iterator[int], tmp_path: Path) -> None:
    tools = ROOT / "tests" / "ioc" / "epicstools"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(tools)])
    variables = environment(next(ca_ports))

    carry_out = partial(said_by, environment={**variables, "PATH": path}, folder=tmp_path)
    async with running("demo", environment=variables, **PIPES) as demo:
        assert demo.stdout
        async with asyncio.timeout(30):
            while b"serving" not in (line := await demo.stdout.readline()):
                assert line
        steps = list(commands("tutorial.md"))
        for step in steps:
            if "PULSE1:WIDTH" in step:
                await carry_out("sh", "-c", step.removeprefix(".venv/bin/"))
        *session, look = (example.text for example in examples("tutorial.md", "python"))
        said = await carry_out(sys.executable, "-c", "\n".join(session))
        assert "did you mean TTLIN1.VAL" in said
        captured = re.search(r"OK: (\d+) samples in", said)
        assert captured, said
        demo.terminate()
        await demo.communicate()
    (plot,) = (step for step in steps if " plot " in step)
    await carry_out("sh", "-c", plot.removeprefix(".venv/bin/"))
    assert (tmp_path / "first.png").read_bytes().startswith(b"\x89PNG")
    assert f"\n{captured[1]} " in await carry_out(sys.executable, "-c", look)
