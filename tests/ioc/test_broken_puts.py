"""The connection breaks during a put: the client learns that the outcome is unknown, and later values are correct."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aioca import DBR_CHAR_STR, FORMAT_TIME, caget, camonitor, caput
from p4p.client.asyncio import RemoteError

from panda_ioc.simulator import Server

from ..relay import Relay
from .process import Ioc, becomes, is_refused, running_ioc

NOT_KNOWN = "unknown whether the PandA executed it"
INVALID = 3

#: The target of the put, and other records of each kind.
NAMES = ["PULSE1:PULSES", "PULSE1:DELAY", "TTLOUT1:VAL", "SEQ1:LABEL", "COUNTER1:OUT:SCALED"]


class Watch:
    """The updates of some monitors: severities over CA, alarms over PVA."""

    def __init__(self, ioc: Ioc) -> None:
        self.severities: dict[str, list[int]] = {name: [] for name in NAMES}
        self.messages: list[str] = []
        self._told = asyncio.Event()
        for name in NAMES:
            camonitor(ioc.pv(name), self._ca(name), format=FORMAT_TIME, all_updates=True)
        self._pva = ioc.pva.monitor(ioc.pv(NAMES[0]), self._message, request="field(value,alarm)")

    def _ca(self, name: str) -> Any:
        def told(value: Any) -> None:
            self.severities[name].append(value.severity)
            self._told.set()

        return told

    async def until_all_is_well(self) -> None:
        """Wait until no record is in alarm; the updates arrive one after the other."""
        async with asyncio.timeout(5):
            while any(severities[-1] for severities in self.severities.values()):
                self._told.clear()
                await self._told.wait()

    async def _message(self, value: Any) -> None:
        self.messages.append(value.raw.alarm.message)


@pytest.mark.parametrize(
    ("number", "harm", "over_pva"),
    [
        (1, "cut", False),
        (2, "cut", True),
        (3, "reset", False),
        (4, "stall", True),
        (5, "\x00\xff what is this\n", False),
    ],
)
async def test_the_panda_is_lost_while_a_put_is_under_way(
    panda: Server, ca_ports: Iterator[int], number: int, harm: str, over_pva: bool
) -> None:
    pulses = panda.panda.fields["PULSE1.PULSES"]
    pulses.write("3")
    async with Relay(panda.control_port, after=b"PULSE1.PULSES=5", harm=harm) as relay:
        async with running_ioc(relay.port, f"TEST-BROKEN{number}", ca_ports) as ioc:
            pvs = [ioc.pv(name) for name in NAMES]
            assert await caget(pvs[0]) == 3
            watch = Watch(ioc)
            if over_pva:
                with pytest.raises(RemoteError, match=NOT_KNOWN):
                    await ioc.pva_put(NAMES[0], 5)
            else:
                await is_refused(pvs[0], 5, 10)
            # Another client sets another value meanwhile: after the reconnection the IOC must show it.
            pulses.write("77")
            assert f"= 5.0: {NOT_KNOWN}" in str(await caget(ioc.pv("IOC:LAST_REFUSED"), datatype=DBR_CHAR_STR))
            await becomes(ioc.pv("IOC:RECONNECTS"), 1)
            await becomes(pvs[0], 77)
            await watch.until_all_is_well()
            assert all(INVALID in severities for severities in watch.severities.values())
            assert any(NOT_KNOWN in message for message in watch.messages)
            await caput(pvs[0], 6, wait=True, timeout=5)
            assert pulses.read() == "6"


async def test_an_answer_that_is_none_to_a_put(panda: Server, ca_ports: Iterator[int]) -> None:
    """The connection stays open: only the outcome of this put is unknown."""
    async with Relay(panda.control_port, after=b"PULSE1.PULSES=5", harm="!PULSE1.PULSES=5\n.\n") as relay:
        async with running_ioc(relay.port, "TEST-BROKEN6", ca_ports) as ioc:
            pv = ioc.pv("PULSE1:PULSES")
            await is_refused(pv, 5, 10)
            assert NOT_KNOWN in await caget(f"{pv}.AMSG")
            assert await caget(pv) == 0
            await caput(pv, 6, wait=True, timeout=5)
            assert (await caget(pv, format=FORMAT_TIME)).severity == 0
            assert await caget(ioc.pv("IOC:RECONNECTS")) == 0


async def test_the_ioc_is_stopped_while_a_put_waits_for_a_silent_panda(panda: Server, ca_ports: Iterator[int]) -> None:
    """Shutdown does not wait for the PandA, and the client gets an error."""
    async with Relay(panda.control_port, after=b"PULSE1.PULSES=5", harm="stall") as relay:
        async with running_ioc(relay.port, "TEST-BROKEN7", ca_ports) as ioc:
            await becomes(ioc.pv("Status"), 2)
            putting = asyncio.create_task(ioc.pva_put("PULSE1:PULSES", 5))
            await asyncio.wait_for(relay.harmed.wait(), 5)
            ioc.process.terminate()
            assert await asyncio.wait_for(ioc.process.wait(), 10) == 0
            with pytest.raises(RemoteError, match=NOT_KNOWN):
                await putting
