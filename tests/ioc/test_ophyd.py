"""Scan software as on beamlines: HDFPanda of ophyd-async in a RunEngine, with a real IOC and a simulated PandA."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import h5py
import numpy as np
import ophyd_async.epics.core._p4p as ophyd_p4p
import pytest
from bluesky.run_engine import RunEngine
from bluesky.utils import DuringTask, MsgGenerator
from ophyd_async.core import (
    DetectorTrigger,
    Device,
    SignalR,
    SignalRW,
    StaticPathProvider,
    TriggerInfo,
    YamlSettingsProvider,
    walk_rw_signals,
)
from ophyd_async.fastcs.panda import (
    HDFPanda,
    SeqTable,
    SeqTableInfo,
    SeqTrigger,
    StaticSeqTableFlyableLogic,
    apply_panda_settings,
)
from ophyd_async.plan_stubs import ensure_connected, retrieve_settings, store_settings
from p4p.client.asyncio import Context

from panda_ioc.client import AsyncioClient
from panda_ioc.protocol import GetLine, GetState, GetTable, Put, SetState
from panda_ioc.simulator import Server

from .process import Ioc

T = TypeVar("T")

POINTS = 50

#: PCAP captures at each pulse of the sequencer, which a counter counts.
WIRING = [
    *("PCAP.ENABLE=ONE", "PCAP.GATE=SEQ1.OUTA", "PCAP.TRIG=SEQ1.OUTA", "PCAP.TRIG_EDGE=Falling"),
    *("COUNTER1.ENABLE=ONE", "COUNTER1.TRIG=SEQ1.OUTA", "COUNTER1.OUT.CAPTURE=Value"),
    *("PCAP.TS_TRIG.CAPTURE=Value", "INENC1.VAL.CAPTURE=Min Max", "PCAP.BITS0.CAPTURE=Value"),
]

PREFIX = "TEST-OPHYD:{PANDA:1}"


#: Data keys of bluesky have no dots, so the datasets get other names.
DATASETS = {
    "counter.1.out_dataset": "steps",
    "pcap.ts_trig_dataset": "times",
    "inenc.1.val_dataset": "position",
    "pcap.bits0_dataset": "bits",
}


class Scans:
    """A RunEngine with a PandA, in separate threads, as in a scan program."""

    def __init__(self, ioc: Ioc, directory: Path) -> None:
        self.engine = RunEngine({}, context_managers=[], during_task=DuringTask())  # type: ignore[no-untyped-call]
        self.documents: list[tuple[str, dict[str, Any]]] = []
        self.engine.subscribe(lambda name, document: self.documents.append((name, document)))  # type: ignore[no-untyped-call]
        self.directory = directory
        self.names = iter(range(1000))
        self._environment = ioc.environment
        paths = StaticPathProvider(lambda *_: f"x{next(self.names)}", directory)
        self.panda = HDFPanda(f"{ioc.prefix}:", paths, name="panda")

    async def do(self, coroutine: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine in the loop of the engine."""

        async def run() -> T:
            return await coroutine()

        future = asyncio.run_coroutine_threadsafe(run(), self.engine.loop)
        return await asyncio.wait_for(asyncio.wrap_future(future), 60)

    async def plan(self, plan: MsgGenerator[Any]) -> list[tuple[str, dict[str, Any]]]:
        """Run a plan; return its documents."""
        self.documents.clear()
        await asyncio.wait_for(asyncio.to_thread(self.engine, plan), 60)
        return list(self.documents)

    async def open(self) -> None:
        async def use_context() -> None:
            ophyd_p4p._context = Context("pva", conf=self._environment, useenv=False, nt=False)

        await self.do(use_context)
        await self.plan(ensure_connected(self.panda))

    async def close(self) -> None:
        async def close_context() -> None:
            ophyd_p4p.context().close()
            ophyd_p4p._context = None

        await self.do(close_context)
        self.engine.loop.call_soon_threadsafe(self.engine.loop.stop)


@pytest.fixture(scope="module")
async def scans(ioc: Ioc, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scans]:
    scans = Scans(ioc, tmp_path_factory.mktemp("scans"))
    await scans.open()
    yield scans
    await scans.close()


@pytest.fixture
async def other(server: Server) -> AsyncIterator[AsyncioClient]:
    async with AsyncioClient("127.0.0.1", server.control_port) as client:
        yield client


def signals_of(device: Device) -> Iterator[SignalR[Any]]:
    for _, child in device.children():
        if isinstance(child, SignalR):
            yield child
        elif isinstance(child, Device):
            yield from signals_of(child)


async def test_every_signal_can_be_read_and_described(scans: Scans) -> None:
    signals = list(signals_of(scans.panda))
    assert len(signals) > 1200

    async def read(signal: SignalR[Any]) -> str:
        try:
            await signal.get_value()
            await signal.read()
            await signal.describe()
        except Exception as problem:  # noqa: BLE001 - all are told together
            return f"{signal.name}: {problem!r}"
        return ""

    async def read_all() -> list[str]:
        return [said for said in await asyncio.gather(*map(read, signals)) if said]

    assert await scans.do(read_all) == []


