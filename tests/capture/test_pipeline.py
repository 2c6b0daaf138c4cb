"""Files of captured data, from the simulated PandA over real sockets, with both clients."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing, closing
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import pytest

from panda_ioc.capture.errors import CaptureError
from panda_ioc.capture.hdf import HdfFile
from panda_ioc.capture.options import FileOptions
from panda_ioc.capture.pipeline import IncompleteFileError, Writing, WrittenFile, write_files
from panda_ioc.client import AsyncioClient, BlockingClient, PandaTimeoutError
from panda_ioc.protocol import Data, FrameData, GetLine, StartData
from panda_ioc.simulator import Server

from ..acquire import capture_counter, samples_on_arm

COUNTER = "COUNTER1.OUT.Value"

Write = Callable[..., Awaitable[list[WrittenFile]]]


async def with_asyncio(panda: Server, *arguments: Any, **options: Any) -> list[WrittenFile]:
    async with AsyncioClient("127.0.0.1", panda.control_port, panda.data_port) as client:
        async with aclosing(write_files(client, *arguments, **options)) as files, asyncio.timeout(20):
            return [file async for file in files]


async def with_blocking(panda: Server, *arguments: Any, **options: Any) -> list[WrittenFile]:
    def work() -> list[WrittenFile]:
        with BlockingClient("127.0.0.1", panda.control_port, panda.data_port) as client:
            with closing(write_files(client, *arguments, **options)) as files:
                return list(files)

    return await asyncio.wait_for(asyncio.to_thread(work), 20)


@pytest.fixture(params=[with_asyncio, with_blocking])
def write(request: pytest.FixtureRequest) -> Write:
    chosen: Write = request.param
    return chosen


@pytest.fixture
def counting_panda(panda: Server) -> Server:
    capture_counter(panda)
    samples_on_arm(panda, 1000)
    return panda


def counts(path: Path) -> list[float]:
    with h5py.File(path) as file:
        values: list[float] = file[COUNTER][()].tolist()
    return values


async def test_a_file_for_each_acquisition(counting_panda: Server, write: Write, tmp_path: Path) -> None:
    files = await write(counting_panda, tmp_path / "scan_%03d.h5", arm=True, count=3)
    assert [file.path.name for file in files] == ["scan_001.h5", "scan_002.h5", "scan_003.h5"]
    assert sorted(tmp_path.iterdir()) == [file.path for file in files]
    for file in files:
        assert file == WrittenFile(file.path, 1000, 1, 0, "Ok")
        assert counts(file.path) == list(range(1000))


async def test_all_in_one(counting_panda: Server, write: Write, tmp_path: Path) -> None:
    (file,) = await write(counting_panda, str(tmp_path / "all.h5"), arm=True, count=3)
    assert (file.samples, file.acquisitions) == (3000, 3)
    assert counts(file.path) == [*range(1000)] * 3


async def test_paths_of_their_own(counting_panda: Server, write: Write, tmp_path: Path) -> None:
    names = [tmp_path / "a.h5", tmp_path / "b.h5"]
    with pytest.raises(CaptureError, match="no file path left"):
        await write(counting_panda, names, arm=True, count=3)
    assert [counts(path) for path in names] == [[*range(1000)]] * 2
    assert await completion(counting_panda) != "Busy"


class EveryOther:
    """A stage that drops every second sample and sees the ends of acquisitions."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, data: Data) -> Iterable[Data]:
        if isinstance(data, FrameData):
            yield FrameData(data.data[::2])
        else:
            self.seen.append(type(data).__name__)
            yield data


async def test_stages_of_ones_own(counting_panda: Server, write: Write, tmp_path: Path) -> None:
    first, second = EveryOther(), EveryOther()
    made = partial(HdfFile, options=FileOptions(rows_per_chunk=100, attributes={"beamline": "i22"}))
    writing = Writing(stages=(first, second), make_file=made, flush_period=0)
    (file,) = await write(counting_panda, tmp_path / "x.h5", writing, arm=True)
    assert len(counts(file.path)) == file.samples > 200
    assert first.seen == second.seen == ["ReadyData", "StartData", "EndData"]
    with h5py.File(file.path) as opened:
        assert opened.attrs["beamline"] == "i22"


