"""No put over Channel Access or PV Access is lost after its completion, repeated, or confused with another one."""

import asyncio
import random
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aioca import (
    DBE_PROPERTY,
    DBE_VALUE,
    DBR_CHAR_STR,
    DBR_STRING,
    FORMAT_CTRL,
    FORMAT_TIME,
    CANothing,
    caget,
    camonitor,
    caput,
)
from p4p.client.asyncio import RemoteError

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import Put
from panda_ioc.simulator import Server

from ..acquire import capture_counter, samples_on_arm
from ..conftest import free_port, until
from ..relay import Relay
from .circuit import DENIED, NORMAL, PUT_FAILED, Circuit
from .process import Ioc, becomes, running_ioc

FIELD = "PULSE1.PULSES"
RECORD = "PULSE1:PULSES"


class Wire(Relay):
    """A relay that delays replies and records the puts.

    Attributes:
        delay: delay of replies in s
        told: the values that were put to FIELD, in order
    """

    def __init__(self, port: int, delay: float = 0.0) -> None:
        super().__init__(port)
        self.delay = delay
        self.told: list[float] = []

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        while line := await reader.readline():
            if line.startswith(f"{FIELD}=".encode()):
                self.told.append(float(line.partition(b"=")[2]))
            writer.write(line)
            await writer.drain()
        raise ConnectionResetError

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 20):
            await asyncio.sleep(self.delay)
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@asynccontextmanager
async def put_to(
    panda: Server, ca_ports: Iterator[int], prefix: str, *options: str, delay: float = 0.0, priorities: str = ""
) -> AsyncIterator[tuple[Wire, Ioc, int]]:
    """An IOC for a PandA behind a relay, which is slow as soon as the IOC serves, and the Channel Access port.

    With priorities "NO", EPICS does not request real-time priorities for its threads. As root it gets them.
    """
    extra = {"EPICS_ALLOW_POSIX_THREAD_PRIORITY_SCHEDULING": priorities} if priorities else {}
    async with Wire(panda.control_port) as wire:
        async with running_ioc(wire.port, prefix, ca_ports, "--log-level", "put", *options, extra=extra) as ioc:
            await ioc.wait_for("serving ")
            wire.delay = delay
            yield wire, ioc, int(ioc.environment["EPICS_CA_SERVER_PORT"])


RULES = {
    "two groups": (
        "UAG(staff) {alice} UAG(ops) {bob}\n"
        "ASG(DEFAULT) { RULE(1, READ) RULE(1, WRITE, TRAPWRITE) { UAG(staff) } RULE(1, WRITE) { UAG(ops) } }\n"
    ),
    "two levels": "ASG(DEFAULT) { RULE(1, READ) RULE(0, WRITE) RULE(1, WRITE, TRAPWRITE) }\n",
    "never": "ASG(DEFAULT) { RULE(1, READ) RULE(1, WRITE, NOTRAPWRITE) }\n",
    "words": 'ASG(DEFAULT) { RULE(1, READ) RULE(1, # (all of them)\n "WRITE") }\n',
}


@pytest.mark.parametrize(("rules", "priorities"), [*((rules, "YES") for rules in RULES), ("two groups", "NO")])
async def test_an_access_file_drops_no_put(
    panda: Server, ca_ports: Iterator[int], tmp_path: Path, rules: str, priorities: str
) -> None:
    """EPICS reuses the thread of a disconnected client; the thread does not identify puts."""
    file = tmp_path / "rules.acf"
    file.write_text(RULES[rules])
    prefix, options = f"TEST-ACF-{rules[-4:].strip().upper()}", ("--access-file", str(file))
    async with put_to(panda, ca_ports, prefix, *options, priorities=priorities) as (wire, ioc, port):
        pv = ioc.pv(RECORD)
        for value in range(1, 41):
            async with Circuit(port, "alice") as alice:
                assert await alice.put(f"{pv}.HIHI", 1e9 + value) == NORMAL
            async with Circuit(port, "bob") as bob:
                assert await bob.put(pv, value) == NORMAL
        assert wire.told == list(range(1, 41))
        line = await ioc.wait_for(f"put {pv} = 40.0 by bob@")
        assert "over CA" in line
        assert not [line for line in ioc.output if "somebody" in line]


