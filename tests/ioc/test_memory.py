"""Memory use of an IOC."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import psutil
from aioca import caget
from msgspec import to_builtins

from panda_ioc.simulator import DeviceSpec, Server, load
from panda_ioc.validation import validated

from .process import running_ioc


def with_short_tables(spec: DeviceSpec) -> DeviceSpec:
    """The same PandA with tables of few rows."""
    content = to_builtins(spec)
    for block in content["blocks"].values():
        for field in block["fields"].values():
            if field["type"] == "table":
                field["max_length"] = 8 * field["row_words"]
    return validated(content, DeviceSpec)


def test_a_start_without_a_file_does_not_load_what_it_does_not_need() -> None:
    """Each of these takes megabytes or tens of milliseconds of each start."""
    code = "import sys, panda_ioc.cli.ioc, panda_ioc.ioc.process.run; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    assert "msgspec" in loaded
    unwanted = {"csv", "email", "importlib.metadata", "matplotlib", "pydantic", "yaml", "zipfile", "zoneinfo"}
    assert unwanted & set(loaded) == set()


async def test_tables_take_memory_for_what_is_in_them(ca_ports: Iterator[int]) -> None:
    """Memory is for the rows, not for the capacity of the tables, which is 17 MB for a SEQ table."""

    async def memory(spec: DeviceSpec, prefix: str) -> int:
        async with Server(spec, control_port=0, data_port=0) as panda:
            async with running_ioc(panda.control_port, prefix, ca_ports) as ioc:
                columns = [ioc.pv(f"SEQ{number}:TABLE:{name}") for number in (1, 2) for name in ("TRIGGER", "OUTA1")]
                assert [len(column) for column in await caget(columns)] == [0] * 4
                return int(psutil.Process(ioc.process.pid).memory_info().rss)

    short, long = await asyncio.gather(memory(with_short_tables(load()), "TEST-SHORT"), memory(load(), "TEST-LONG"))
    assert long - short < 5e6
