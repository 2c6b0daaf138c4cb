"""The command `panda-ioc` as a separate process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any


@asynccontextmanager
async def running(
    *arguments: str | Path, environment: Mapping[str, str] | None = None, through: Sequence[str] = (), **streams: Any
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the command; kill it at the end of the context.

    Args:
        arguments: arguments after `panda-ioc`
        environment: environment variables in addition to those of the tests
        through: a program that runs the command, which gets it as its last arguments
        streams: stdin and so on, as for `asyncio.create_subprocess_exec`
    """
    process = await asyncio.create_subprocess_exec(
        *(*through, sys.executable, "-m", "panda_ioc", *map(str, arguments)),
        env={**os.environ, **(environment or {})},
        **streams,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said_until(process: asyncio.subprocess.Process, text: str, timeout: float) -> str:
    """Wait for a text in the output of a process; return the output so far."""
    assert process.stdout
    said = ""
    async with asyncio.timeout(timeout):
        while text not in said:
            line = (await process.stdout.readline()).decode()
            assert line, said
            said += line
    return said


async def outcome(
    *arguments: str | Path, stdin: str = "", environment: Mapping[str, str] | None = None
) -> tuple[int | None, str]:
    """Run the command to its end; return its exit code and output."""
    pipe = asyncio.subprocess.PIPE
    streams: Any = {"stdin": pipe, "stdout": pipe, "stderr": asyncio.subprocess.STDOUT}
    async with running(*arguments, environment=environment, **streams) as process:
        output, _ = await asyncio.wait_for(process.communicate(stdin.encode()), 20)
    return process.returncode, output.decode()


async def said_by(*words: str, environment: Mapping[str, str], folder: Path) -> str:
    """Run any program in a folder to its end, which must be successful; return its output."""
    process = await asyncio.create_subprocess_exec(
        *words,
        env={**os.environ, **environment},
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said
    return said


async def panda_ioc(*arguments: str | Path, stdin: str = "", code: int = 0) -> str:
    """Run the command to its end; check its exit code and that there is no traceback; return its output."""
    ended, output = await outcome(*arguments, stdin=stdin)
    assert ended == code, output
    assert "Traceback" not in output
    return output
