"""Loss of the PandA and reconnection."""

import asyncio
from collections.abc import Iterator

import pytest
from aioca import DBR_CHAR_STR, FORMAT_CTRL, FORMAT_TIME, caget, camonitor, caput
from msgspec.structs import replace
from p4p.client.asyncio import RemoteError

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import SetState
from panda_ioc.simulator import Server, load

from ..acquire import capture_counter, samples_on_arm
from ..conftest import free_port
from ..relay import Relay
from .process import becomes, is_refused, running_ioc


async def test_a_panda_that_is_switched_off_and_on(ca_ports: Iterator[int]) -> None:
    port = free_port()
    names = ["PULSE1:PULSES", "PULSE1:QUEUED", "TTLOUT1:VAL", "PCAP:ARM", "SEQ1:LABEL", "COUNTER1:OUT:SCALED"]
    async with Server(load(), control_port=port, data_port=0) as panda:
        async with running_ioc(panda.control_port, "TEST-LOSS", ca_ports) as ioc:
            pvs = [ioc.pv(name) for name in names]
            await panda.close()
            await becomes(ioc.pv("Status"), 0, 3)
            assert [value.severity for value in await caget(pvs, format=FORMAT_TIME)] == [3] * len(pvs)
            refused = await caget(ioc.pv("IOC:PUTS_REFUSED"))
            await is_refused(ioc.pv("PULSE1:PULSES"), 5, 1)
            assert await caget(ioc.pv("IOC:PUTS_REFUSED")) == refused + 1
            await is_refused(ioc.pv("DATA:CAPTURE"), 1, 20)
            alarms = await caget([ioc.pv("PULSE1:PULSES"), ioc.pv("DATA:CAPTURE")], format=FORMAT_TIME)
            assert [value.severity for value in alarms] == [3, 2]
            # Another server with other values, which the IOC must show.
            async with Server(load(), control_port=port, data_port=0) as back:
                back.panda.fields["PULSE1.PULSES"].write("77")
                await becomes(ioc.pv("Status"), 2, 10)
                await becomes(ioc.pv("PULSE1:PULSES"), 77)
                pvs.append(ioc.pv("DATA:CAPTURE"))
                severities = [value.severity for value in await caget(pvs[1:], format=FORMAT_TIME)]
                assert severities == [0] * len(severities)
                await caput(ioc.pv("PULSE1:PULSES"), 6, wait=True, timeout=5)
                assert back.panda.fields["PULSE1.PULSES"].raw == 6
                await becomes(ioc.pv("IOC:RECONNECTS"), 1)
                assert await ioc.stop() == 0


async def test_a_lost_panda_cannot_be_stopped(panda: Server, ca_ports: Iterator[int]) -> None:
    """Nobody is told that an acquisition was stopped, or started, on a PandA that did not get the command."""
    capture_counter(panda)
    samples_on_arm(panda, 10, reason="")
    async with Relay(panda.control_port) as relay:
        options = ("--data-port", str(panda.data_port))
        async with running_ioc(relay.port, "TEST-UNSTOPPED", ca_ports, *options) as ioc:
            await caput(ioc.pv("PCAP:ARM"), 1, wait=True, timeout=5)
            await becomes(ioc.pv("PCAP:ARM"), 1)
            await relay.close()
            await becomes(ioc.pv("Status"), 0)
            for name, value in (("DATA:ACQUIRE", 0), ("PCAP:ARM", 0), ("PCAP:ARM", 1)):
                await is_refused(ioc.pv(name), value, 5)
                assert "no connection to the PandA" in await caget(f"{ioc.pv(name)}.AMSG")
                with pytest.raises(RemoteError, match="no connection to the PandA"):
                    await ioc.pva_put(name, value)
            assert panda.capture.completion == "Busy"
            await relay.listen()
            await becomes(ioc.pv("Status"), 2, 10)
            await caput(ioc.pv("DATA:ACQUIRE"), 0, wait=True, timeout=5)
            assert (await caget(ioc.pv("DATA:ACQUIRE"), format=FORMAT_TIME)).severity == 0
            assert panda.capture.completion == "Busy"  # another record armed it
            await caput(ioc.pv("PCAP:ARM"), 0, wait=True, timeout=5)
            assert panda.capture.completion == "Disarmed"


