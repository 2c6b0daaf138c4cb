"""The log while its reader is slow, late or stuck."""

import asyncio
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from io import FileIO
from typing import Any, TextIO

import pytest
from p4p.client.asyncio import Context

from panda_ioc.cli.logwriter import LogWriter
from panda_ioc.ioc.log import OneLineFormatter
from panda_ioc.simulator import Server

from ..command import running
from .process import becomes, environment, is_refused


@pytest.fixture
def pipe() -> Iterator[tuple[FileIO, FileIO]]:
    """A pipe with a small buffer: its read end and its write end."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with FileIO(reading, "r") as read, FileIO(writing, "w") as write:
        yield read, write


def lines_of(reading: FileIO) -> TextIO:
    return os.fdopen(os.dup(reading.fileno()), encoding="utf-8")


def log(writer: LogWriter, text: str, created: float = 0.0) -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%s", (text,), None)
    record.created = created
    writer.handle(record)


def test_what_does_not_fit_is_counted_and_the_rest_keeps_its_order(pipe: tuple[FileIO, FileIO]) -> None:
    reading, writing = pipe
    writer = LogWriter(writing.fileno(), room=10000)
    for number in range(3000):
        log(writer, f"{number:9}")
    with lines_of(reading) as lines:
        read = []
        while "dropped" not in (line := lines.readline()):
            read.append(int(line))
        kept = len(read)
        assert 1000 <= kept < 3000
        assert read == list(range(kept))
        assert line == f"{3000 - kept} lines were dropped here: standard output was not read in time\n"
        log(writer, "again")
        assert lines.readline() == "again\n"


def test_time_stamps_are_those_of_what_happened(pipe: tuple[FileIO, FileIO]) -> None:
    reading, writing = pipe
    writer = LogWriter(writing.fileno())
    writer.setFormatter(OneLineFormatter("%(asctime)s %(message)s"))
    times = [1e9 + 60 * number for number in range(500)]
    for created in times:
        log(writer, "a\nb µ", created)
    with lines_of(reading) as lines:
        for created in times:
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(created))
            line = lines.readline()
            assert line.startswith(stamp)
            assert line.endswith(" a\\nb µ\n")


def test_the_end_waits_for_a_slow_reader_and_not_for_one_that_is_gone(pipe: tuple[FileIO, FileIO]) -> None:
    reading, writing = pipe
    writer = LogWriter(writing.fileno())
    for number in range(1000):
        log(writer, f"{number:9}")
    writer.flush()  # without a reader it gives up
    reading.close()
    log(writer, "to nobody")
    writer.flush()


@pytest.mark.parametrize("ends", ["", "raise OSError('gone')", "logging.shutdown(); os._exit(0)"])
def test_no_last_line_is_lost(ends: str) -> None:
    """However a process ends; it writes more than a pipe holds."""
    program = f"""
import logging, os
from panda_ioc.cli.common import log_to_stdout
log_to_stdout("info")
for number in range(5000):
    logging.info("line %d %s", number, "x" * 50)
{ends}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    numbers = [int(line.split()[4]) for line in done.stdout.splitlines()]
    assert numbers == list(range(5000))
    assert ("OSError: gone" in done.stderr) == ends.startswith("raise")


def test_it_ends_whatever_is_stuck(pipe: tuple[FileIO, FileIO]) -> None:
    """Data in standard output without a reader, and EPICS."""
    program = """
import os, sys, time
from panda_ioc.cli import ioc
from panda_ioc.ioc.servers.ca import server as epics
epics.stop = lambda code: time.sleep(60)
ioc._END_TIMEOUT = 0.1
os.write(1, bytes(4000))
sys.stdout.write("x" * 1000)
ioc.end(7)
"""
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, stdout=pipe[1], timeout=20, check=False, env=buffered).returncode == 7


@pytest.mark.long
@pytest.mark.parametrize("both", [False, True])
async def test_an_ioc_whose_log_is_not_read(
    panda: Server, ca_ports: Iterator[int], pipe: tuple[FileIO, FileIO], both: bool
) -> None:
    """The IOC continues to serve, and stops on a signal."""
    reading, writing = pipe
    variables = environment(next(ca_ports))
    prefix = f"TEST-STUCK-{both:d}"
    options = ("run", "127.0.0.1", prefix, "--control-port", str(panda.control_port), "--log-level", "put")
    streams: Any = {"stdout": writing, "stderr": writing if both else asyncio.subprocess.DEVNULL}
    async with running(*options, environment=variables, **streams) as process:
        writing.close()
        await becomes(f"{prefix}:Status", 2, 20)
        with Context("pva", conf=variables, useenv=False) as client:
            for number in range(3000):
                await asyncio.wait_for(client.put(f"{prefix}:DATA:NUM_CAPTURE", number, wait=True), 10)
        await is_refused(f"{prefix}:TTLOUT1:VAL", "nonsense")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 8) == 0
    with lines_of(reading) as lines:
        said = lines.read()
    assert f"put {prefix}:DATA:NUM_CAPTURE = 0 " in said
    assert f"put {prefix}:DATA:NUM_CAPTURE = 2999 " not in said