async def test_a_limit_beside_a_put_that_is_under_way_repeats_nothing(panda: Server, ca_ports: Iterator[int]) -> None:
    async with put_to(panda, ca_ports, "TEST-PUTS-LIMIT", delay=0.2) as (wire, ioc, port):
        pv = ioc.pv(RECORD)
        async with Circuit(port, "alice") as alice, Circuit(port, "bob") as bob:
            await bob.connect(f"{pv}.HIGH")
            for value in (101, 201, 301):
                putting = await alice.begin(pv, value)
                await until(partial(wire.told.__contains__, value))
                limit = await bob.begin(f"{pv}.HIGH", 1000 + value)
                await ioc.pva_put(RECORD, value + 49)
                assert (await putting)[0] == (await limit)[0] == NORMAL
        assert wire.told == [101, 150, 201, 250, 301, 350]
        assert panda.panda.fields[FIELD].read() == "350"


async def test_a_limit_completes_no_put_that_is_under_way(panda: Server, ca_ports: Iterator[int]) -> None:
    """EPICS processes the record for this put, and would report completion to the other client."""
    async with put_to(panda, ca_ports, "TEST-PUTS-EARLY", delay=0.2) as (wire, ioc, port):
        pv = ioc.pv(RECORD)
        async with Circuit(port, "alice") as alice, Circuit(port, "bob") as bob:
            await bob.connect(f"{pv}.HIGH")
            putting = await alice.begin(pv, 101)
            await until(partial(wire.told.__contains__, 101))
            await bob.write(f"{pv}.HIGH", 5000)
            assert not putting.done()
            assert (await putting)[0] == NORMAL
            await ioc.wait_for(f"put {pv} = 101.0 by alice@")
        assert wire.told == [101]


async def test_a_limit_that_waits_beside_one_that_does_not_is_no_value(panda: Server, ca_ports: Iterator[int]) -> None:
    """Both over one channel: the one that waited is made last, when the channel has no other."""
    async with put_to(panda, ca_ports, "TEST-PUTS-CHANNEL", delay=0.2) as (wire, ioc, port):
        pv = ioc.pv(RECORD)
        async with Circuit(port, "alice") as alice, Circuit(port, "bob") as bob:
            await bob.connect(f"{pv}.HIGH")
            putting = await alice.begin(pv, 101)
            await until(partial(wire.told.__contains__, 101))
            waiting = await bob.begin(f"{pv}.HIGH", 5000)
            await bob.write(f"{pv}.HIGH", 6000)
            assert (await putting)[0] == (await waiting)[0] == NORMAL
            assert await bob.get(f"{pv}.HIGH") == 5000
            assert await alice.put(pv, 102) == NORMAL
        assert wire.told == [101, 102]
        await ioc.wait_for(f"put {pv} = 102.0 by alice@")
        assert not [line for line in ioc.output if "somebody" in line]


