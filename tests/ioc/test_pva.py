"""Records over PV Access with real clients."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aioca import FORMAT_TIME, caget, caput
from p4p.client.asyncio import Context, RemoteError

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import GetLine, Put
from panda_ioc.simulator import DeviceSpec, Server
from panda_ioc.validation import validated

from .process import Ioc, running_ioc

MAJOR, INVALID = 2, 3


async def raw(ioc: Ioc, name: str) -> Any:
    return (await ioc.pva_get(name)).raw


@pytest.mark.parametrize(
    ("name", "identity", "code"),
    [
        ("PULSE1:PULSES", "epics:nt/NTScalar:1.0", "d"),
        ("COUNTER1:MIN", "epics:nt/NTScalar:1.0", "i"),
        ("TTLOUT1:VAL", "epics:nt/NTScalar:1.0", "s"),
        ("LUT1:FUNC", "epics:nt/NTScalar:1.0", "s"),
        ("SEQ1:LABEL", "epics:nt/NTScalar:1.0", "s"),
        ("BITS:A", "epics:nt/NTEnum:1.0", "S"),
        ("PULSE1:DELAY:UNITS", "epics:nt/NTEnum:1.0", "S"),
        ("PCAP:ARM", "epics:nt/NTEnum:1.0", "S"),
    ],
)
async def test_structures(ioc: Ioc, name: str, identity: str, code: str) -> None:
    value = await raw(ioc, name)
    assert value.getID() == identity
    assert value.type("value").aspy()[0] == code
    assert value.timeStamp.secondsPastEpoch > 1.7e9
    assert value.alarm.severity == 0
    assert value.display.description


async def test_units_limits_and_precision(ioc: Ioc) -> None:
    shift = await raw(ioc, "CALC1:SHIFT")
    assert (shift.control.limitLow, shift.control.limitHigh) == (0, 2)
    assert (shift.display.limitLow, shift.display.limitHigh, shift.display.precision) == (0, 2, 0)
    assert (await raw(ioc, "SYSTEM:TEMP_ZYNQ")).display.units == "deg"
    await ioc.pva_put("PULSE3:DELAY:UNITS", "us")
    delay = await raw(ioc, "PULSE3:DELAY")
    assert (delay.display.units, delay.display.precision) == ("us", 3)


async def test_texts_and_descriptions_are_whole(ioc: Ioc, other: AsyncioClient) -> None:
    function = "(A&B&C&D)|(~A&~B&~C&~D)|(A&~B&C&~D)|(E?A:B)"
    await ioc.pva_put("LUT3:FUNC", function)
    assert await other.send(GetLine("LUT3.FUNC")) == function
    assert await ioc.pva_get("LUT3:FUNC") == function
    assert await caget(ioc.pv("LUT3:FUNC")) == function[:39]
    long = await raw(ioc, "PULSE1:STEP")
    if len(long.display.description.encode()) > 39:
        assert long.display.description == await ioc.pva_get("PULSE1:STEP:DESCRIPTION")


async def test_every_way_to_capture_is_a_choice(ioc: Ioc, other: AsyncioClient) -> None:
    """Channel Access has labels for some choices only."""
    await other.send(Put("COUNTER4.OUT.CAPTURE", "Value Sum"))
    seen: asyncio.Queue[Any] = asyncio.Queue()
    subscription = ioc.pva.monitor(ioc.pv("COUNTER4:OUT:CAPTURE"), seen.put)
    while str(await asyncio.wait_for(seen.get(), 5)) != "Value Sum":
        pass
    await ioc.pva_put("COUNTER4:OUT:CAPTURE", "Diff Max")
    assert await other.send(GetLine("COUNTER4.OUT.CAPTURE")) == "Diff Max"
    assert str(await ioc.pva_get("COUNTER4:OUT:CAPTURE")) == "Diff Max"
    assert await caget(ioc.pv("COUNTER4:OUT:CAPTURE"), datatype=str) == "Other"
    for choice in ("Min Max", "No"):
        await ioc.pva_put("COUNTER4:OUT:CAPTURE", choice)
        assert await caget(ioc.pv("COUNTER4:OUT:CAPTURE"), datatype=str) == choice
    with pytest.raises(RemoteError, match="choice 999 does not exist"):
        await ioc.pva_put("COUNTER4:OUT:CAPTURE", 999)
    subscription.close()


async def test_aliases_are_the_same(ioc: Ioc) -> None:
    await ioc.pva_put("POSITIONS:3:SCALE", 0.5)
    assert await ioc.pva_get("COUNTER2:OUT:SCALE") == 0.5


@pytest.mark.parametrize(
    ("name", "good", "bad", "says"),
    [
        ("TTLOUT6:VAL", "ONE", "ttlin3.val", "did you mean TTLIN3.VAL"),
        ("LUT2:FUNC", "A|B", "A||", "Invalid expression"),
        ("PULSE4:WIDTH", 0.5, -1.0, "negative"),
        ("CALC1:SHIFT", 1, 9, "9 is out of range 0 to 2"),
        ("COUNTER7:OUT:SCALE", 1, float("nan"), "nan"),
        ("TTLIN6:TERM", 1, 7, "choice 7 does not exist"),
        ("TTLIN6:TERM", 1, -1, "choice -1 does not exist"),
        ("PCAP:ARM", 0, 1, "Nothing configured for capture"),
        ("SRGATE1:FORCE_SET", 0, 7, "choice 7 does not exist"),
    ],
)
async def test_a_refused_put_fails_at_the_client(ioc: Ioc, name: str, good: Any, bad: Any, says: str) -> None:
    await ioc.pva_put(name, good)
    before = await ioc.pva_get(name)
    refused = await ioc.pva_get("IOC:PUTS_REFUSED")
    with pytest.raises(RemoteError, match=says):
        await ioc.pva_put(name, bad)
    after = await ioc.pva_get(name)
    assert after == before
    assert (after.severity, says in after.raw.alarm.message) == (MAJOR, True)
    assert (await caget(ioc.pv(name), format=FORMAT_TIME)).severity == MAJOR
    assert says in await ioc.pva_get("IOC:LAST_REFUSED")
    assert await ioc.pva_get("IOC:PUTS_REFUSED") == refused + 1
    await ioc.pva_put(name, good)
    assert (await ioc.pva_get(name)).severity == 0


async def test_more_choices_than_a_record_has(ca_ports: Iterator[int]) -> None:
    labels = [f"choice number {number}, which is rather long" for number in range(20)]
    field = {"type": "param enum", "labels": labels, "description": "Many choices"}
    block = {"count": 1, "description": "Odd", "fields": {"CHOICE": field}}
    spec = validated({"name": "many", "blocks": {"ODD": block}}, DeviceSpec)
    async with Server(spec, control_port=0, data_port=0) as server:
        async with running_ioc(server.control_port, "TEST-MANY", ca_ports) as ioc:
            assert (await raw(ioc, "ODD:CHOICE")).value.choices == labels
            await ioc.pva_put("ODD:CHOICE", labels[17])
            assert await ioc.pva_get("ODD:CHOICE") == 17
            assert server.panda.fields["ODD.CHOICE"].read() == labels[17]
            assert await caget(ioc.pv("ODD:CHOICE")) == labels[17][:39]
            with pytest.raises(RemoteError, match="choice 20 does not exist"):
                await ioc.pva_put("ODD:CHOICE", 20)


async def test_what_only_shows_cannot_be_put(ioc: Ioc) -> None:
    with pytest.raises(RemoteError, match="PULSE1:QUEUED is read-only"):
        await ioc.pva_put("PULSE1:QUEUED", 3)


async def test_a_put_of_something_else_than_the_value_is_refused(ioc: Ioc) -> None:
    with pytest.raises(RemoteError, match="no value"):
        await ioc.pva_put("PULSE1:PULSES", {"alarm.severity": 1})


async def test_alarms(ioc: Ioc, server: Server) -> None:
    not_put_yet = await ioc.pva_get("INENC3:SETP")
    assert (not_put_yet, not_put_yet.severity) == (0, 0)
    label = "Biss timeout error (did not received right number of sck for biss frame)"
    changed: asyncio.Queue[Any] = asyncio.Queue()
    subscription = ioc.pva.monitor(ioc.pv("OUTENC2:HEALTH"), changed.put)
    assert await asyncio.wait_for(changed.get(), 5) == "OK"
    server.panda.set_raw("OUTENC2.HEALTH", 1)
    bad = await asyncio.wait_for(changed.get(), 5)
    assert (bad, bad.severity, bad.raw.alarm.message) == (label, MAJOR, label)
    subscription.close()


async def test_puts_over_both_protocols_at_once(ioc: Ioc, other: AsyncioClient) -> None:
    """Finally both protocols and the PandA agree; each put is in effect when it completes."""
    for turn in range(30):
        await asyncio.gather(
            ioc.pva_put("PULSE2:PULSES", 2 * turn),
            caput(ioc.pv("PULSE2:PULSES"), 2 * turn + 1, wait=True, timeout=5),
            other.send(Put("PULSE1.PULSES", str(turn))),
        )
        said = int(await other.send(GetLine("PULSE2.PULSES")))
        assert said in {2 * turn, 2 * turn + 1}
        assert await ioc.pva_get("PULSE2:PULSES") == said
        assert await caget(ioc.pv("PULSE2:PULSES")) == said


async def test_puts_of_two_pva_clients_to_one_record(ioc: Ioc) -> None:
    """Monitors get an update for every put, although another put is always pending."""
    seen: asyncio.Queue[Any] = asyncio.Queue()
    subscription = ioc.pva.monitor(ioc.pv("PULSE4:PULSES"), seen.put)
    await asyncio.wait_for(seen.get(), 5)

    async def put(numbers: range) -> None:
        with Context("pva", conf=ioc.environment, useenv=False) as client:
            for number in numbers:
                await asyncio.wait_for(client.put(ioc.pv("PULSE4:PULSES"), number), 5)

    await asyncio.gather(put(range(100, 120)), put(range(200, 220)))
    values: set[int] = set()
    while not {119, 219} <= values:
        values.add(int(await asyncio.wait_for(seen.get(), 5)))
    assert len(values) > 20
    subscription.close()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("PULSE1:PULSES.RTYP", "ao"),
        ("PULSE1:PULSES.NAME", "TEST-FIXTURE:PULSE1:PULSES"),
        ("SYSTEM:TEMP_ZYNQ.EGU", "deg"),
        ("SYSTEM:TEMP_ZYNQ.DESC", "Temperature of the FPGA"),
        ("TTLOUT1:VAL.RTYP", "stringout"),
        ("STATUS.RTYP", "mbbi"),
        ("STATUS.NAME", "TEST-FIXTURE:Status"),
        ("PULSE1:LABEL.RTYP", "waveform"),
    ],
)
async def test_fields_can_be_read(ioc: Ioc, field: str, value: str) -> None:
    expected = value.replace("TEST-FIXTURE", ioc.prefix)
    assert await ioc.pva_get(field) == expected
    assert str(await caget(ioc.pv(field))) == expected  # as over Channel Access
    with pytest.raises(RemoteError):
        await ioc.pva_put(field, "other")
    assert await ioc.pva_get(field) == expected


async def test_a_field_changes_with_its_record(ioc: Ioc) -> None:
    await ioc.pva_put("PULSE4:DELAY:UNITS", "s")
    seen = await ioc.monitor("PULSE4:DELAY.EGU")
    assert await ioc.pva_get("PULSE4:DELAY.EGU") == "s"
    await ioc.pva_put("PULSE4:DELAY:UNITS", "min")
    assert (await asyncio.wait_for(seen.get(), 5)).value == "min"
    await ioc.pva_put("PULSE4:DELAY:UNITS", "us")
    assert (await asyncio.wait_for(seen.get(), 5)).value == "us"
    assert await ioc.pva_get("PULSE4:DELAY.PREC") == await caget(ioc.pv("PULSE4:DELAY.PREC")) == 3


async def test_the_field_val_is_the_record(ioc: Ioc, other: AsyncioClient) -> None:
    await ioc.pva_put("PULSE2:PULSES.VAL", 17)
    assert await other.send(GetLine("PULSE2.PULSES")) == "17"
    assert await ioc.pva_get("PULSE2:PULSES.VAL") == await ioc.pva_get("PULSE2:PULSES") == 17


@pytest.mark.parametrize(
    "name", ["PULSE1:PULSES.", "PULSE1:PULSES.NOPE", "NOPE:PULSES.DESC", ".DESC", "SEQ1:TABLE.DESC"]
)
async def test_a_field_that_there_is_not_is_not_found(ioc: Ioc, name: str) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ioc.pva.get(ioc.pv(name)), 0.5)
