"""A capture from its first sample to its closed file, with a slow, full or missing disk."""

import asyncio
import threading
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import pytest

from panda_ioc.capture.acquisition import AcquisitionState, follow
from panda_ioc.capture.columns import stored_columns
from panda_ioc.capture.errors import CaptureError
from panda_ioc.capture.hdf import HdfFile
from panda_ioc.capture.options import ColumnOptions
from panda_ioc.capture.progress import Phase
from panda_ioc.capture.recorder import LOST, FilePlan, Recorder
from panda_ioc.capture.selection import MODES
from panda_ioc.client import PandaConnectionError
from panda_ioc.protocol import Data, EndData, FrameData, StartData

from .. import samples
from ..conftest import until
from .recorded import events


def acquisition(rows: int, *, reason: str = "Ok") -> list[Data]:
    _, *data = events(b"OK\n" + samples.acquisition(samples.rows(rows), reason=reason))
    return data


def recorder(path: Path, mode: str = "FOREVER", count: int = 0, **plan: object) -> Recorder:
    return Recorder(FilePlan(lambda: HdfFile(path), **plan), MODES[mode](count))  # type: ignore[arg-type]


def feed(
    capture: Recorder, data: Iterable[Data], acquisition: AcquisitionState | None = None
) -> AcquisitionState | None:
    """Feed it events in the current acquisition."""
    for each in data:
        acquisition = follow(acquisition, each)
        assert acquisition
        capture.process(each, acquisition)
    return acquisition


async def closed(capture: Recorder) -> None:
    assert await capture.wait_closed(10)


def numbers(path: Path) -> list[int]:
    with h5py.File(path, swmr=True) as file:
        return [int(number) for number in file["PCAP.BITS0.Value"][:]]


def ends(path: Path) -> tuple[str, list[str]]:
    """Return the end reasons of a capture and of its acquisitions from its file."""
    with h5py.File(path, swmr=True) as file:
        reasons = file["acquisitions/end_reason"][:] if "acquisitions" in file else []
        return file.attrs["end_reason"].decode(), [reason.decode() for reason in reasons]


