"""Every setting survives reading and writing back, as scan software and operators do."""

from collections.abc import AsyncIterator

import pytest
from aioca import DBR_CHAR_STR, FORMAT_CTRL, FORMAT_TIME, caget, caput

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.plan.record import Record
from panda_ioc.protocol import GetState, SetState
from panda_ioc.simulator import Server, load

from .process import Ioc, is_refused
from .writing_back import WriteBack, over_ca, over_pva, settings_of, write_back

#: Settings that EPICS cannot represent, without a label, small, large or unusual.
SETTINGS = [
    *("LUT1.FUNC=(A&B&C&D)|(~A&~B&~C&~D)|(A&~B&C&~D)|(E?A:B)", "LUT2.FUNC=0xffffffff"),
    *("COUNTER1.OUT.CAPTURE=Value Sum", "COUNTER2.OUT.CAPTURE=Min Max Mean", "PCAP.BITS1.CAPTURE=Value"),
    *("COUNTER1.OUT.SCALE=1.2e-07", "COUNTER2.OUT.SCALE=-3.25e+12", "COUNTER3.OUT.OFFSET=1e-15"),
    *("COUNTER1.OUT.UNITS=µm", "COUNTER2.OUT.UNITS=units of some length that nobody would ever choose"),
    *("PULSE1.DELAY.UNITS=us", "PULSE1.DELAY=123456.789", "PULSE2.WIDTH.UNITS=min", "PULSE2.WIDTH=1"),
    *("PULSE1.PULSES=4294967295", "COUNTER1.MIN=-2147483648", "INENC1.BITS=63", "TTLIN1.TERM=50-Ohm"),
    *("TTLOUT1.VAL=SEQ2.OUTF", "TTLOUT1.VAL.DELAY=31", "CALC1.INPA=INENC4.VAL", "SEQ1.PRESCALE=8e-09"),
    *("*METADATA.LABEL_SEQ1=" + "x" * 300, "*METADATA.LABEL_PULSE2=Delays, stretches and multiplies pulses"),
]


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    async with Server(load(), control_port=0, data_port=0) as server:
        async with AsyncioClient("127.0.0.1", server.control_port) as client:
            await client.send(SetState(SETTINGS))
        yield server


@pytest.fixture
async def settings(ioc: Ioc, server: Server) -> list[Record]:
    return await settings_of(server.control_port)


async def state(server: Server) -> list[str]:
    async with AsyncioClient("127.0.0.1", server.control_port) as client:
        return await client.send(GetState())


@pytest.mark.parametrize("way", [over_ca, over_pva])
@pytest.mark.parametrize("armed", [False, True])
async def test_reading_and_writing_back(
    ioc: Ioc, server: Server, settings: list[Record], way: WriteBack, armed: bool
) -> None:
    assert len(settings) > 900
    if armed:
        await caput(ioc.pv("PCAP:ARM"), 1, wait=True, timeout=5)
    before = await state(server)
    await write_back(ioc, settings, way)
    assert await state(server) == before
    assert await caget(ioc.pv("PCAP:ARM")) == armed
    await caput(ioc.pv("PCAP:ARM"), 0, wait=True, timeout=5)


async def test_digits_enough_for_the_value(ioc: Ioc) -> None:
    precisions = {
        name: (await caget(ioc.pv(name), format=FORMAT_CTRL)).precision
        for name in (
            *("COUNTER1:OUT:SCALE", "COUNTER3:OUT:OFFSET", "COUNTER1:OUT:SCALED"),
            *("PULSE1:DELAY", "PULSE2:WIDTH"),
        )
    }
    assert precisions == {
        "COUNTER1:OUT:SCALE": 12,
        "COUNTER3:OUT:OFFSET": 15,
        "COUNTER1:OUT:SCALED": 8,
        "PULSE1:DELAY": 3,
        "PULSE2:WIDTH": 11,
    }


async def test_a_string_that_may_have_been_cut_is_refused(ioc: Ioc, server: Server) -> None:
    pv = ioc.pv("LUT3:FUNC")
    await is_refused(pv, "A&B&C&D&E|A&B&C&D&E|A&B&C&D&E|A&B&C&D&E")
    assert "LUT3:FUNC:TEXT" in str(await caget(ioc.pv("IOC:LAST_REFUSED"), datatype=DBR_CHAR_STR))
    alarms = await caget([pv, f"{pv}:TEXT"], format=FORMAT_TIME)
    assert [alarm.severity for alarm in alarms] == [2, 2]
    assert server.panda.fields["LUT3.FUNC"].read() == "0x00000000"
    await caput(f"{pv}:TEXT", "A", datatype=DBR_CHAR_STR, wait=True, timeout=5)
    alarms = await caget([pv, f"{pv}:TEXT"], format=FORMAT_TIME)
    assert [alarm.severity for alarm in alarms] == [0, 0]
