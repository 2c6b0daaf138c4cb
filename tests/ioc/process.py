"""A real IOC process and its clients."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import pytest
from aioca import CANothing, camonitor, caput
from p4p.client.asyncio import Context

from ..conftest import free_port


class Ioc:
    """A running IOC.

    Attributes:
        prefix: the PV prefix
        output: the lines of output so far
        environment: variables with its ports, which clients in other processes need
        pva: a PVA client
        raw: a PVA client that returns structures unchanged
    """

    def __init__(self, process: asyncio.subprocess.Process, prefix: str, environment: dict[str, str]) -> None:
        self.process = process
        self.prefix = prefix
        self.output: list[str] = []
        self.environment = environment
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())
        self.pva = Context("pva", conf=environment, useenv=False)
        # After the first table, a p4p client also returns numbers as structures.
        self._subscriptions: list[Any] = []
        self.raw = Context("pva", conf=environment, useenv=False, nt=False)

    def pv(self, name: str) -> str:
        """The full name of a record."""
        return f"{self.prefix}:{name}"

    async def pva_get(self, name: str) -> Any:
        """Read a record over PVA."""
        return await asyncio.wait_for(self.pva.get(self.pv(name)), 5)

    async def raw_get(self, name: str) -> Any:
        """Read a structure over PVA."""
        return await asyncio.wait_for(self.raw.get(self.pv(name)), 5)

    async def monitor(self, name: str) -> asyncio.Queue[Any]:
        """The updates of a structure monitor after its first value, until the IOC stops."""
        seen: asyncio.Queue[Any] = asyncio.Queue()
        self._subscriptions.append(self.raw.monitor(self.pv(name), seen.put))
        await asyncio.wait_for(seen.get(), 5)
        return seen

    async def pva_put(self, name: str, value: Any) -> None:
        """Put to a record over PVA and wait for completion."""
        await asyncio.wait_for(self.pva.put(self.pv(name), value, wait=True), 10)

    async def wait_for(self, text: str, timeout: float = 20, start: int = 0) -> str:
        """Wait for a line of output that contains a text."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    for line in self.output[start:]:
                        if text in line:
                            return line
                    if self._reading.done():
                        raise AssertionError(f"the IOC ended without saying {text!r}: {self.output}")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"the IOC did not say {text!r}: {self.output[-50:]}") from None

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop the IOC with a signal; return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self, timeout: float = 20) -> int:
        """Wait for the end of the process; return its exit code."""
        for subscription in self._subscriptions:
            subscription.close()
        self.pva.close()
        self.raw.close()
        async with asyncio.timeout(timeout):
            await self._reading
            return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stdout
        while line := await self.process.stdout.readline():
            self.output.append(line.decode(errors="replace").rstrip("\n"))
            self._changed.set()
        self._changed.set()


def environment(ca_port: int) -> dict[str, str]:
    """Return the variables with the ports of an IOC, on loopback only."""
    pva_port, broadcast_port = free_port(), free_port()
    return {
        "EPICS_CA_SERVER_PORT": str(ca_port),
        "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_PVA_SERVER_PORT": str(pva_port),
        "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_BROADCAST_PORT": str(broadcast_port),
        "EPICS_PVA_ADDR_LIST": "127.0.0.1",
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
    }


@asynccontextmanager
async def running_ioc(
    panda_port: int,
    prefix: str,
    ca_ports: Iterator[int],
    *options: str,
    ready: str = "serving ",
    host: str = "127.0.0.1",
    extra: Mapping[str, str] = MappingProxyType({}),
    before: Sequence[str] = (),
) -> AsyncIterator[Ioc]:
    """Run an IOC for the PandA on a port until the end of the context; yield it when it serves.

    `before` is the command line of a program that runs the IOC, for example under a limit.
    """
    variables = environment(next(ca_ports))
    process = await asyncio.create_subprocess_exec(
        *(*before, sys.executable, "-m", "panda_ioc", "run", host, prefix, "--control-port", str(panda_port), *options),
        env={**os.environ, **variables, **extra},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    ioc = Ioc(process, prefix, variables)
    try:
        await ioc.wait_for(ready)
        yield ioc
    finally:
        if process.returncode is None:
            process.kill()
        await ioc.ended()


async def is_refused(pv: str, value: Any, timeout: float = 5, *, datatype: Any = None) -> None:
    """Put a value with completion over Channel Access; check that the client gets the refusal."""
    with pytest.raises(CANothing, match="Channel write request failed"):
        await caput(pv, value, datatype=datatype, wait=True, timeout=timeout)


async def becomes(pv: str, value: object, timeout: float = 5, *, datatype: Any = None) -> None:
    """Wait until a record has a value."""
    reached = asyncio.Event()
    monitor = camonitor(pv, lambda now: reached.set() if now == value else None, datatype=datatype)
    try:
        await asyncio.wait_for(reached.wait(), timeout)
    finally:
        monitor.close()
