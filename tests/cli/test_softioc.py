"""The command line of pandablocks-ioc, where its options come before the command."""

import asyncio
from collections.abc import Iterator

import pytest

from panda_ioc.simulator import Server

from ..command import panda_ioc, running
from ..ioc.process import environment


@pytest.mark.parametrize(
    ("level", "command"),
    [
        ("DEBUG", ("softioc", "127.0.0.1", "TEST-LEVEL", "--control-port", "{port}")),
        ("debug", ("run", "127.0.0.1", "TEST-LEVEL", "--control-port", "{port}")),
        ("ERROR", ("softioc", "127.0.0.1", "TEST-LEVEL", "--control-port", "{port}", "--log-level", "debug")),
        ("DEBUG", ("demo", "--prefix", "TEST-LEVEL")),
    ],
)
async def test_how_much_is_logged(panda: Server, ca_ports: Iterator[int], level: str, command: tuple[str, ...]) -> None:
    """The option overrides the variable, and an option after the command overrides both."""
    words = [word.format(port=panda.control_port) for word in command]
    variables = {**environment(next(ca_ports)), "PANDA_IOC_LOG_LEVEL": "error"}
    pipe = asyncio.subprocess.PIPE
    async with running("--log-level", level, *words, environment=variables, stdout=pipe) as process:
        assert process.stdout
        async with asyncio.timeout(20):
            said = b""
            while b" DEBUG " not in said:
                said = await process.stdout.readline()
                assert said


async def test_a_level_that_is_none() -> None:
    assert "'loud' is not one of 'debug'" in await panda_ioc("--log-level", "loud", "softioc", "HOST", "X", code=2)
