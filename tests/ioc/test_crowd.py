"""Many simultaneous clients on raw sockets, each with a separate circuit, like two hundred programs."""

import asyncio
import struct
import time
from collections.abc import Callable, Iterator

from aioca import caget, caput

from panda_ioc.ioc.servers.ca.batching import MIN_CLIENTS, PERIOD
from panda_ioc.simulator import Server

from .circuit import NORMAL
from .circuit import Circuit as Putting
from .process import Ioc, running_ioc

CLIENTS = 200

#: Number of successive puts, many of them while the IOC updates many clients together.
PUTS = 300

#: A message of Channel Access: command, payload size, data type, data count, two parameters.
HEADER = struct.Struct(">HHHHII")
VERSION, EVENT_ADD, CREATE = 0, 1, 18
DOUBLE, VALUE_CHANGES = 6, 1


class Circuit:
    """A client that monitors one PV."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> "Circuit":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def monitor(self, pv: str) -> float:
        """Start the monitor; return the first value."""
        name = pv.encode() + b"\0" * (8 - len(pv) % 8)
        self.writer.write(HEADER.pack(VERSION, 0, 0, 13, 0, 0))
        self.writer.write(HEADER.pack(CREATE, len(name), 0, 0, 1, 13) + name)
        server_id = await self._until(CREATE, lambda _, parameters: parameters[1])
        mask = struct.pack(">fffHH", 0, 0, 0, VALUE_CHANGES, 0)
        self.writer.write(HEADER.pack(EVENT_ADD, len(mask), DOUBLE, 1, int(server_id), 1) + mask)
        return await self.value()

    async def value(self) -> float:
        """Return the next value."""
        return await self._until(EVENT_ADD, lambda payload, _: float(struct.unpack(">d", payload[:8])[0]))

    async def _until(self, wanted: int, result: Callable[[bytes, list[int]], float]) -> float:
        while True:
            command, size, _, _, *parameters = HEADER.unpack(await self._reader.readexactly(HEADER.size))
            payload = await self._reader.readexactly(size)
            if command == wanted:
                return result(payload, parameters)


async def test_two_hundred_clients_see_each_change(panda: Server, ca_ports: Iterator[int]) -> None:
    async with running_ioc(panda.control_port, "TEST-MIN_CLIENTS", ca_ports) as ioc:
        pv, port = ioc.pv("PULSE1:PULSES"), int(ioc.environment["EPICS_CA_SERVER_PORT"])
        circuits: list[Circuit] = []
        try:
            async with asyncio.timeout(30):
                for _ in range(CLIENTS):  # one by one: the backlog of EPICS is short
                    circuits.append(await Circuit.open(port))
                    assert await circuits[-1].monitor(pv) == 0
                for value in range(1, 6):
                    await caput(pv, value, wait=True, timeout=10)
                    assert set(await asyncio.gather(*(circuit.value() for circuit in circuits))) == {float(value)}
        finally:
            for circuit in circuits:
                circuit.writer.close()


async def test_many_clients_are_told_together_and_whoever_reads_is_not_kept_waiting(
    panda: Server, ca_ports: Iterator[int]
) -> None:
    async with running_ioc(panda.control_port, "TEST-TOGETHER", ca_ports) as ioc:
        pv, port = ioc.pv("PULSE1:PULSES"), int(ioc.environment["EPICS_CA_SERVER_PORT"])
        circuits: list[Circuit] = []
        try:
            async with asyncio.timeout(60), Putting(port) as putting:
                for _ in range(MIN_CLIENTS):
                    circuits.append(await Circuit.open(port))
                    await circuits[-1].monitor(pv)
                await putting.put(pv, PUTS + 1)
                began = time.perf_counter()
                for value in range(1, PUTS + 1):
                    assert await putting.put(pv, value) == NORMAL
                    assert await putting.get(pv) == value
                moments = (time.perf_counter() - began) / PERIOD
                for circuit in circuits:
                    told = [await circuit.value()]
                    while told[-1] != PUTS:
                        told.append(await circuit.value())
                    assert told == [PUTS + 1, *sorted(told[1:])]
                    assert len(told) <= moments + 3
        finally:
            for circuit in circuits:
                circuit.writer.close()


async def test_a_thousand_puts_at_once(panda: Server, ca_ports: Iterator[int]) -> None:
    async with running_ioc(panda.control_port, "TEST-FLOOD", ca_ports) as ioc:
        names = [f"PULSE{number}:PULSES" for number in range(1, 5)]
        await caget([ioc.pv(name) for name in names])
        puts = []
        for n in range(1000):
            puts.append(asyncio.create_task(caput(ioc.pv(names[n % 4]), n, wait=True, timeout=30)))
            await asyncio.sleep(0)  # the simulated PandA runs in this event loop and must answer polls meanwhile
        await asyncio.gather(*puts)
        assert await _is_right(ioc, panda, names)


async def _is_right(ioc: Ioc, panda: Server, names: list[str]) -> bool:
    shown = [int(await caget(ioc.pv(name))) for name in names]
    return shown == [panda.panda.fields[name.replace(":", ".")].raw for name in names]
