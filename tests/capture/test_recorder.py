"""A capture from its first sample to its closed file, with disks that are slow, full or not there."""

import asyncio
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import pytest

from panda_ioc.capture.columns import stored_columns
from panda_ioc.capture.errors import CaptureError
from panda_ioc.capture.hdf import HdfFile
from panda_ioc.capture.options import ColumnOptions
from panda_ioc.capture.recorder import LOST, Recorder, Storing
from panda_ioc.capture.selection import MODES
from panda_ioc.client import PandaConnectionError
from panda_ioc.protocol import Data, EndData, FrameData, StartData

from .. import samples
from ..conftest import until
from .recorded import events


def acquisition(rows: int, *, reason: str = "Ok") -> list[Data]:
    _, *data = events(b"OK\n" + samples.acquisition(samples.rows(rows), reason=reason))
    return data


def recorder(path: Path, mode: str = "FOREVER", count: int = 0, **storing: object) -> Recorder:
    return Recorder(Storing(lambda: HdfFile(path), **storing), MODES[mode](count))  # type: ignore[arg-type]


async def closed(capture: Recorder) -> None:
    assert await capture.wait_closed(10)


def numbers(path: Path) -> list[int]:
    with h5py.File(path, swmr=True) as file:
        return [int(number) for number in file["PCAP.BITS0.Value"][:]]


def ends(path: Path) -> tuple[str, list[str]]:
    """Why a capture ended, as its file says, and each of its acquisitions."""
    with h5py.File(path, swmr=True) as file:
        reasons = file["acquisitions/end_reason"][:] if "acquisitions" in file else []
        return file.attrs["end_reason"].decode(), [reason.decode() for reason in reasons]


