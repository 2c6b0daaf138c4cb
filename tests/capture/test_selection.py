"""The selection for a file: whole acquisitions, in each mode and for any split of the samples."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.capture.acquisition import AcquisitionState, follow
from panda_ioc.capture.errors import CaptureError
from panda_ioc.capture.selection import ENOUGH, MAX_LAST_BYTES, MODES, First, Selection
from panda_ioc.protocol import Data, EndData, FieldCapture, FrameData, StartData

START = StartData((FieldCapture("COUNTER1.OUT", "Value", "int32", 1.0, 0.0),), 2, "Raw", 4)


def acquisition(sizes: Iterable[int], reason: str = "Ok") -> list[Data]:
    frames: list[Data] = []
    first = 0
    for size in sizes:
        frames.append(FrameData(np.arange(first, first + size, dtype="<i4").view(START.dtype)))
        first += size
    return [START, *frames, EndData(first, reason)]


def select(selection: Selection, events: Iterable[Data]) -> tuple[list[Data], list[int]]:
    chosen: list[Data] = []
    acquisition = None
    for data in events:
        if selection.done:
            break
        acquisition = follow(acquisition, data)
        assert acquisition
        chosen.extend(selection.process(data, acquisition))
    numbers = [int(n) for data in chosen if isinstance(data, FrameData) for n in data.data["COUNTER1.OUT.Value"]]
    return [data for data in chosen if not isinstance(data, FrameData)], numbers


@given(st.lists(st.integers(1, 20), max_size=8), st.integers(0, 60))
def test_first(sizes: list[int], count: int) -> None:
    selection = MODES["FIRST_N"](count)
    events, numbers = select(selection, acquisition(sizes) + acquisition([3]))
    total = sum(sizes)
    kept = min(total, count) if count else total
    assert numbers == list(range(kept))
    assert events == [START, EndData(kept, ENOUGH if 0 < count <= total else "Ok")]
    assert selection.done


@given(st.lists(st.integers(1, 20), max_size=8), st.integers(1, 60))
def test_last(sizes: list[int], count: int) -> None:
    selection = MODES["LAST_N"](count)
    events, numbers = select(selection, acquisition(sizes, "Disarmed"))
    total = sum(sizes)
    assert numbers == list(range(max(total - count, 0), total))
    start, end = events
    assert isinstance(start, StartData)
    assert start.missed == 2 + max(total - count, 0)
    assert end == EndData(total, "Disarmed")
    assert selection.done


def test_forever_goes_on_whatever_the_number_is() -> None:
    selection = MODES["FOREVER"](5)
    events, numbers = select(selection, acquisition([4, 4]) + acquisition([2], "Disarmed"))
    assert numbers == [*range(8), 0, 1]
    assert events == [START, EndData(8, "Ok"), START, EndData(2, "Disarmed")]
    assert not selection.done


def test_samples_over_several_acquisitions() -> None:
    selection = First(samples=10)
    events, numbers = select(selection, acquisition([4, 4]) + acquisition([5]))
    assert len(numbers) == 10
    assert events[-1] == EndData(2, ENOUGH)
    assert First(acquisitions=2).done is False
    _, numbers = select(First(acquisitions=2), acquisition([4]) + acquisition([5]) + acquisition([6]))
    assert len(numbers) == 9


def test_last_samples_have_to_fit_into_memory() -> None:
    with pytest.raises(CaptureError, match="NUM_CAPTURE"):
        MODES["LAST_N"](0)
    with pytest.raises(CaptureError, match="32 MiB"):
        select(MODES["LAST_N"](MAX_LAST_BYTES), [START])


@pytest.mark.parametrize("mode", MODES)
def test_begun_in_the_middle_and_stopped_before_the_end(mode: str) -> None:
    selection = MODES[mode](3)
    frame = acquisition([8])[1]
    assert isinstance(frame, FrameData)
    chosen = list(selection.process(FrameData(frame.data[6:]), AcquisitionState(START, 8)))
    chosen += selection.stop("stopped")
    start, samples, end = chosen
    assert isinstance(start, StartData)
    assert isinstance(samples, FrameData)
    assert (start.missed, len(samples.data), end) == (2 + 6, 2, EndData(8, "stopped"))
    assert not list(selection.stop("again"))


@pytest.mark.parametrize(
    ("sent", "came", "captured", "lost"),
    [(10, 10, None, 0), (10, 8, None, 2), (10, 10, 15, 3), (10, 8, 15, 5), (10, 10, 4, 0), (8, 10, None, 0)],
)
def test_what_is_lost_of_an_acquisition(sent: int, came: int, captured: int | None, lost: int) -> None:
    """The samples that the PandA sent or captured, without the 2 that it missed at the start, and the received ones."""
    assert AcquisitionState(START, came, EndData(sent, "Data overrun"), captured).lost == lost
    assert AcquisitionState(START, came).lost == 0