async def test_every_setting_can_be_written_back(scans: Scans, other: AsyncioClient) -> None:
    before = await other.send(GetState())
    settings = walk_rw_signals(scans.panda)
    assert len(settings) > 800

    async def write_back(name: str, signal: SignalRW[Any]) -> str:
        try:
            await signal.set(await signal.get_value())
        except Exception as problem:  # noqa: BLE001 - all are told together
            return f"{name}: {problem!r}"
        return ""

    async def write_all_back() -> list[str]:
        return [said for said in await asyncio.gather(*(write_back(*item) for item in settings.items())) if said]

    assert await scans.do(write_all_back) == []
    assert await other.send(GetState()) == before


@pytest.mark.parametrize(
    ("path", "value", "field", "reads"),
    [
        ("pulse.1.pulses", 7, "PULSE1.PULSES", "7"),
        ("pulse.1.width", 0.25, "PULSE1.WIDTH", "0.25"),
        ("pulse.2.enable", "PULSE1.OUT", "PULSE2.ENABLE", "PULSE1.OUT"),
        ("pcomp.1.dir", "Either", "PCOMP1.DIR", "Either"),
        ("pcomp.1.start", -12, "PCOMP1.START", "-12"),
        ("seq.1.prescale_units", "ms", "SEQ1.PRESCALE.UNITS", "ms"),
        ("seq.1.posa", "INENC2.VAL", "SEQ1.POSA", "INENC2.VAL"),
        ("inenc.1.val_scale", 1e-7, "INENC1.VAL.SCALE", "1e-07"),
        ("bits.a", "1", "BITS.A", "1"),
        ("lut.1.func", "(A&B&C&D)|(~A&~B&~C&~D)|(A&~B&C&~D)", "LUT1.FUNC", "(A&B&C&D)|(~A&~B&~C&~D)|(A&~B&C&~D)"),
        ("seq.1.label", "a sequencer with a label that is longer than any string", "*METADATA.LABEL_SEQ1", ""),
    ],
)
async def test_each_kind_is_set_and_reads_back(
    scans: Scans, other: AsyncioClient, path: str, value: Any, field: str, reads: str
) -> None:
    signal = signal_at(scans.panda, path)
    await scans.do(lambda: signal.set(value))
    assert await scans.do(signal.get_value) == value
    assert await other.send(GetLine(field)) == (reads or value)


def signal_at(device: Any, path: str) -> SignalRW[Any]:
    for name in path.split("."):
        device = device[int(name)] if name.isdigit() else getattr(device, name)
    found: SignalRW[Any] = device
    return found


@pytest.mark.parametrize(
    ("path", "bad", "says"),
    [
        ("pulse.1.enable", "nonsense", "not one of the 107 choices"),
        ("pulse.1.width", -1.0, "negative"),
        ("lut.2.func", "A||", "Invalid expression"),
        ("calc.1.shift", 77, "is out of range 0 to"),
        ("data.num_capture", -1, "-1"),
    ],
)
async def test_bad_values_are_refused(scans: Scans, path: str, bad: Any, says: str) -> None:
    signal = signal_at(scans.panda, path)
    before = await scans.do(signal.get_value)
    with pytest.raises(Exception, match=says):
        await scans.do(lambda: signal.set(bad))
    assert await scans.do(signal.get_value) == before


async def test_a_table_of_4096_rows(scans: Scans, other: AsyncioClient) -> None:
    random = np.random.default_rng(1)
    outputs = {f"out{letter}{phase}": random.integers(0, 2, 4096) > 0 for letter in "abcdef" for phase in (1, 2)}
    table = SeqTable(
        repeats=random.integers(0, 2**16, 4096).astype(np.uint16),
        trigger=[list(SeqTrigger)[code] for code in random.integers(0, 13, 4096)],
        position=random.integers(-(2**31), 2**31, 4096).astype(np.int32),
        time1=random.integers(0, 2**32, 4096, dtype=np.uint32),
        time2=random.integers(0, 2**32, 4096, dtype=np.uint32),
        **outputs,
    )
    signal: SignalRW[SeqTable] = scans.panda.seq[2].table
    await scans.do(lambda: signal.set(table))
    back = await scans.do(signal.get_value)
    for name, column in table:
        assert np.array_equal(getattr(back, name), column), name
    assert len((await other.send(GetTable("SEQ2.TABLE"))).words) == 4096 * 4


