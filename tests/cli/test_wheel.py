"""Installation of the wheel into an empty environment, and the demo from it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aioca
import pytest

from ..command import said_until
from ..ioc.process import environment

ROOT = Path(__file__).resolve().parents[2]


def execute(*command: str | Path) -> None:
    done = subprocess.run([*command], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
async def test_the_wheel_runs_the_demo(tmp_path: Path, ca_ports: Iterator[int]) -> None:
    """This downloads the newest versions of all dependencies, like an installation by a user."""
    wheels, commands = tmp_path / "dist", tmp_path / "venv" / "bin"
    build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    await asyncio.to_thread(execute, *build, "--wheel-dir", wheels, ROOT)
    (wheel,) = wheels.glob("*.whl")
    await asyncio.to_thread(execute, sys.executable, "-m", "venv", tmp_path / "venv")
    await asyncio.to_thread(execute, commands / "pip", "install", "--quiet", "--only-binary", ":all:", wheel)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    process = await asyncio.create_subprocess_exec(
        *(str(commands / "panda-ioc"), "demo", "--prefix", "TEST-WHEEL"),
        env={**variables, **environment(next(ca_ports))},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        await said_until(process, "serving", 60)
        no_reply: Any = await aioca.caput("TEST-WHEEL:PULSE1:WIDTH", 0.1, wait=True, timeout=10)
        assert no_reply.ok
        assert await aioca.caget("TEST-WHEEL:PULSE1:WIDTH", timeout=10) == 0.1
        process.terminate()
        await asyncio.wait_for(process.communicate(), 20)
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        aioca.purge_channel_caches()
