"""A PandA that claims more blocks, fields or keys than any PandA has."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psutil

from panda_ioc.ioc.link.known import Known
from panda_ioc.protocol import Changes

from .process import running_ioc

FIELDS = 20
BLOCKS, INSTANCES = 50, 1024
KEYS = 5000


@asynccontextmanager
async def boasting(blocks: int, keys: int) -> AsyncIterator[int]:
    """A control port with a number of blocks of 1024 instances each, and a number of new keys in each reply."""
    numbers = itertools.count()

    def answer(line: bytes) -> str:
        match line.decode().strip():
            case "*IDN?":
                return "OK =PandA SW: 3.0 FPGA: 1.0 0 0 rootfs: PandA 3.0"
            case "*BLOCKS?":
                return "".join(f"!MANY{letter(number)} {INSTANCES}\n" for number in range(blocks)) + "!ONE 1\n."
            case name if name.endswith(".*?"):
                return "".join(f"!F{number} {number} param uint\n" for number in range(FIELDS)) + "."
            case changes if changes.startswith("*CHANGES"):
                return "".join(f"!NEW.X{next(numbers)}=1\n" for _ in range(keys)) + "!ONE.F1=7\n."
            case name if name.startswith("*DESC"):
                return "OK =x"
        return "OK =5"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            writer.write(answer(line).encode() + b"\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def letter(number: int) -> str:
    """Yield block names without a digit at the end."""
    return f"{chr(65 + number // 26)}{chr(65 + number % 26)}"


async def test_more_fields_than_any_fpga_has(ca_ports: Iterator[int]) -> None:
    async with boasting(BLOCKS, 0) as port, running_ioc(port, "TEST-BOAST", ca_ports) as ioc:
        await ioc.wait_for("block MANYAA is not served: its 1024 instances have 20480 fields")
        assert await ioc.pva_get("ONE:F1") == 7
        assert await asyncio.wait_for(ioc.stop(), 5) == 0


async def test_keys_that_nobody_needs_are_not_kept(ca_ports: Iterator[int]) -> None:
    async with boasting(0, KEYS) as port, running_ioc(port, "TEST-KEYS", ca_ports) as ioc:
        process = psutil.Process(ioc.process.pid)
        uptime = await ioc.monitor("IOC:UPTIME")
        await asyncio.wait_for(uptime.get(), 10)
        before = process.memory_info().rss
        for _ in range(2):
            await asyncio.wait_for(uptime.get(), 10)
        # Before the fix it was 20 MB per second.
        assert process.memory_info().rss - before < 20e6


def test_only_what_is_needed_is_known() -> None:
    known = Known({"A.X", "A.Y"}.__contains__)
    known.start_with(Changes({"A.X": "1", "B.X": "1"}, (), ("A.Y", "B.Y")))
    assert (known.texts, known.in_error) == ({"A.X": "1"}, {"A.Y"})
    assert set(known.take(Changes({"A.Y": "2", "B.Z": "1"}, (), ("A.X", "C.X")))) == {"A.Y", "A.X"}
    assert (known.texts, known.in_error) == ({"A.X": "1", "A.Y": "2"}, {"A.X"})
