"""The services with a simulated PandA and a server that only stores values, without EPICS and in this process."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.link.panda import Address, PandaLink
from panda_ioc.ioc.link.timetable import PERIODS
from panda_ioc.ioc.plan.alarm import Severity, Status
from panda_ioc.ioc.plan.buses import BUSES
from panda_ioc.ioc.plan.codecs import ActionCodec
from panda_ioc.ioc.plan.data_settings import SERVICE as DATA
from panda_ioc.ioc.plan.plan import Plan, make_plan
from panda_ioc.ioc.plan.record import Access
from panda_ioc.ioc.plan.status import CONNECTION, LAST_REFUSED, RESTART_SERVICE
from panda_ioc.ioc.plan.tables import MODE, TABLES
from panda_ioc.ioc.servers.put import OnPut, Put
from panda_ioc.ioc.servers.served import Pv, Update, join
from panda_ioc.ioc.services.buses import Buses
from panda_ioc.ioc.services.data.service import DataService
from panda_ioc.ioc.services.dispatch import Services
from panda_ioc.ioc.services.mirror import Mirror
from panda_ioc.ioc.services.restart import Restart
from panda_ioc.ioc.services.tables import Tables
from panda_ioc.protocol import Put as PutField
from panda_ioc.simulator import Server, load

from ..acquire import capture_counter, samples_on_arm
from ..relay import Relay


@dataclass
class Remembering:
    """A record that only stores the posted values."""

    updates: list[Update] = field(default_factory=list)
    disabled: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def post(self, update: Update) -> None:
        self.updates.append(update)
        self.changed.set()


@dataclass
class Served:
    """An IOC without servers."""

    plan: Plan
    link: PandaLink
    services: Services
    sides: Mapping[str, Remembering]
    pvs: Mapping[str, Pv]
    restarts: list[str]

    async def put(self, name: str, value: object, protocol: str = "PVA") -> str:
        return await asyncio.wait_for(self.services.put(Put(name, value, "alice@here", protocol)), 10)

    async def shows(self, name: str, value: object) -> Update:
        """Wait until a record shows a value."""
        side = self.sides[name]
        async with asyncio.timeout(10):
            while self.pvs[name].value != value:
                side.changed.clear()
                await side.changed.wait()
        return side.updates[-1]


async def other_client(panda: Server, field: str, value: str) -> None:
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        await client.send(PutField(field, value))


@asynccontextmanager
async def serving(panda: Server, control_port: int | None = None) -> AsyncIterator[Served]:
    link = PandaLink(Address("127.0.0.1", control_port or panda.control_port, panda.data_port), PERIODS)
    model = await link.connect()
    plan = make_plan(model, "X")
    restarts: list[str] = []
    services = Services(
        plan,
        {
            "": Mirror(plan, link),
            DATA: DataService(link, plan, model),
            TABLES: Tables(link, plan.planned_tables, model.tables, model.unread),
            BUSES: Buses(link, plan),
            RESTART_SERVICE: Restart(restarts.append),
        },
    )
    sides = {item.name: Remembering() for item in plan.items}
    on_put: OnPut = services.put
    pvs = join(plan, services.initial_values(), on_put, sides)
    services.bind(pvs)
    following = asyncio.create_task(link.follow(model, services, lambda _: True))
    try:
        yield Served(plan, link, services, sides, pvs, restarts)
    finally:
        following.cancel()
        await link.close()
        await services.close()


@pytest.fixture(scope="module")
async def panda_here() -> AsyncIterator[Server]:
    async with Server(load(), control_port=0, data_port=0) as server:
        yield server


@pytest.fixture(scope="module")
async def served(panda_here: Server) -> AsyncIterator[Served]:
    async with serving(panda_here) as served:
        await served.shows(CONNECTION, 2)
        yield served


async def test_a_change_reaches_its_record(served: Served, panda_here: Server) -> None:
    panda_here.panda.fields["PULSE1.PULSES"].write("12")
    update = await served.shows("PULSE1:PULSES", 12)
    assert update.alarm.severity is Severity.NO_ALARM


async def test_a_put_reaches_the_panda_and_its_readback(served: Served, panda_here: Server) -> None:
    assert await served.put("PULSE1:PULSES", 13) == ""
    assert panda_here.panda.fields["PULSE1.PULSES"].read() == "13"
    assert served.pvs["PULSE1:PULSES"].value == 13


async def test_a_refused_put_shows_why_until_the_next_one(served: Served) -> None:
    before = served.pvs["TTLOUT1:VAL"].value
    reason = await served.put("TTLOUT1:VAL", "NO.SUCH")
    assert reason
    update = served.sides["TTLOUT1:VAL"].updates[-1]
    assert (update.value, update.alarm.severity, update.alarm.status) == (before, Severity.MAJOR, Status.WRITE)
    assert update.alarm.message == reason
    assert reason in str(served.pvs[LAST_REFUSED].value)
    assert await served.put("TTLOUT1:VAL", "ONE") == ""
    assert served.sides["TTLOUT1:VAL"].updates[-1].alarm.severity is Severity.NO_ALARM
    assert await served.put("TTLOUT1:VAL", "ZERO") == ""


async def test_what_puts_the_same_shows_the_same_refusal(served: Served) -> None:
    targets: dict[str, list[str]] = {}
    for record in served.plan.records:
        if record.target:
            targets.setdefault(record.target, []).append(record.name)
    one, other, *_ = next(names for target, names in targets.items() if len(names) > 1 and target.endswith(".CAPTURE"))
    text = next(name for name in (one, other) if name.endswith(":TEXT"))
    assert await served.put(text, "Nonsense")
    assert served.pvs[one].refusal == served.pvs[other].refusal != served.pvs["PULSE1:PULSES"].refusal
    assert await served.put(text, "No") == ""
    assert {served.sides[name].updates[-1].alarm.severity for name in (one, other)} == {Severity.NO_ALARM}


async def test_units_come_with_their_value(served: Served, panda_here: Server) -> None:
    assert await served.put("PULSE1:DELAY", 0.25) == ""
    side = served.sides["PULSE1:DELAY"]
    start = len(side.updates)
    await other_client(panda_here, "PULSE1.DELAY.UNITS", "ms")
    update = await served.shows("PULSE1:DELAY", 250)
    assert [each.value for each in side.updates[start:]] == [250]
    assert update.fields["EGU"] == "ms"
    await other_client(panda_here, "PULSE1.DELAY.UNITS", "s")
    await served.shows("PULSE1:DELAY", 0.25)


async def test_a_disabled_record_takes_no_put(served: Served) -> None:
    served.sides["PULSE1:PULSES"].disabled = True
    try:
        assert "put 0 to PULSE1:PULSES.DISP" in await served.put("PULSE1:PULSES", 1)
    finally:
        served.sides["PULSE1:PULSES"].disabled = False
    assert await served.put("PULSE1:PULSES", 1) == ""


async def test_a_table_is_written_as_one_and_read_back(served: Served) -> None:
    columns = served.pvs["SEQ1:TABLE"].value
    assert isinstance(columns, Mapping)
    rows = {
        name: np.ones(3, values.dtype) if isinstance(values, np.ndarray) else ["Immediate"] * 3
        for name, values in columns.items()
    }
    assert await served.put("SEQ1:TABLE", rows) == ""
    shown = served.pvs["SEQ1:TABLE"].value
    assert isinstance(shown, Mapping)
    assert list(shown["repeats"]) == [1, 1, 1]
    assert served.pvs["SEQ1:TABLE:ROWS"].value == 3
    # The Channel Access way: a put to a column is refused outside of the edit mode.
    assert "MODE" in await served.put("SEQ1:TABLE:REPEATS", np.array([5, 6]), "CA")


async def test_a_restart_names_who_asked(served: Served) -> None:
    assert await served.put("IOC:RESTART", 1) == ""
    assert served.restarts == ["restart requested by alice@here over PVA"]


async def test_a_loss_shows_everywhere_and_ends_with_the_return() -> None:
    async with Server(load(), control_port=0, data_port=0) as panda, Relay(panda.control_port) as relay:
        async with serving(panda, relay.port) as served:
            await served.shows(CONNECTION, 2)
            await relay.close()
            await served.shows(CONNECTION, 0)
            for name in ("PULSE1:PULSES", "SEQ1:TABLE", "BITS:TABLE"):
                alarm = served.sides[name].updates[-1].alarm
                assert (alarm.severity, alarm.status) == (Severity.INVALID, Status.COMM), name
            assert "no connection to the PandA" in await served.put("PULSE1:PULSES", 5)
            assert served.pvs["PULSE1:PULSES"].refusal.status is Status.COMM
            panda.panda.fields["PULSE1.PULSES"].write("7")
            await relay.listen()
            await served.shows("PULSE1:PULSES", 7)
            await served.shows(CONNECTION, 2)
            assert served.sides["PULSE1:PULSES"].updates[-1].alarm.severity is Severity.NO_ALARM
            assert served.link.reconnects == 1
            assert await served.put("PULSE1:PULSES", 5) == ""


async def test_no_put_is_accepted_that_needs_a_lost_panda() -> None:
    """Puts of the current values, and of 1 to actions: none says OK, except those about the IOC and its files."""
    async with Server(load(), control_port=0, data_port=0) as panda, Relay(panda.control_port) as relay:
        capture_counter(panda)
        samples_on_arm(panda, 10, reason="")
        async with serving(panda, relay.port) as served:
            await served.shows(CONNECTION, 2)
            assert await served.put("PCAP:ARM", 1) == ""
            await served.shows("PCAP:ARM", 1)
            await relay.close()
            await served.shows(CONNECTION, 0)
            accepted = set()
            for item in served.plan.items:
                if item.access is Access.READ:
                    continue
                value = served.pvs[item.name].value
                if item.access is Access.EXECUTE or isinstance(getattr(item, "codec", None), ActionCodec):
                    value = 1
                if await served.put(item.name, value) == "":
                    accepted.add(item.name)
    of_ioc = {name for name in accepted if name.startswith(("DATA:", "IOC:")) or name.endswith(":DATASET")}
    modes = {table.beside(MODE) for table in served.plan.planned_tables}  # to VIEW, which they show
    assert accepted - of_ioc == modes
    assert "DATA:ACQUIRE" not in accepted


async def test_a_capture_names_the_setting_that_stands_refused(served: Served, tmp_path: Path) -> None:
    assert await served.put("DATA:HDF_DIRECTORY", str(tmp_path)) == ""
    assert await served.put("DATA:HDF_FILE_NAME", "a.h5") == ""
    assert await served.put("DATA:HDF_DIRECTORY", "relative/dir")
    reason = await served.put("DATA:CAPTURE", 1)
    assert "the last put to DATA:HDF_DIRECTORY was refused" in reason
    assert served.pvs["DATA:CAPTURE"].value == 0
    assert list(tmp_path.iterdir()) == []
    assert await served.put("DATA:HDF_DIRECTORY", str(tmp_path)) == ""
    assert served.pvs["DATA:HDF_FULL_FILE_PATH"].value == str(tmp_path / "a.h5")


async def test_datasets_follow_what_is_captured(served: Served) -> None:
    record = "COUNTER1:OUT:CAPTURE:TEXT" if "COUNTER1:OUT:CAPTURE:TEXT" in served.pvs else "COUNTER1:OUT:CAPTURE"
    assert await served.put(record, "Min Max Mean") == ""
    datasets = served.pvs["DATA:DATASETS"].value
    assert isinstance(datasets, Mapping)
    wanted = {f"COUNTER1.OUT.{capture}" for capture in ("Min", "Max", "Mean")}
    assert wanted <= set(datasets["name"])
    assert await served.put(record, "No") == ""
    now = served.pvs["DATA:DATASETS"].value
    assert isinstance(now, Mapping)
    assert not wanted & set(now["name"])