async def test_plain_writes_behind_a_slow_put_all_arrive_in_order(panda: Server, ca_ports: Iterator[int]) -> None:
    """EPICS would process the record once for all puts, with the last value or none."""
    async with put_to(panda, ca_ports, "TEST-PUTS-PLAIN", delay=0.1) as (wire, ioc, port):
        pv = ioc.pv(RECORD)
        async with Circuit(port, "alice") as alice, Circuit(port, "bob") as bob, Circuit(port, "eve") as eve:
            putting = await alice.begin(pv, 1)
            await alice.get(pv)  # the server has handled it
            for value in (2, 3, 4):
                await bob.write(pv, value)
            waiting = await eve.begin(pv, 5)
            await bob.write(pv, 6)
            assert (await putting)[0] == (await waiting)[0] == NORMAL
            await until(lambda: len(wire.told) == 6)
        assert wire.told[:4] == [1, 2, 3, 4]
        assert sorted(wire.told[4:]) == [5, 6]
        for value, user in ((1, "alice"), (2, "bob"), (3, "bob"), (4, "bob"), (5, "eve"), (6, "bob")):
            await ioc.wait_for(f"put {pv} = {value}.0 by {user}@")
        assert len([line for line in ioc.output if f" put {pv}" in line]) == 6


async def test_a_put_of_a_client_that_leaves_is_done_and_holds_up_nobody(
    panda: Server, ca_ports: Iterator[int]
) -> None:
    async with put_to(panda, ca_ports, "TEST-PUTS-GONE", delay=0.2) as (wire, ioc, port):
        pv = ioc.pv(RECORD)
        for value in (10, 20, 30):
            async with Circuit(port, "alice") as alice, Circuit(port, "bob") as bob:
                await bob.connect(pv)
                leaving = await alice.begin(pv, value)
                await until(partial(wire.told.__contains__, value))
                waiting = await bob.begin(pv, value + 1)
                await alice.__aexit__()
                assert (await asyncio.wait_for(waiting, 10))[0] == NORMAL
                assert not leaving.done()
                assert panda.panda.fields[FIELD].read() == str(value + 1)
        assert wire.told == [10, 11, 20, 21, 30, 31]


async def test_what_the_end_finds_undone_is_told_why(panda: Server, ca_ports: Iterator[int]) -> None:
    async with put_to(panda, ca_ports, "TEST-PUTS-END", delay=0.5) as (wire, ioc, port):
        pv = ioc.pv(RECORD)
        async with Circuit(port, "alice") as alice:
            await alice.write(pv, 1)
            await until(partial(wire.told.__contains__, 1))
            await alice.write(pv, 2)
            ioc.process.send_signal(signal.SIGINT)
            line = await ioc.wait_for(f"refused put {pv} = 1.0 by alice@")
            assert "unknown whether the PandA executed it" in line
            line = await ioc.wait_for(f"refused put {pv} = 2.0 by alice@")
            assert line.endswith("over CA: no connection to the PandA: the IOC is stopping")
        assert wire.told == [1]


async def test_the_log_has_a_line_for_each_put_and_no_other(panda: Server, ca_ports: Iterator[int]) -> None:
    """Short-lived clients, with and without completion, to values and to fields that EPICS processes for."""
    rng = random.Random(13)
    async with put_to(panda, ca_ports, "TEST-PUTS-LOG") as (wire, ioc, port):
        pv = ioc.pv(RECORD)
        made: list[str] = []
        values: list[float] = []

        async def client(number: int) -> None:
            async with Circuit(port, f"user{number}") as circuit:
                for turn in range(3):
                    value = number * 10.0 + turn
                    field = rng.choice(("", "", ".VAL", ".HIGH", ".LOLO", ".HIHI", ".DESC"))
                    text = f"put {pv}{'' if field == '.VAL' else field}"
                    what = f" = {value}" if field in {"", ".VAL"} else ""
                    made.append(f"{text}{what} by user{number}@")
                    if what:
                        values.append(value)
                    if rng.random() < 0.5:
                        await circuit.put(pv + field, value)
                    else:
                        await circuit.write(pv + field, value)

        for first in range(1, 101, 10):
            await asyncio.gather(*(client(number) for number in range(first, first + 10)))
        await until(lambda: len(wire.told) == len(values))
        assert sorted(wire.told) == sorted(values)
        await until(lambda: sum(f" put {pv}" in line for line in ioc.output) >= len(made))
        lines = [re.sub(r"@.*", "@", line[line.index(f"put {pv}") :]) for line in ioc.output if f" put {pv}" in line]
        assert sorted(lines) == sorted(made)