async def test_settings_are_stored_and_loaded(scans: Scans, other: AsyncioClient, tmp_path: Path) -> None:
    provider = YamlSettingsProvider(tmp_path)
    chosen = ["PULSE1.DELAY.UNITS=us", "PULSE1.DELAY=8", "TTLOUT1.VAL=PULSE1.OUT", "COUNTER1.OUT.CAPTURE=Value"]
    changed = ["PULSE1.DELAY.UNITS=s", "PULSE1.DELAY=1", "TTLOUT1.VAL=ZERO", "COUNTER1.OUT.CAPTURE=No"]
    await other.send(SetState(chosen))
    await other.send(Put("SEQ1.TABLE", ["1", "2", "3", "4"]))
    await scans.plan(wait_until(scans.panda.pulse[1].delay, 8))
    await scans.plan(wait_until(signal_at(scans.panda, "seq.1.table_rows"), 1))
    stored = await other.send(GetState())
    await scans.plan(store_settings(provider, "all", scans.panda))
    await other.send(SetState(changed))
    await other.send(Put("SEQ1.TABLE", ["9"] * 8))
    await scans.plan(wait_until(scans.panda.pulse[1].delay, 1))
    await scans.plan(wait_until(signal_at(scans.panda, "seq.1.table_rows"), 2))

    def load_settings() -> MsgGenerator[None]:
        settings = yield from retrieve_settings(provider, "all", scans.panda)
        yield from apply_panda_settings(settings)

    await scans.plan(load_settings())
    assert await other.send(GetState()) == stored


def wait_until(signal: SignalRW[Any], value: Any) -> MsgGenerator[None]:
    for _ in range(500):
        if (yield from bps.rd(signal)) == value:
            return
        yield from bps.sleep(0.01)
    raise AssertionError(f"{signal.name} is not {value}")


def fly(panda: HDFPanda, points: int) -> MsgGenerator[None]:
    """A fly scan as `ophyd_async` documents it: the sequencer makes the triggers, PCAP captures at each."""
    flyer = StaticSeqTableFlyableLogic(panda.seq[1]).with_device("flyer")
    table = SeqTable.row(repeats=points, time1=1000, time2=1000, outa1=True)

    def scan() -> MsgGenerator[None]:
        yield from bps.prepare(flyer, SeqTableInfo(sequence_table=table, repeats=1), wait=True)
        trigger = TriggerInfo(
            number_of_events=points, trigger=DetectorTrigger.EXTERNAL_LEVEL, livetime=1e-3, deadtime=1e-3
        )
        yield from bps.prepare(panda, trigger, wait=True)
        yield from bps.declare_stream(panda, name="main", collect=True)
        yield from bps.kickoff(panda, wait=True)
        yield from bps.kickoff(flyer, wait=True)
        yield from bps.complete(flyer, wait=False, group="complete")
        yield from bps.complete(panda, wait=False, group="complete")
        done = False
        while not done:
            done = yield from bps.wait(group="complete", timeout=0.1, error_on_timeout=False)
            yield from bps.collect(panda, return_payload=False, name="main")

    run = bpp.run_wrapper(scan())  # type: ignore[no-untyped-call]
    yield from bpp.stage_wrapper(run, [panda, flyer])  # type: ignore[no-untyped-call]


async def test_two_fly_scans(scans: Scans, server: Server, other: AsyncioClient) -> None:
    await other.send(SetState(["COUNTER1.OUT.CAPTURE=No", "*CAPTURE="]))
    await other.send(SetState(WIRING))
    panda = scans.panda
    for path, name in DATASETS.items():
        await scans.do(partial(signal_at(panda, path).set, name))
    await scans.do(partial(signal_at(panda, "data.bits_type").set, "float64"))
    for _ in range(2):
        documents = await scans.plan(fly(panda, POINTS))
        kinds = [name for name, _ in documents]
        assert kinds[:2] == ["start", "descriptor"]
        assert kinds[-1] == "stop"
        assert documents[-1][1]["exit_status"] == "success"
        resources = {document["data_key"]: document for name, document in documents if name == "stream_resource"}
        assert set(resources) == {"steps", "times", "position-min", "position-max", "bits"}
        (keys,) = (document["data_keys"] for name, document in documents if name == "descriptor")
        datums = [document for name, document in documents if name == "stream_datum"]
        assert max(datum["indices"]["stop"] for datum in datums) == POINTS
        file_path = Path(resources["steps"]["uri"].removeprefix("file://localhost"))
        with h5py.File(file_path) as file:
            assert {len(file[name]) for name in resources} == {POINTS}
            assert np.diff(file["steps"]).tolist() == [1] * (POINTS - 1)
            for name, resource in resources.items():
                # As declared before there was a file: consumers such as Tiled rely on it.
                declared = (keys[name]["dtype_numpy"], tuple(resource["parameters"]["chunk_shape"]))
                assert (file[name].dtype.str, file[name].chunks) == declared
        assert await scans.do(panda.data.num_captured.get_value) == POINTS
        assert await scans.do(panda.data.capture.get_value) is False
        assert await scans.do(panda.pcap.arm.get_value) is False
    assert len(list(scans.directory.iterdir())) == 2
