"""A real IOC with the simulated PandA and real clients."""

import asyncio
from typing import Any

import pytest
from aioca import DBR_CHAR_STR, DBR_DOUBLE, FORMAT_CTRL, FORMAT_TIME, CANothing, caget, camonitor, caput

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import GetLine, Put
from panda_ioc.simulator import Server

from .process import Ioc, becomes, is_refused

#: Typical of beamlines.
PREFIX = "TEST-REC:{PANDA:1}"

NO_ALARM, MAJOR, INVALID = 0, 2, 3
WRITE_ALARM = 2


class Monitor:
    """The updates of a monitor."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[Any] = asyncio.Queue()

    async def until(self, value: Any, timeout: float = 5) -> list[Any]:
        """Wait for a value; return all updates up to it."""
        seen: list[Any] = []
        async with asyncio.timeout(timeout):
            while not seen or seen[-1] != value:
                seen.append(await self.got.get())
        return seen


async def ca_monitor(pv: str, **options: Any) -> Monitor:
    monitor = Monitor()
    camonitor(pv, monitor.got.put_nowait, all_updates=True, **options)
    await asyncio.wait_for(monitor.got.get(), 5)
    return monitor


async def text(pv: str) -> str:
    return str(await caget(pv, datatype=DBR_CHAR_STR))


async def severity(pv: str) -> int:
    return int((await caget(pv, format=FORMAT_TIME)).severity)


async def test_initial_values(ioc: Ioc) -> None:
    names = ["Status", "STATUS", "TTLOUT1:VAL", "PULSE1:DELAY:UNITS", "SYSTEM:TEMP_ZYNQ", "LUT1:FUNC", "PCAP:ARM"]
    values = await caget([ioc.pv(name) for name in names])
    assert values == [2, 2, "ZERO", 1, 47.616, "0x00000000", 0]
    assert await caget(ioc.pv("SYSTEM:PANDA_SW_VERSION")) == "4.1"
    assert await text(ioc.pv("PULSE1:LABEL")) == "Delays, stretches and multiplies pulses"


async def test_units_precision_and_limits(ioc: Ioc) -> None:
    shift = await caget(ioc.pv("CALC1:SHIFT"), format=FORMAT_CTRL)
    assert (shift.lower_ctrl_limit, shift.upper_ctrl_limit, shift.precision) == (0, 2, 0)
    delay = await caget(ioc.pv("PULSE1:DELAY"), format=FORMAT_CTRL)
    assert (delay.units, delay.precision) == ("s", 9)
    temperature = await caget(ioc.pv("SYSTEM:TEMP_ZYNQ"), format=FORMAT_CTRL)
    assert temperature.units == "deg"
    mux_delay = await caget(ioc.pv("TTLOUT1:VAL:DELAY"), format=FORMAT_CTRL)
    assert mux_delay.upper_ctrl_limit == 31


@pytest.mark.parametrize(
    ("name", "put", "panda", "reads"),
    [
        ("PULSE1:PULSES", 4294967295, "PULSE1.PULSES", "4294967295"),
        ("COUNTER1:MIN", -5, "COUNTER1.MIN", "-5"),
        ("PULSE2:WIDTH", 1e-6, "PULSE2.WIDTH", "1e-06"),
        ("BITS:A", 1, "BITS.A", "1"),
        ("TTLIN1:TERM", "50-Ohm", "TTLIN1.TERM", "50-Ohm"),
        ("TTLOUT2:VAL", "PULSE1.OUT", "TTLOUT2.VAL", "PULSE1.OUT"),
        ("TTLOUT2:VAL:DELAY", 7, "TTLOUT2.VAL.DELAY", "7"),
        ("CALC1:INPA", "COUNTER2.OUT", "CALC1.INPA", "COUNTER2.OUT"),
        ("LUT1:FUNC", "A&~B", "LUT1.FUNC", "A&~B"),
        ("COUNTER1:OUT:SCALE", 0.25, "COUNTER1.OUT.SCALE", "0.25"),
        ("COUNTER1:OUT:UNITS", "µm", "COUNTER1.OUT.UNITS", "µm"),
        ("COUNTER1:OUT:CAPTURE", "Min Max", "COUNTER1.OUT.CAPTURE", "Min Max"),
        ("POSITIONS:3:CAPTURE", "Value", "COUNTER2.OUT.CAPTURE", "Value"),
        ("BITS:40:CAPTURE", "Value", "PCAP.BITS1.CAPTURE", "Value"),
        ("CALC1:SHIFT", 9, "CALC1.SHIFT", "2"),
    ],
)
async def test_a_put_reaches_the_panda_before_it_completes(
    ioc: Ioc, other: AsyncioClient, name: str, put: Any, panda: str, reads: str
) -> None:
    await caput(ioc.pv(name), put, wait=True, timeout=5)
    assert await other.send(GetLine(panda)) == reads
    assert await severity(ioc.pv(name)) == NO_ALARM


async def test_readbacks_are_true_when_a_put_completes(ioc: Ioc) -> None:
    await caput(ioc.pv("COUNTER3:OUT:OFFSET"), 12.5, wait=True, timeout=5)
    assert await caget(ioc.pv("COUNTER3:OUT:SCALED")) == 12.5
    assert await caget(ioc.pv("POSITIONS:4:VAL")) == 12.5


async def test_epics_makes_whole_numbers_of_others_for_a_longout(ioc: Ioc, other: AsyncioClient) -> None:
    """EPICS does this before the IOC sees the values, so only the documentation can mention it."""
    await caput(ioc.pv("COUNTER4:MIN"), -2.7, datatype=DBR_DOUBLE, wait=True, timeout=5)
    assert await other.send(GetLine("COUNTER4.MIN")) == "-2"
    await ioc.pva_put("COUNTER4:MIN", 7.9)
    assert await other.send(GetLine("COUNTER4.MIN")) == "7"


async def test_a_put_over_pva(ioc: Ioc, other: AsyncioClient) -> None:
    await ioc.pva_put("PULSE3:PULSES", 11)
    assert await other.send(GetLine("PULSE3.PULSES")) == "11"
    assert await ioc.pva_get("PULSE3:PULSES") == 11


async def test_a_change_on_the_panda_reaches_monitors_of_a_settable_record(ioc: Ioc, other: AsyncioClient) -> None:
    ca = await ca_monitor(ioc.pv("PULSE4:PULSES"))
    pva: asyncio.Queue[Any] = asyncio.Queue()
    subscription = ioc.pva.monitor(ioc.pv("PULSE4:PULSES"), pva.put)
    await asyncio.wait_for(pva.get(), 5)
    for number in range(1, 6):
        await other.send(Put("PULSE4.PULSES", str(number)))
        assert await ca.until(number) == [number]
        assert await asyncio.wait_for(pva.get(), 5) == number
    subscription.close()


@pytest.mark.parametrize(
    ("name", "field", "texts", "values"),
    [
        ("TTLOUT5:VAL", "TTLOUT5.VAL", ["ONE", "TTLIN2.VAL"], ["ONE", "TTLIN2.VAL"]),
        ("TTLIN5:TERM", "TTLIN5.TERM", ["50-Ohm", "High-Z"], [1, 0]),
        ("BITS:B", "BITS.B", ["1", "0"], [1, 0]),
        ("COUNTER5:OUT:SCALE", "COUNTER5.OUT.SCALE", ["2", "3.5"], [2.0, 3.5]),
        ("INENC1:BITS", "INENC1.BITS", ["5", "63"], [5, 63]),
        ("COUNTER5:MAX", "COUNTER5.MAX", ["-7", "9"], [-7, 9]),
    ],
)
async def test_every_kind_of_setting_follows_the_panda(
    ioc: Ioc, other: AsyncioClient, name: str, field: str, texts: list[str], values: list[Any]
) -> None:
    monitor = await ca_monitor(ioc.pv(name))
    for text, value in zip(texts, values, strict=True):
        await other.send(Put(field, text))
        assert await monitor.until(value) == [value]


async def test_labels_follow_both_ways(ioc: Ioc, other: AsyncioClient) -> None:
    pv = ioc.pv("SEQ1:LABEL")
    monitor = await ca_monitor(pv, datatype=DBR_CHAR_STR)
    await other.send(Put("*METADATA.LABEL_SEQ1", "fly scan µ"))
    await monitor.until("fly scan µ")
    await caput(pv, "x" * 200, datatype=DBR_CHAR_STR, wait=True, timeout=5)
    assert await other.send(GetLine("*METADATA.LABEL_SEQ1")) == "x" * 200
    await caput(pv, "", datatype=DBR_CHAR_STR, wait=True, timeout=5)
    assert await text(pv) == "Sequencer of outputs"


async def test_units_follow(ioc: Ioc, other: AsyncioClient) -> None:
    await caput(ioc.pv("PULSE3:DELAY"), 0.5, wait=True, timeout=5)
    await caput(ioc.pv("PULSE3:DELAY:UNITS"), "us", wait=True, timeout=5)
    delay = await caget(ioc.pv("PULSE3:DELAY"), format=FORMAT_CTRL)
    assert (delay, delay.units, delay.precision) == (500000, "us", 3)
    await other.send(Put("COUNTER6.OUT.UNITS", "mm"))
    monitor = await ca_monitor(ioc.pv("COUNTER6:OUT:UNITS"))
    if await caget(ioc.pv("COUNTER6:OUT:UNITS")) != "mm":
        await monitor.until("mm")
    assert (await caget(ioc.pv("COUNTER6:OUT:SCALED"), format=FORMAT_CTRL)).units == "mm"


@pytest.mark.parametrize(
    ("name", "good", "bad", "panda", "says"),
    [
        ("TTLOUT6:VAL", "ONE", "ttlin3.val", "ONE", "did you mean TTLIN3.VAL"),
        ("TTLOUT6:VAL", "ONE", "", "ONE", "not one of the 107 choices"),
        ("LUT2:FUNC", "A|B", "A||", "A|B", "Invalid expression"),
        ("PULSE4:WIDTH", 0.5, -1.0, 0.5, "negative"),
        ("PULSE4:WIDTH", 0.5, 1e9, 0.5, "Time setting out of range"),
        ("INENC2:BITS", 3, 2.5, 3, "2.5 is not a whole number"),
        ("COUNTER7:OUT:SCALE", 1, float("nan"), 1, "nan"),
        ("TTLIN6:TERM", 1, 7, 1, "choice 7 does not exist"),
        ("PCAP:ARM", 0, 1, 0, "Nothing configured for capture"),
    ],
)
async def test_a_refused_put(ioc: Ioc, name: str, good: Any, bad: Any, panda: Any, says: str) -> None:
    pv = ioc.pv(name)
    await caput(ioc.pv("BITS:40:CAPTURE"), "No", wait=True, timeout=5)
    for index in (3, 2):
        await caput(ioc.pv(f"POSITIONS:{index}:CAPTURE"), "No", wait=True, timeout=5)
    await caput(pv, good, wait=True, timeout=5)
    refused = await caget(ioc.pv("IOC:PUTS_REFUSED"))
    for count in (1, 2):
        await is_refused(pv, bad)
        after = await caget(pv, format=FORMAT_TIME)
        assert (after, after.severity, after.status) == (panda, MAJOR, WRITE_ALARM)
        assert await caget(ioc.pv("IOC:PUTS_REFUSED")) == refused + count
    assert says in await text(ioc.pv("IOC:LAST_REFUSED"))
    assert pv in await text(ioc.pv("IOC:LAST_REFUSED"))
    over_pva = await ioc.pva_get(name)
    assert over_pva.raw.alarm.severity == MAJOR
    assert over_pva.raw.alarm.message
    await caput(pv, good, wait=True, timeout=5)
    assert await severity(pv) == NO_ALARM


async def test_the_alarm_of_a_refused_put_outlives_changes(ioc: Ioc, other: AsyncioClient) -> None:
    pv = ioc.pv("TTLOUT7:VAL")
    await is_refused(pv, "nonsense")
    monitor = await ca_monitor(pv, format=FORMAT_TIME)
    await other.send(Put("TTLOUT7.VAL", "ONE"))
    (changed,) = await monitor.until("ONE")
    assert changed.severity == MAJOR


async def test_records_that_only_show_cannot_be_put(ioc: Ioc) -> None:
    with pytest.raises(CANothing):
        await caput(ioc.pv("PULSE1:QUEUED"), 3, wait=True, timeout=5)


async def test_actions(ioc: Ioc, server: Server) -> None:
    written: list[str] = []
    server.panda.fields["SRGATE2.FORCE_SET"].on_write = lambda field: written.append(field.name)
    pv = ioc.pv("SRGATE2:FORCE_SET")
    await caput(pv, 0, wait=True, timeout=5)
    assert not written
    for count in (1, 2):
        await caput(pv, 1, wait=True, timeout=5)
        assert len(written) == count
        assert await caget(pv) == 0


async def test_write_only_fields(ioc: Ioc, server: Server) -> None:
    pv = ioc.pv("INENC3:SETP")
    assert (await caget(pv), await severity(pv)) == (0, NO_ALARM)
    await caput(pv, 1234, wait=True, timeout=5)
    assert server.panda.fields["INENC3.SETP"].raw == 1234
    assert (await caget(pv), await severity(pv)) == (1234, NO_ALARM)


async def test_the_same_value_put_again_is_sent_again(ioc: Ioc, server: Server) -> None:
    written: list[int] = []
    server.panda.fields["CLOCK1.PERIOD"].on_write = lambda field: written.append(field.raw)
    for _ in range(3):
        await caput(ioc.pv("CLOCK1:PERIOD"), 1e-3, wait=True, timeout=5)
    assert written == [125000] * 3


async def test_bad_health_is_an_alarm_with_the_whole_text(ioc: Ioc, server: Server) -> None:
    pv = ioc.pv("OUTENC2:HEALTH")
    assert await severity(pv) == NO_ALARM
    monitor = await ca_monitor(ioc.pv("OUTENC2:HEALTH:TEXT"), datatype=DBR_CHAR_STR)
    label = "Biss timeout error (did not received right number of sck for biss frame)"
    server.panda.set_raw("OUTENC2.HEALTH", 1)
    await monitor.until(label)
    health = await caget(pv, format=FORMAT_TIME)
    assert (health, health.severity) == (label[:39], MAJOR)
    assert await severity(ioc.pv("OUTENC2:HEALTH:TEXT")) == MAJOR
    server.panda.set_raw("OUTENC2.HEALTH", 0)
    await monitor.until("OK")
    assert await severity(pv) == NO_ALARM


async def test_a_pulse_shorter_than_a_poll_is_seen(ioc: Ioc, server: Server) -> None:
    pv = ioc.pv("TTLIN3:VAL")
    monitor = await ca_monitor(pv)
    for _ in range(3):
        server.panda.set_raw("TTLIN3.VAL", 1)
        server.panda.set_raw("TTLIN3.VAL", 0)
        assert [await asyncio.wait_for(monitor.got.get(), 5) for _ in range(2)] == [1, 0]
    server.panda.set_raw("TTLIN3.VAL", 1)
    assert await monitor.until(1) == [1]
    server.panda.set_raw("TTLIN3.VAL", 0)
    assert await monitor.until(0) == [0]


async def test_what_does_not_fit_is_whole_beside_it(ioc: Ioc, other: AsyncioClient) -> None:
    function = "(A&B&C&D)|(~A&~B&~C&~D)|(A&~B&C&~D)|(E?A:B)"
    await caput(ioc.pv("LUT3:FUNC:TEXT"), function, datatype=DBR_CHAR_STR, wait=True, timeout=5)
    assert await other.send(GetLine("LUT3.FUNC")) == function
    assert await text(ioc.pv("LUT3:FUNC:TEXT")) == function
    shown = await caget(ioc.pv("LUT3:FUNC"))
    assert shown == function[:39]
    # Reading a setting and writing it back must change nothing, also where only its beginning is seen.
    await caput(ioc.pv("LUT3:FUNC"), shown, wait=True, timeout=5)
    assert await other.send(GetLine("LUT3.FUNC")) == function
    assert await severity(ioc.pv("LUT3:FUNC")) == NO_ALARM


async def test_captures_without_a_label(ioc: Ioc, other: AsyncioClient) -> None:
    await other.send(Put("COUNTER8.OUT.CAPTURE", "Value Sum"))
    monitor = await ca_monitor(ioc.pv("COUNTER8:OUT:CAPTURE:TEXT"), datatype=DBR_CHAR_STR)
    if await text(ioc.pv("COUNTER8:OUT:CAPTURE:TEXT")) != "Value Sum":
        await monitor.until("Value Sum")
    capture = ioc.pv("COUNTER8:OUT:CAPTURE")
    shown = await caget(capture, datatype=str, format=FORMAT_TIME)
    assert (shown, shown.severity) == ("Other", NO_ALARM)
    await caput(capture, "Other", wait=True, timeout=5)
    assert await severity(capture) == NO_ALARM
    assert await other.send(GetLine("COUNTER8.OUT.CAPTURE")) == "Value Sum"
    await caput(ioc.pv("COUNTER8:OUT:CAPTURE:TEXT"), "Value Min", datatype=DBR_CHAR_STR, wait=True, timeout=5)
    assert await other.send(GetLine("COUNTER8.OUT.CAPTURE")) == "Value Min"
    await is_refused(ioc.pv("COUNTER8:OUT:CAPTURE:TEXT"), "Value Mni", datatype=DBR_CHAR_STR)
    assert "did you mean Min" in await text(ioc.pv("IOC:LAST_REFUSED"))
    await caput(capture, "No", wait=True, timeout=5)
    await is_refused(capture, "Other")
    assert "put the capture options to the record" in await text(ioc.pv("IOC:LAST_REFUSED"))
    assert await caget(capture, datatype=str) == "No"


async def test_choices_of_multiplexers(ioc: Ioc) -> None:
    choices = (await text(ioc.pv("BITS:CHOICES"))).split("\n")
    assert len(choices) == 107
    assert choices[-2:] == ["ZERO", "ONE"]
    assert (await text(ioc.pv("POSITIONS:CHOICES"))).split("\n")[-1] == "ZERO"


async def test_puts_of_many_clients_at_once(ioc: Ioc, other: AsyncioClient) -> None:
    """No put is lost to another put or to a poll."""
    names = [f"COUNTER{number}:START" for number in range(1, 9)]
    for turn in range(20):
        await asyncio.gather(
            *(caput(ioc.pv(name), turn * 10 + index, wait=True, timeout=5) for index, name in enumerate(names)),
            other.send(Put("PULSE1.PULSES", str(turn))),
        )
        for index, name in enumerate(names):
            assert await other.send(GetLine(name.replace(":", "."))) == str(turn * 10 + index)


async def test_puts_that_do_not_wait_end_with_the_last(ioc: Ioc, other: AsyncioClient) -> None:
    pv = ioc.pv("COUNTER2:START")
    monitor = await ca_monitor(pv)
    for number in range(1, 101):
        await caput(pv, number)
    await monitor.until(100)
    await caput(pv, 100, wait=True, timeout=5)
    assert await other.send(GetLine("COUNTER2.START")) == "100"
    assert await caget(pv) == 100


async def test_status(ioc: Ioc) -> None:
    for name in ("IOC:POLL_PERIOD", "IOC:POLL_DURATION"):  # 0 in the first second
        monitor = await ca_monitor(ioc.pv(name))
        assert 0 < await asyncio.wait_for(monitor.got.get(), 5) < 1000
    assert await caget(ioc.pv("IOC:UPTIME")) > 0
    assert await caget(ioc.pv("IOC:PUTS_ACCEPTED")) > 0
    assert "connected to 127.0.0.1" in await text(ioc.pv("IOC:CONNECTION"))


async def test_an_alarm_limit_is_no_put(ioc: Ioc, server: Server, other: AsyncioClient) -> None:
    """EPICS processes the record; this must not send its value to the PandA, nor show another value."""
    await caput(ioc.pv("PULSE2:WIDTH"), 0.5, wait=True, timeout=5)
    limit = await caget(ioc.pv("PULSE2:WIDTH.DRVH"))
    written: list[str] = []
    server.panda.fields["INENC1.SETP"].on_write = lambda field: written.append(field.name)
    for name, value in {"INENC1:SETP.HIHI": 1, "PULSE2:WIDTH.HIGH": 9, "PULSE2:WIDTH.DRVH": 0.2}.items():
        await caput(ioc.pv(name), value, wait=True, timeout=5)
    await becomes(ioc.pv("PULSE2:WIDTH"), 0.5)
    assert await other.send(GetLine("PULSE2.WIDTH")) == "0.5"
    assert written == []
    await caput(ioc.pv("PULSE2:WIDTH"), 0.1, wait=True, timeout=5)
    assert await other.send(GetLine("PULSE2.WIDTH")) == "0.1"
    await caput(ioc.pv("PULSE2:WIDTH.DRVH"), limit, wait=True, timeout=5)