async def test_what_epics_refuses_is_not_sent(panda: Server, ca_ports: Iterator[int]) -> None:
    """EPICS processes a record for a value that it could not convert: the one before would be sent again."""
    async with put_to(panda, ca_ports, "TEST-PUTS-BAD") as (wire, ioc, port):
        pv = ioc.pv(RECORD)
        async with Circuit(port, "alice") as alice:
            assert await alice.put(pv, 7) == NORMAL
            assert await alice.put(pv, "nonsense") != NORMAL
            await ioc.wait_for(f"refused put {pv} by alice@")
            await alice.write(pv, "nonsense")
            assert await alice.get(pv) == 7
            assert await alice.put(pv, 8) == NORMAL
        assert wire.told == [7, 8]


@pytest.mark.parametrize("delay", [0, 0.05])
async def test_acquire_is_stopped_by_a_put_that_waits(panda: Server, ca_ports: Iterator[int], delay: float) -> None:
    """EPICS lets a put with completion wait for the one before it, which here waits for what the second one does.

    The acquisition has ended before the PandA answers to what stops it, if that takes a moment.
    """
    capture_counter(panda)
    samples_on_arm(panda, 10, reason="")
    prefix, data_port = f"TEST-STOP-{delay:g}".replace(".", "-"), ("--data-port", str(panda.data_port))
    async with put_to(panda, ca_ports, prefix, *data_port, delay=delay) as (_, ioc, port):
        pv, start = ioc.pv("DATA:ACQUIRE"), len(ioc.output)
        for stop in (0, "0", "Done"):
            async with Circuit(port, "alice") as alice, Circuit(port, "carol") as carol, Circuit(port, "bob") as bob:
                waiting = [await alice.begin(pv, 1)]
                await becomes(pv, 1)
                waiting.append(await carol.begin(pv, 1))  # joins the pending ones
                await carol.get(pv)
                waiting.append(await bob.begin(pv, stop))
                async with asyncio.timeout(5):
                    assert [(await each)[0] for each in waiting] == [NORMAL] * 3
            assert panda.capture.completion == "Disarmed"
            await becomes(pv, 0)
        await ioc.wait_for(f"put {pv} = 'Done' by bob@", start=start)
        puts = [line.rpartition(" by ")[2].partition("@")[0] for line in ioc.output[start:] if f"put {pv} = " in line]
        assert sorted(puts) == ["alice"] * 3 + ["bob"] * 3 + ["carol"] * 3


async def test_acquire_is_stopped_before_it_is_armed(panda: Server, ca_ports: Iterator[int]) -> None:
    """A stop that comes before the data port is ready, and so before the PandA is armed, stops that one."""
    capture_counter(panda)
    samples_on_arm(panda, 10, reason="")
    data = Relay(panda.data_port, at=free_port())
    async with put_to(panda, ca_ports, "TEST-EARLY", "--data-port", str(data.port)) as (_, ioc, port):
        pv = ioc.pv("DATA:ACQUIRE")
        async with Circuit(port, "alice") as alice, Circuit(port, "bob") as bob:
            waiting = [await alice.begin(pv, 1)]
            await alice.get(pv)
            waiting.append(await bob.begin(pv, 0))
            await bob.get(pv)
            async with data, asyncio.timeout(20):
                assert [(await each)[0] for each in waiting] == [NORMAL] * 2
        assert panda.capture.completion == "Disarmed"