async def test_a_panda_that_was_set_up_anew_while_it_was_away(ca_ports: Iterator[int]) -> None:
    """Units and scales are settings: the IOC continues to serve the same PandA with their current values."""
    port = free_port()
    changed = {
        "PULSE1.DELAY.UNITS": "us",
        "PULSE1.DELAY": "12",
        "COUNTER1.OUT.UNITS": "mm",
        "COUNTER1.OUT.SCALE": "1e-09",
        "COUNTER1.OUT.CAPTURE": "Min Max",
        "*METADATA.LABEL_SEQ1": "fly scan",
    }
    async with Server(load(), control_port=port, data_port=0) as panda:
        async with running_ioc(panda.control_port, "TEST-ANEW", ca_ports) as ioc:
            delay, scaled = ioc.pv("PULSE1:DELAY"), ioc.pv("COUNTER1:OUT:SCALED")
            await panda.close()
            await becomes(ioc.pv("Status"), 0)
            async with Server(load(), control_port=port, data_port=0) as back:
                async with AsyncioClient("127.0.0.1", back.control_port) as client:
                    await client.send(SetState([f"{name}={value}" for name, value in changed.items()]))
                await becomes(ioc.pv("IOC:RECONNECTS"), 1, 10)
                await becomes(delay, 12)
                properties = await caget([delay, scaled], format=FORMAT_CTRL)
                assert [(value.units, value.precision) for value in properties] == [("us", 3), ("mm", 10)]
                over_pva = await ioc.pva_get("PULSE1:DELAY")
                assert (over_pva.raw.display.units, over_pva.raw.display.precision) == ("us", 3)
                assert await caget(ioc.pv("PULSE1:DELAY:UNITS"), datatype=str) == "us"
                assert await caget(ioc.pv("COUNTER1:OUT:CAPTURE"), datatype=str) == "Min Max"
                assert await caget(ioc.pv("SEQ1:LABEL"), datatype=DBR_CHAR_STR) == "fly scan"
                assert ioc.process.returncode is None


async def test_a_panda_that_comes_back_as_another_ends_the_ioc(ca_ports: Iterator[int]) -> None:
    port = free_port()
    async with Server(load(), control_port=port, data_port=0) as panda:
        async with running_ioc(panda.control_port, "TEST-OTHER", ca_ports) as ioc:
            await panda.close()
            spec = load()
            fewer = replace(spec, blocks={k: v for k, v in spec.blocks.items() if k != "PGEN"})
            async with Server(fewer, control_port=port, data_port=0):
                assert await ioc.ended() == 75
            assert "other blocks or firmware" in "\n".join(ioc.output)


@pytest.mark.long
async def test_many_losses_one_after_the_other(panda: Server, ca_ports: Iterator[int]) -> None:
    """Pauses grow only while connecting fails: after each loss, the IOC reconnects quickly."""
    async with Relay(panda.control_port) as relay:
        async with running_ioc(relay.port, "TEST-LOSSES", ca_ports) as ioc:
            seen: asyncio.Queue[int] = asyncio.Queue()
            monitor = camonitor(ioc.pv("Status"), seen.put_nowait, all_updates=True)
            try:
                for number in range(8):
                    async with asyncio.timeout(4):
                        while await seen.get() != 2:
                            pass
                    if number < 7:
                        await relay.cut()
            finally:
                monitor.close()
            await becomes(ioc.pv("IOC:RECONNECTS"), 7)


async def test_it_stops_cleanly_while_the_panda_is_away(panda: Server, ca_ports: Iterator[int]) -> None:
    async with running_ioc(panda.control_port, "TEST-AWAY", ca_ports) as ioc:
        await becomes(ioc.pv("Status"), 2)
        await panda.close()
        await ioc.wait_for("cannot reconnect to the PandA")
        assert await ioc.stop() == 0
        assert not any("Traceback" in line for line in ioc.output)
