"""Several programs put to one record at once, over CA and PVA."""

import asyncio
import os
import sys

from aioca import FORMAT_TIME, caget, camonitor

from panda_ioc.simulator import Server

from .process import Ioc

PUTS = 25


async def client(ioc: Ioc, how: str, name: str, first: int) -> tuple[int, str]:
    """Let a process put; return its exit code and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.ioc.putting", how, ioc.pv(name), str(first), str(PUTS)),
        env={**os.environ, **ioc.environment},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, complaint = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return process.returncode, complaint.decode()


async def test_all_complete_and_the_last_value_is_the_pandas(server: Server, ioc: Ioc) -> None:
    field = server.panda.fields["PULSE1.PULSES"]
    written: list[int] = []
    field.on_write = lambda field: written.append(field.raw)
    seen: list[float] = []
    pv = ioc.pv("PULSE1:PULSES")
    monitor = camonitor(pv, lambda value: seen.append(float(value)), all_updates=True)
    clients = [(how, 1000 * number) for number, how in enumerate(("ca", "pva", "ca", "pva"), start=1)]
    ended = await asyncio.gather(*(client(ioc, how, "PULSE1:PULSES", first) for how, first in clients))
    assert ended == [(0, "")] * len(clients)
    # Every put that completed was sent, each client's in their order, and nothing was made up.
    for _, first in clients:
        mine = [value for value in written if first <= value < first + PUTS]
        assert mine == list(range(first, first + PUTS))
    assert len(written) == PUTS * len(clients)
    value = await caget(pv, format=FORMAT_TIME)
    assert (value, value.severity) == (field.raw, 0)
    assert await ioc.pva_get("PULSE1:PULSES") == field.raw == seen[-1]
    assert set(seen) <= {0, *written}
    monitor.close()