async def test_a_refused_put_with_completion_fails(panda: Server, ca_ports: Iterator[int]) -> None:
    """The client of a refused put gets an error; the next put in the queue succeeds."""
    async with put_to(panda, ca_ports, "TEST-FAIL", delay=0.05) as (_, ioc, port):
        pv = ioc.pv("TTLOUT1:VAL")
        async with Circuit(port, "alice") as alice, Circuit(port, "bob") as bob:
            puts = [await alice.begin(pv, "NONSENSE"), await bob.begin(pv, "PULSE1.OUT")]
            assert [(await put)[0] for put in puts] == [PUT_FAILED, NORMAL]
            assert await bob.put(ioc.pv("PULSE1:TRIG_EDGE"), 7) == PUT_FAILED  # by the IOC
            assert await bob.put(ioc.pv("DATA:CAPTURE"), 1) == PUT_FAILED  # by a service
            assert await alice.put(pv, "PULSE2.OUT") == NORMAL


async def test_no_field_makes_puts_go_elsewhere(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    """EPICS would accept the put, not process the record or use another device, and report success.

    By default clients may not put to such fields, and also not if an access security file permits all puts.
    """
    file = tmp_path / "rules.acf"
    file.write_text(RULES["words"])
    async with put_to(panda, ca_ports, "TEST-PUTS-HELD", "--access-file", str(file)) as (wire, ioc, port):
        pv, link = ioc.pv(RECORD), ioc.pv("PULSE1:WIDTH")
        expected: list[float] = []
        async with Circuit(port, "alice") as alice:
            for field, value, stays in (
                ("SCAN", "1 second", "Passive"),
                ("SCAN", "I/O Intr", "Passive"),
                ("DISA", "1", "0"),
                ("DISV", "0", "1"),
                ("SDIS", link, ""),
                ("SIMM", "YES", "NO"),
                ("SIML", link, ""),
                ("OMSL", "closed_loop", "supervisory"),
                ("IVOA", "Don't drive outputs", "Continue normally"),
                ("DTYP", "Soft Channel", "Python"),
                ("FLNK", link, ""),
            ):
                assert await alice.put(f"{pv}.{field}", value) == DENIED
                await alice.write(f"{pv}.{field}", value)
                assert await caget(f"{pv}.{field}", datatype=DBR_STRING) == stays
                for put in (alice.put, alice.write):
                    expected.append(len(expected) + 1.0)
                    await put(pv, expected[-1])
                await until(lambda: len(wire.told) == len(expected))
            # EPICS would put 0 itself, HIGH seconds after each 1.
            assert await alice.put(f"{ioc.pv('DATA:AUTO_INCREMENT')}.HIGH", 0.1) == DENIED
            assert await alice.put(f"{pv}.HIGH", 1e6) == NORMAL  # a limit
            assert await alice.get(f"{ioc.pv('DATA:AUTO_INCREMENT')}.HIGH") == 0
        assert wire.told == expected
        assert not [line for line in ioc.output if "somebody" in line]


async def test_what_shows_only_stays_so(ioc: Ioc) -> None:
    pv = ioc.pv("PULSE1:QUEUED")
    await caput(f"{pv}.DISP", 0, wait=True)
    await ioc.wait_for(f"{pv}.DISP stays 1: the record is read-only")
    with pytest.raises(CANothing):
        await caput(pv, 77, wait=True)
    assert await caget(pv) == 0


@pytest.mark.parametrize(
    ("record", "number"),
    [
        ("COUNTER1:START", 3e9),
        ("COUNTER1:START", -(2.0**31) - 1),
        ("COUNTER1:START", float("nan")),
        ("COUNTER1:START", float("inf")),
        ("PULSE1:TRIG_EDGE", 65537.0),
        ("PULSE1:TRIG_EDGE", -65535.0),
        ("PCAP:ARM", 65537.0),
    ],
)
async def test_a_number_that_has_no_room_is_refused_and_not_wrapped(ioc: Ioc, record: str, number: float) -> None:
    pv, port = ioc.pv(record), int(ioc.environment["EPICS_CA_SERVER_PORT"])
    before = await caget(pv)
    async with Circuit(port, "alice") as alice:
        await alice.put(pv, number)
    now = await caget(pv, format=FORMAT_TIME)
    assert (now, now.severity) == (before, 2)
    assert await caget(ioc.pv("IOC:LAST_REFUSED"), datatype=DBR_CHAR_STR)
    async with Circuit(port, "alice") as alice:
        assert await alice.put(pv, float(before)) == NORMAL
    assert (await caget(pv, format=FORMAT_TIME)).severity == 0


async def test_proc_puts_what_is_there_whatever_number_is_sent(ioc: Ioc) -> None:
    pv, start = ioc.pv("PULSE1:TRIG_EDGE"), len(ioc.output)
    async with Circuit(int(ioc.environment["EPICS_CA_SERVER_PORT"]), "alice") as alice:
        assert await alice.put(pv, 1) == NORMAL
        assert await alice.put(f"{pv}.PROC", 70000) == NORMAL
        assert await alice.get(pv) == 1
    assert not [line for line in ioc.output[start:] if "refused" in line]


class Tally:
    """Simultaneous puts to one record, and their results.

    Args:
        told: the values that the PandA received
    """

    def __init__(self, told: list[float]) -> None:
        self.told = told
        self.done: set[float] = set()
        self.sent: set[float] = set()

    async def over_ca(self, port: int, pv: str, values: range, rng: random.Random) -> None:
        """Put with and without completion, also out of range, from circuits that connect and disconnect."""
        rest = list(values)
        while rest:
            async with Circuit(port, f"user{values.start}") as circuit:
                for _ in range(min(rng.randint(1, 8), len(rest))):
                    value = float(rest.pop())
                    self.sent.add(value)
                    match rng.randrange(4):
                        case 0:
                            await circuit.write(pv, value)
                            self.done.add(value)  # puts that the server has processed are not lost
                        case 1:
                            await circuit.write(f"{pv}.HIGH", value)
                            await self._put(circuit, pv, value)
                        case _:
                            await self._put(circuit, pv, value)

    async def _put(self, circuit: Circuit, pv: str, value: float) -> None:
        assert await circuit.put(pv, value) == NORMAL
        assert value in self.told, "it completes when the PandA was told"
        self.done.add(value)

    async def over_pva(self, ioc: Ioc, values: range) -> None:
        for value in values:
            self.sent.add(float(value))
            try:
                await ioc.pva_put(RECORD, value)
            except RemoteError as refusal:
                raise AssertionError(f"{value} was refused: {refusal}") from refusal
            self.done.add(float(value))


@pytest.mark.parametrize("priorities", ["YES", "NO"])
@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_what_clients_are_told_is_what_the_panda_was_told(
    panda: Server, ca_ports: Iterator[int], count: int, priorities: str
) -> None:
    clients, rng = 8, random.Random(count)
    share = count // clients
    prefix = f"TEST-PUTS-MANY{count}-{priorities}"
    async with put_to(panda, ca_ports, prefix, delay=0.001, priorities=priorities) as (wire, ioc, port):
        tally = Tally(wire.told)
        puts: list[Any] = [
            tally.over_ca(port, ioc.pv(RECORD), range(1 + number * share, 1 + (number + 1) * share), rng)
            for number in range(clients - 2)
        ]
        puts += [
            tally.over_pva(ioc, range(1 + number * share, 1 + (number + 1) * share))
            for number in range(clients - 2, clients)
        ]
        await asyncio.gather(*puts)
        assert tally.done == tally.sent
        await until(lambda: len(wire.told) >= len(tally.sent), 30)
        assert sorted(wire.told) == sorted(tally.sent)
        # The final value is that of the last put to the PandA.
        await until(lambda: panda.panda.fields[FIELD].read() == f"{wire.told[-1]:.0f}")
        async with Circuit(port) as circuit, asyncio.timeout(10):
            # No client waits for a put without completion.
            while await circuit.get(ioc.pv(RECORD)) != wire.told[-1]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_a_value_and_its_units_come_in_one_update(server: Server, ioc: Ioc, other: AsyncioClient) -> None:
    """No client sees 0.5 with the unit of 500, over either protocol."""
    delay, pv = "PULSE1.DELAY", ioc.pv("PULSE1:DELAY")
    await other.send(Put(f"{delay}.UNITS", "s"))
    await other.send(Put(delay, "0.5"))
    await becomes(pv, 0.5)
    over_ca: list[tuple[float, str]] = []
    monitor = camonitor(
        pv,
        lambda now: over_ca.append((float(now), now.units)),
        format=FORMAT_CTRL,
        events=DBE_VALUE | DBE_PROPERTY,
        all_updates=True,
    )
    over_pva = await ioc.monitor("PULSE1:DELAY")
    seen: list[tuple[float, str]] = []
    try:
        for units, value in [("ms", 500.0), ("s", 0.5)] * 10:
            await other.send(Put(f"{delay}.UNITS", units))
            await until(lambda value=value: bool(over_ca) and over_ca[-1][0] == value)  # type: ignore[misc]
            while not seen or seen[-1][0] != value:
                update = await asyncio.wait_for(over_pva.get(), 5)
                if update.changed("value") or update.changed("display.units"):
                    seen.append((update["value"], update["display.units"] or seen[-1][1]))
    finally:
        monitor.close()
    right = {(0.5, "s"), (500.0, "ms")}
    assert set(over_ca) == right
    assert len(over_ca) > 20
    assert {value for value, _ in seen} == {0.5, 500.0}
    assert [units for _, units in seen] == ["ms", "s"] * 10


async def test_both_protocols_have_one_time_for_a_value(ioc: Ioc, other: AsyncioClient) -> None:
    for value, record in ((3, "PULSE1:PULSES"), (4, "PULSE1:PULSES"), (0.25, "PULSE1:DELAY")):
        before = time.time()
        await other.send(Put(record.replace(":", "."), str(value)))
        await becomes(ioc.pv(record), value)
        over_ca = await caget(ioc.pv(record), format=FORMAT_TIME)
        stamp = (await ioc.raw_get(record)).timeStamp
        assert (over_ca.raw_stamp[0], over_ca.raw_stamp[1]) == (stamp.secondsPastEpoch, stamp.nanoseconds)
        assert before - 1 < over_ca.timestamp < time.time() + 1


async def test_disp_keeps_everybody_out(ioc: Ioc) -> None:
    pv = ioc.pv("PULSE1:WIDTH")
    await caput(f"{pv}.DISP", 1, wait=True)
    try:
        with pytest.raises(RemoteError, match=r"puts to PULSE1:WIDTH are disabled: put 0 to PULSE1:WIDTH\.DISP"):
            await ioc.pva_put("PULSE1:WIDTH", 3)
        before = await caget(pv)
        with pytest.raises(CANothing):
            await caput(pv, 7, wait=True)
        assert await caget(pv) == before
    finally:
        await caput(f"{pv}.DISP", 0, wait=True)
    await ioc.pva_put("PULSE1:WIDTH", 3)


async def test_a_text_of_a_client_makes_no_line_of_the_output(ioc: Ioc) -> None:
    """EPICS itself reports values that it cannot convert."""
    start = len(ioc.output)
    port = int(ioc.environment["EPICS_CA_SERVER_PORT"])
    forged = "x\nforged\n"
    async with Circuit(port, "mallory\nroot") as circuit:
        assert await circuit.put(ioc.pv("PULSE1:TRIG_EDGE"), forged) != NORMAL
        await circuit.write(ioc.pv("PULSE1:TRIG_EDGE.SCAN"), forged)
    await ioc.wait_for("mallory", start=start)
    said = [line for line in ioc.output[start:] if "forged" in line]
    assert said
    assert all(re.match(r"\S+ \S+ WARNING ", line) for line in said), said