async def test_an_acquisition(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5", "FIRST_N")
    for data in acquisition(100):
        capture.take(data)
    await closed(capture)
    assert (capture.received, capture.writer.flushed, capture.writer.dropped) == (100, 100, 0)
    assert (capture.acquisitions, capture.end_reason, capture.error) == (1, "Ok", None)
    assert numbers(tmp_path / "x.h5") == list(range(100))


async def test_several_acquisitions_until_it_is_stopped(tmp_path: Path) -> None:
    capture = recorder(
        tmp_path / "x.h5", columns=partial(stored_columns, options=ColumnOptions(names={"COUNTER1.OUT": "position"}))
    )
    for data in [*acquisition(100), *acquisition(50, reason="Disarmed"), *acquisition(20)[:-1]]:
        capture.take(data)
    assert not capture.finished
    capture.finish()
    await closed(capture)
    assert capture.error is None
    with h5py.File(tmp_path / "x.h5") as file:
        assert len(file["position"]) == 170
        assert file["acquisitions/samples"][:].tolist() == [100, 50, 20]
        assert file["acquisitions/end_reason"][:].tolist() == [b"Ok", b"Disarmed", b"Capture stopped"]


async def test_as_many_as_were_asked_for(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5", "FIRST_N", 30)
    for data in acquisition(100):
        capture.take(data)
    await closed(capture)
    assert capture.error is None
    assert numbers(tmp_path / "x.h5") == list(range(30))
    last = recorder(tmp_path / "y.h5", "LAST_N", 30)
    for data in acquisition(100):
        last.take(data)
    await closed(last)
    assert numbers(tmp_path / "y.h5") == list(range(70, 100))


async def test_a_flush_on_request(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5", flush_period=1e3)
    for data in acquisition(10)[:-1]:
        capture.take(data)
    assert await asyncio.to_thread(capture.writer.flush, 10)
    assert numbers(tmp_path / "x.h5") == list(range(10))
    capture.finish()
    await closed(capture)
    assert capture.writer.flush(0)


async def test_a_flush_period_of_zero_flushes_each_frame(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5", flush_period=0)
    start, frame, _ = acquisition(10)
    capture.take(start)
    for number in range(1, 4):
        capture.take(frame)
        await until(lambda rows=10 * number: capture.writer.flushed == rows)  # type: ignore[misc]
    capture.finish()
    await closed(capture)


async def test_a_lazy_file_is_made_when_there_is_something_for_it(tmp_path: Path) -> None:
    eager, lazy = recorder(tmp_path / "x.h5"), recorder(tmp_path / "y.h5", lazy=True)
    assert eager.writer.wait_opened(10)
    assert (tmp_path / "x.h5").exists()
    eager.finish()
    lazy.finish()
    await closed(eager)
    await closed(lazy)
    assert not (tmp_path / "y.h5").exists()
    lazy = recorder(tmp_path / "y.h5", "FIRST_N", lazy=True)
    for data in acquisition(5):
        lazy.take(data)
    await closed(lazy)
    assert numbers(tmp_path / "y.h5") == list(range(5))


async def test_what_did_not_fit_is_counted_and_said(tmp_path: Path) -> None:
    disk = threading.Event()

    def make_file() -> HdfFile:
        disk.wait(10)
        return HdfFile(tmp_path / "x.h5")

    _, frame, _ = acquisition(100)
    assert isinstance(frame, FrameData)
    capture = Recorder(Storing(make_file, queue_bytes=6 * frame.data.nbytes), MODES["FOREVER"](0))
    for data in acquisition(1000, reason="Disarmed")[:1]:
        capture.take(data)
    for number in range(8):
        capture.take(FrameData(samples.rows(100, 100 * number)))
    assert 5 * frame.data.nbytes <= capture.writer.queued_bytes <= 6 * frame.data.nbytes
    assert not capture.finished
    disk.set()
    await closed(capture)
    assert (capture.received, capture.writer.dropped, capture.writer.flushed) == (800, 300, 500)
    assert "300 samples did not fit" in str(capture.error)
    assert numbers(tmp_path / "x.h5") == list(range(500))
    assert ends(tmp_path / "x.h5") == (str(capture.error), ["Disk too slow"])


async def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "missing/x.h5")
    await closed(capture)
    assert isinstance(capture.error, CaptureError)
    assert capture.finished
    for data in acquisition(10):
        capture.take(data)
    assert capture.received == 0


async def test_bad_ends_are_errors(tmp_path: Path) -> None:
    overrun = recorder(tmp_path / "x.h5", "FIRST_N")
    for data in acquisition(10, reason="Data overrun"):
        overrun.take(data)
    await closed(overrun)
    assert "Data overrun" in str(overrun.error)
    assert numbers(tmp_path / "x.h5") == list(range(10))
    short = recorder(tmp_path / "y.h5", "FIRST_N")
    start, frame, _ = acquisition(10)
    for data in (start, frame, EndData(12, "Ok")):
        short.take(data)
    await closed(short)
    assert "12 samples, but 10 came" in str(short.error)


async def test_a_connection_that_is_lost(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5")
    for data in acquisition(10)[:-1]:
        capture.take(data)
    capture.finish(PandaConnectionError("lost"), LOST)
    await closed(capture)
    assert str(capture.error) == "lost"
    assert ends(tmp_path / "x.h5") == ("lost", ["Connection lost"])


@pytest.mark.parametrize(
    ("reasons", "error", "told"),
    [
        (["Ok", "Disarmed"], None, "Disarmed"),
        (["Ok"], "lost the data connection", "lost the data connection"),
        (["Data overrun"], None, "the acquisition ended with: Data overrun"),
        (["Data overrun", "Ok"], None, "the acquisition ended with: Data overrun"),
        (["Ok"], "µ" * 300, "µ" * 256),
        ([], "lost the data connection", "lost the data connection"),
    ],
)
async def test_the_file_says_why_the_capture_ended(
    tmp_path: Path, reasons: list[str], error: str | None, told: str
) -> None:
    """Also where its acquisitions ended well, which they still tell."""
    capture = recorder(tmp_path / "x.h5")
    for reason in reasons:
        for data in acquisition(10, reason=reason):
            capture.take(data)
    assert capture.writer.wait_opened(10)
    capture.finish(PandaConnectionError(error) if error else None)
    await closed(capture)
    assert ends(tmp_path / "x.h5") == (told, reasons)


async def test_joining_in_the_middle(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5", "FIRST_N")
    start, frame, end = acquisition(100)
    assert isinstance(start, StartData)
    assert isinstance(frame, FrameData)
    capture.join(start, 40)
    capture.take(FrameData(frame.data[40:]))
    capture.take(end)
    await closed(capture)
    assert (capture.error, capture.missed, capture.received) == (None, 40, 60)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file.attrs["missed"] == 40


async def test_captures_that_change_end_the_file(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5")
    for data in acquisition(10):
        capture.take(data)
    start = acquisition(1)[0]
    assert isinstance(start, StartData)
    capture.take(replace(start, fields=start.fields[:1], sample_bytes=4))
    await closed(capture)
    assert "what is captured has changed" in str(capture.error)
    assert ends(tmp_path / "x.h5") == (str(capture.error), ["Ok"])
    assert numbers(tmp_path / "x.h5") == list(range(10))
