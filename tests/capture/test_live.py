"""The live view: the latest samples, in units, against time."""

from collections.abc import Iterable
from functools import partial

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.capture.acquisition import follow
from panda_ioc.capture.live import LiveView, Snapshot
from panda_ioc.protocol import Data, FieldCapture, FrameData, StartData

from .. import samples
from .recorded import events


def shown(view: LiveView) -> Snapshot:
    what = view.window()
    assert what
    return what.snapshot()


def take(view: LiveView, data: Iterable[Data]) -> None:
    """Feed it the events."""
    acquisition = None
    for each in data:
        acquisition = follow(acquisition, each)
        if acquisition is not None:
            view.process(each, acquisition)


def test_nothing_before_the_first_acquisition() -> None:
    assert LiveView().window() is None


@given(st.lists(st.integers(1, 50), min_size=1, max_size=10), st.integers(1, 120))
def test_the_last_samples_however_they_came(sizes: list[int], points: int) -> None:
    view = LiveView(points)
    total = sum(sizes)
    data = samples.rows(total)
    take(view, events(b"OK\n" + samples.acquisition(*np.split(data, np.cumsum(sizes)[:-1]))))
    snapshot = shown(view)
    numbers = np.arange(max(total - points, 0), total)
    trace = snapshot.by_field()["COUNTER1.OUT"]
    np.testing.assert_array_equal(trace.values, 0.5 * (1000 - numbers) + 10)
    assert trace.field.units == "mm"
    np.testing.assert_array_equal(snapshot.by_field()["PCAP.BITS0"].values, numbers.astype(np.uint32))
    np.testing.assert_allclose(snapshot.time, numbers * 1e-4)
    assert (snapshot.time_source, snapshot.samples) == ("PCAP.TS_TRIG", total)
    assert trace.statistics.last == trace.values[-1]
    assert trace.statistics.mean == trace.values.mean()
    assert (trace.statistics.minimum, trace.statistics.maximum) == (trace.values.min(), trace.values.max())


def test_without_time_stamps_against_the_number() -> None:
    fields = tuple(FieldCapture("INENC1.VAL", capture, "int32", 1.0, 0.0, "mm") for capture in ("Min", "Max", "Value"))
    start = StartData(fields, 0, "Raw", 12)
    view = LiveView(3)
    take(view, [start, *(FrameData(np.array([(1, 2, number)], start.dtype)) for number in range(5))])
    snapshot = shown(view)
    assert snapshot.time.tolist() == [2, 3, 4]
    assert snapshot.time_source == ""
    assert snapshot.by_field()["INENC1.VAL"].values.tolist() == [2, 3, 4]
    assert len(snapshot.traces) == 3


def test_fewer_or_more_points() -> None:
    view = LiveView(100)
    take(view, events(b"OK\n" + samples.acquisition(samples.rows(60), samples.rows(60, 60))))
    version = view.version
    view.points = 10
    assert view.version > version
    assert len(shown(view).time) == 10
    view.points = 1000
    assert len(shown(view).time) == 60


def test_an_acquisition_without_samples_yet() -> None:
    view = LiveView()
    _, start, *_ = events(b"OK\n" + samples.acquisition())
    take(view, [start])
    snapshot = shown(view)
    assert len(snapshot.time) == 0
    assert np.isnan(snapshot.by_field()["COUNTER1.OUT"].statistics.mean)


def test_what_the_panda_added_is_not_shown() -> None:
    """With only StdDev, raw data also have the gate and the mean."""
    gate = 2**31 + 8
    fields = (
        FieldCapture("PCAP.GATE_DURATION", "Value", "int32", 8e-9, 0.0, "s"),
        FieldCapture("INENC1.VAL", "Mean", "int64", 1.0, 0.0),
        FieldCapture("INENC1.VAL", "StdDev", "int96", 1.0, 0.0),
    )
    start = StartData(fields, 0, "Raw", 24)
    frame = np.array([(np.uint32(gate).astype(np.int32), 0, (9 * gate & 0xFFFFFFFF, 9 * gate >> 32, 0))], start.dtype)
    for asked, shows in (
        ({"INENC1.VAL.StdDev"}, {"INENC1.VAL": 3.0}),
        (None, {"INENC1.VAL": 0.0, "PCAP.GATE_DURATION": gate * 8e-9}),
    ):
        view = LiveView(10, partial(frozenset[str], asked) if asked else lambda: None)
        take(view, [start, FrameData(frame)])
        found = {name: trace.statistics.last for name, trace in shown(view).by_field().items()}
        assert found == shows