async def test_an_acquisition(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5", "FIRST_N")
    feed(capture, acquisition(100))
    await closed(capture)
    progress = capture.progress
    assert (progress.received, progress.accepted, progress.flushed, progress.dropped) == (100, 100, 100, 0)
    assert (progress.acquisitions, progress.end_reason, progress.error) == (1, "Ok", None)
    assert (progress.phase, progress.queued_bytes, progress.swmr) == (Phase.CLOSED, 0, False)
    assert numbers(tmp_path / "x.h5") == list(range(100))


async def test_several_acquisitions_until_it_is_stopped(tmp_path: Path) -> None:
    capture = recorder(
        tmp_path / "x.h5", columns=partial(stored_columns, options=ColumnOptions(names={"COUNTER1.OUT": "position"}))
    )
    feed(capture, [*acquisition(100), *acquisition(50, reason="Disarmed"), *acquisition(20)[:-1]])
    assert capture.capturing
    capture.finish()
    await closed(capture)
    assert capture.progress.error is None
    with h5py.File(tmp_path / "x.h5") as file:
        assert len(file["position"]) == 170
        assert file["acquisitions/samples"][:].tolist() == [100, 50, 20]
        assert file["acquisitions/end_reason"][:].tolist() == [b"Ok", b"Disarmed", b"Capture stopped"]


async def test_as_many_as_were_asked_for(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5", "FIRST_N", 30)
    feed(capture, acquisition(100))
    await closed(capture)
    assert capture.progress.error is None
    assert numbers(tmp_path / "x.h5") == list(range(30))
    last = recorder(tmp_path / "y.h5", "LAST_N", 30)
    feed(last, acquisition(100))
    await closed(last)
    assert numbers(tmp_path / "y.h5") == list(range(70, 100))


async def test_a_flush_on_request(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5", flush_period=1e3)
    feed(capture, acquisition(10)[:-1])
    assert await capture.flush(10)
    assert numbers(tmp_path / "x.h5") == list(range(10))
    capture.finish()
    await closed(capture)
    assert await capture.flush(0)


async def test_a_flush_period_of_zero_flushes_each_frame(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5", flush_period=0)
    start, frame, _ = acquisition(10)
    begun = feed(capture, [start])
    for number in range(1, 4):
        begun = feed(capture, [frame], begun)
        await until(lambda rows=10 * number: capture.progress.flushed == rows)  # type: ignore[misc]
    capture.finish()
    await closed(capture)


async def test_a_lazy_file_is_made_when_there_is_something_for_it(tmp_path: Path) -> None:
    eager, lazy = recorder(tmp_path / "x.h5"), recorder(tmp_path / "y.h5", lazy=True)
    assert await eager.wait_opened(10)
    assert (tmp_path / "x.h5").exists()
    eager.finish()
    lazy.finish()
    await closed(eager)
    await closed(lazy)
    assert not (tmp_path / "y.h5").exists()
    lazy = recorder(tmp_path / "y.h5", "FIRST_N", lazy=True)
    feed(lazy, acquisition(5))
    await closed(lazy)
    assert numbers(tmp_path / "y.h5") == list(range(5))


async def test_a_full_queue_asks_for_no_more_and_drops_nothing(tmp_path: Path) -> None:
    disk = threading.Event()

    def make_file() -> HdfFile:
        disk.wait(10)
        return HdfFile(tmp_path / "x.h5")

    start, frame, _ = acquisition(100)
    assert isinstance(frame, FrameData)
    assert isinstance(start, StartData)
    beginning = start.memory  # which reports all fields and also counts
    capture = Recorder(FilePlan(make_file, queue_bytes=beginning + 6 * frame.data.nbytes), MODES["FOREVER"](0))
    begun = feed(capture, [start])
    sent = 0
    while not capture.full:
        begun = feed(capture, [FrameData(samples.rows(100, sent))], begun)
        sent += 100
    assert sent == 600
    assert not await capture.wait_room(0.05)
    begun = feed(capture, [FrameData(samples.rows(100, sent)), EndData(sent + 100, "Ok")], begun)
    flushing = asyncio.create_task(capture.flush(10))
    disk.set()
    assert await capture.wait_room(10)
    assert await flushing
    capture.finish()
    await closed(capture)
    progress = capture.progress
    assert (progress.received, progress.dropped, progress.flushed, progress.error) == (700, 0, 700, None)
    assert numbers(tmp_path / "x.h5") == list(range(700))


async def test_whoever_waits_for_room_goes_on_when_the_capture_ends(tmp_path: Path) -> None:
    disk = threading.Event()

    def make_file() -> HdfFile:
        disk.wait(10)
        return HdfFile(tmp_path / "x.h5")

    capture = Recorder(FilePlan(make_file, queue_bytes=1), MODES["FOREVER"](0))
    feed(capture, acquisition(10)[:-1])
    waiting = asyncio.create_task(capture.wait_room(10))
    assert not await capture.wait_room(0.01)
    capture.finish()
    assert await waiting
    disk.set()
    await closed(capture)
    assert numbers(tmp_path / "x.h5") == list(range(10))


async def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "missing/x.h5")
    await closed(capture)
    assert isinstance(capture.progress.error, CaptureError)
    assert not capture.capturing
    feed(capture, acquisition(10))
    assert capture.progress.received == 0


async def test_bad_ends_are_errors(tmp_path: Path) -> None:
    overrun = recorder(tmp_path / "x.h5", "FIRST_N")
    feed(overrun, acquisition(10, reason="Data overrun"))
    await closed(overrun)
    assert "Data overrun" in str(overrun.progress.error)
    assert numbers(tmp_path / "x.h5") == list(range(10))
    short = recorder(tmp_path / "y.h5", "FIRST_N")
    start, frame, _ = acquisition(10)
    feed(short, (start, frame, EndData(12, "Ok")))
    await closed(short)
    assert "12 samples, but 10 were received" in str(short.progress.error)
    assert short.progress.dropped == 2


async def test_a_connection_that_is_lost(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5")
    feed(capture, acquisition(10)[:-1])
    capture.finish(PandaConnectionError("lost"), LOST)
    await closed(capture)
    assert str(capture.progress.error) == "lost"
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
    """Also if its acquisitions ended normally, which the file still shows."""
    capture = recorder(tmp_path / "x.h5")
    for reason in reasons:
        feed(capture, acquisition(10, reason=reason))
    assert await capture.wait_opened(10)
    capture.finish(PandaConnectionError(error) if error else None)
    await closed(capture)
    assert ends(tmp_path / "x.h5") == (told, reasons)


async def test_joining_in_the_middle(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5", "FIRST_N")
    start, frame, end = acquisition(100)
    assert isinstance(start, StartData)
    assert isinstance(frame, FrameData)
    feed(capture, [FrameData(frame.data[40:]), end], AcquisitionState(start, 40))
    await closed(capture)
    progress = capture.progress
    assert (progress.error, progress.missed, progress.received, progress.acquisitions) == (None, 40, 60, 1)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file.attrs["missed"] == 40


async def test_captures_that_change_end_the_file(tmp_path: Path) -> None:
    capture = recorder(tmp_path / "x.h5")
    feed(capture, acquisition(10))
    start = acquisition(1)[0]
    assert isinstance(start, StartData)
    feed(capture, [replace(start, fields=start.fields[:1], sample_bytes=4)])
    await closed(capture)
    assert "the captured fields have changed" in str(capture.progress.error)
    assert ends(tmp_path / "x.h5") == (str(capture.progress.error), ["Ok"])
    assert numbers(tmp_path / "x.h5") == list(range(10))


@pytest.mark.parametrize("mode", MODES)
async def test_settings_that_change_during_an_acquisition_are_for_the_next_one(tmp_path: Path, mode: str) -> None:
    """In mode LAST_N, the columns are written at its end."""
    names = {"COUNTER1.OUT": "before"}
    capture = recorder(
        tmp_path / "x.h5", mode, 10, columns=lambda start: stored_columns(start, ColumnOptions(names=dict(names)))
    )
    start, *rest = acquisition(10)
    state = feed(capture, [start])
    names["COUNTER1.OUT"] = "after"
    feed(capture, rest, state)
    capture.finish()
    await closed(capture)
    assert capture.progress.error is None
    with h5py.File(tmp_path / "x.h5") as file:
        assert "before" in file
        assert "after" not in file


async def test_what_does_not_fit_into_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    """For any data of a PandA, the writer thread does not end with a traceback."""
    capture = recorder(tmp_path / "x.h5")
    start = acquisition(1)[0]
    assert isinstance(start, StartData)
    feed(capture, [replace(start, missed=-(10**30))])
    await closed(capture)
    assert isinstance(capture.progress.error, CaptureError)
    assert "cannot store" in str(capture.progress.error)
    assert "x.h5" in str(capture.progress.error)
