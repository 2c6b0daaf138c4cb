"""Puts are done and told truthfully whichever thread of EPICS gets the processor first."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from panda_ioc.simulator import Server

from .circuit import NORMAL, Circuit
from .process import Ioc
from .test_puts import RECORD, put_to


@contextlib.asynccontextmanager
async def last_of_all(ioc: Ioc, thread: str) -> AsyncIterator[None]:
    """Make a thread of an IOC run only when nothing else wants the one processor that the IOC has."""
    processor = {min(os.sched_getaffinity(0))}
    names: dict[int, str] = {}
    for task in Path(f"/proc/{ioc.process.pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended, as that of the trim
            os.sched_setaffinity(int(task.name), processor)
            names[int(task.name)] = (task / "comm").read_text().strip()
    (slow,) = (number for number, name in names.items() if name == thread)
    os.sched_setscheduler(slow, os.SCHED_IDLE, os.sched_param(0))
    busy = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
    os.sched_setaffinity(busy.pid, processor)
    os.setpriority(os.PRIO_PROCESS, busy.pid, 10)  # still far more than the thread, so that this gets a share
    try:
        yield
    finally:
        busy.kill()
        await busy.wait()


async def test_a_client_that_leaves_with_its_reply_takes_no_put_along(panda: Server, ca_ports: Iterator[int]) -> None:
    """EPICS gives the memory of its put to the next put, and its thread cbLow may not have finished with it."""
    async with put_to(panda, ca_ports, "TEST-PRIORITIES") as (wire, ioc, port):
        pv = ioc.pv(RECORD)
        async with last_of_all(ioc, "cbLow"):
            for value in (1, 2, 3):
                async with Circuit(port, "alice") as alice:
                    assert await alice.put(f"{pv}.HIHI", 1e9 + value) == NORMAL
                async with Circuit(port, "bob") as bob:
                    assert await bob.put(pv, value) == NORMAL
        assert wire.told == [1, 2, 3]


async def test_nor_does_one_whose_put_waited_for_another(panda: Server, ca_ports: Iterator[int]) -> None:
    """The same thread makes its put then, here to a field for which EPICS does not process the record."""
    async with put_to(panda, ca_ports, "TEST-PRIORITIES-WAIT", delay=0.05) as (wire, ioc, port):
        pv = ioc.pv(RECORD)
        async with last_of_all(ioc, "cbLow"):
            for value in (1, 3):
                async with Circuit(port, "alice") as alice:
                    first = await alice.begin(pv, value)
                    await alice.get(pv)  # the server has handled it
                    async with Circuit(port, "carol") as carol:
                        assert await carol.put(f"{pv}.DESC", 1e9 + value) == NORMAL
                    async with Circuit(port, "bob") as bob:
                        assert await bob.put(pv, value + 1) == NORMAL
                    assert (await first)[0] == NORMAL
        assert wire.told == [1, 2, 3, 4]