async def test_columns_of_ones_own(counting_panda: Server, write: Write, tmp_path: Path) -> None:
    from panda_ioc.capture.columns import stored_columns

    def columns(start: StartData) -> list[Any]:
        return [column for column in stored_columns(start) if column.name == COUNTER]

    (file,) = await write(counting_panda, tmp_path / "x.h5", Writing(columns=columns), arm=True)
    with h5py.File(file.path) as opened:
        assert [name for name, item in opened.items() if isinstance(item, h5py.Dataset)] == [COUNTER]


async def test_an_end_that_is_not_good(counting_panda: Server, write: Write, tmp_path: Path) -> None:
    samples_on_arm(counting_panda, 1000, "Data overrun")
    with pytest.raises(IncompleteFileError, match=r"x.h5: the acquisition ended with: Data overrun") as caught:
        await write(counting_panda, tmp_path / "x.h5", arm=True, count=2)
    assert (caught.value.file.samples, caught.value.file.end_reason) == (1000, "Data overrun")
    with h5py.File(tmp_path / "x.h5") as file:
        assert b"Data overrun" in file.attrs["end_reason"]
    (both,) = await write(counting_panda, tmp_path / "both.h5", Writing(strict=False), arm=True, count=2)
    assert (both.samples, both.acquisitions) == (2000, 2)
    assert "Data overrun" in str(both.error)


async def test_a_loss_in_the_middle(counting_panda: Server, write: Write, tmp_path: Path) -> None:
    samples_on_arm(counting_panda, 1000, "")
    with pytest.raises(IncompleteFileError, match="the acquisition was lost: .* sent nothing for 0.3 s") as caught:
        await write(counting_panda, tmp_path / "x.h5", arm=True, timeout=0.3)
    assert caught.value.file.samples == 1000
    assert counts(tmp_path / "x.h5") == list(range(1000))
    assert await completion(counting_panda) == "Disarmed"
    with pytest.raises(PandaTimeoutError):
        await write(counting_panda, tmp_path / "y.h5", timeout=0.1)
    assert not (tmp_path / "y.h5").exists()


async def test_a_file_that_cannot_be_made_arms_nothing(counting_panda: Server, write: Write, tmp_path: Path) -> None:
    samples_on_arm(counting_panda, 1000, "")
    before = await completion(counting_panda)
    (tmp_path / "there.h5").touch()
    for path in (tmp_path / "there.h5", tmp_path / "no" / "x.h5"):
        with pytest.raises(CaptureError, match="cannot create"):
            await write(counting_panda, path, arm=True)
    assert await completion(counting_panda) == before
    assert (tmp_path / "there.h5").stat().st_size == 0


async def test_a_file_is_kept_that_no_acquisition_replaces(
    counting_panda: Server, write: Write, tmp_path: Path
) -> None:
    path = tmp_path / "x.h5"
    path.write_text("precious")
    writing = Writing(make_file=partial(HdfFile, options=FileOptions(overwrite=True), empty=False))
    with pytest.raises(PandaTimeoutError):
        await write(counting_panda, path, writing, timeout=0.2)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


async def test_who_stops_in_the_middle_has_what_came(counting_panda: Server, tmp_path: Path) -> None:
    samples_on_arm(counting_panda, 1000, "")
    seen = asyncio.Event()

    def notice(data: Data) -> Iterable[Data]:
        if isinstance(data, FrameData):
            loop.call_soon_threadsafe(seen.set)
        yield data

    loop = asyncio.get_running_loop()
    writing = asyncio.create_task(with_asyncio(counting_panda, tmp_path / "x.h5", Writing(stages=[notice]), arm=True))
    await asyncio.wait_for(seen.wait(), 10)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert counts(tmp_path / "x.h5") == list(range(1000))
    with h5py.File(tmp_path / "x.h5") as file:
        assert b"Capture stopped" in file.attrs["end_reason"]
    assert await completion(counting_panda) == "Disarmed"


@pytest.mark.parametrize("name", ["%d_%d.h5", "%3d-%04d"])
def test_a_name_that_is_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="more than one number"):
        write_files(BlockingClient("127.0.0.1"), tmp_path / name)


async def completion(panda: Server) -> str:
    async with AsyncioClient("127.0.0.1", panda.control_port) as client:
        return await client.send(GetLine("*PCAP.COMPLETION"))
