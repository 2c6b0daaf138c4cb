"""Columns: raw data scaled here is what the server would have sent scaled."""

from dataclasses import replace
from fractions import Fraction
from math import isqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.capture.columns import Frame, stored_columns
from panda_ioc.capture.errors import CaptureError
from panda_ioc.capture.wide import variance_numerator
from panda_ioc.protocol import Data, FieldCapture, FrameData, StartData

from .. import samples
from .recorded import RAW, events, scaled_twin


def acquisitions(recorded: list[Data]) -> list[tuple[StartData, Frame]]:
    """The beginning of each acquisition with all its samples."""
    found: list[tuple[StartData, list[Frame]]] = []
    for data in recorded:
        if isinstance(data, StartData):
            found.append((data, []))
        elif isinstance(data, FrameData):
            found[-1][1].append(data.data)
    return [(start, np.concatenate(frames) if frames else np.empty(0, start.dtype)) for start, frames in found]


def values(
    start: StartData, frame: Frame, *, raw: bool = False, gate_captured: bool = True
) -> dict[str, npt.NDArray[np.generic]]:
    stored = {}
    for column in stored_columns(start, raw=raw, gate_captured=gate_captured):
        stored[column.field.column] = np.empty((len(frame), *column.shape), column.dtype)
        column.fill(frame, stored[column.field.column])
    return stored


@pytest.mark.skipif(not RAW, reason="needs the recordings")
@pytest.mark.parametrize("raw", RAW, ids=lambda path: path.name.partition(".")[0])
def test_scaled_here_equals_scaled_there(raw: Path) -> None:
    here, there = acquisitions(events(raw.read_bytes())), acquisitions(events(scaled_twin(raw).read_bytes()))
    assert len(here) == len(there)
    for (raw_start, raw_frame), (scaled_start, scaled_frame) in zip(here, there, strict=True):
        ours = values(
            raw_start, raw_frame, gate_captured="PCAP.GATE_DURATION.Value" in (scaled_start.dtype.names or ())
        )
        theirs = values(scaled_start, scaled_frame)
        assert set(ours) == set(theirs)
        for name, column in theirs.items():
            assert ours[name].dtype == column.dtype, name
            np.testing.assert_array_equal(ours[name], column, err_msg=name)


def test_raw_columns_are_the_integers_that_came() -> None:
    ((start, frame),) = acquisitions(events(b"OK\n" + samples.acquisition(samples.rows(10))))
    stored = values(start, frame, raw=True)
    assert {name: str(column.dtype) for name, column in stored.items()} == {
        "PCAP.GATE_DURATION.Value": "int32",
        "PCAP.BITS0.Value": "uint32",
        "COUNTER1.OUT.Value": "int32",
        "PCAP.TS_TRIG.Value": "int64",
        "INENC1.VAL.Mean": "int64",
    }
    for name, column in stored.items():
        np.testing.assert_array_equal(column, samples.rows(10)[name])


def test_names_that_people_gave() -> None:
    fields = tuple(FieldCapture("INENC1.VAL", capture, "int32", 1.0, 0.0, "mm") for capture in ("Value", "Min", "Max"))
    start = StartData(fields, 0, "Raw", 12)
    assert [column.name for column in stored_columns(start, {"INENC1.VAL": "x"})] == ["x", "x-min", "x-max"]
    assert [column.name for column in stored_columns(start)] == ["INENC1.VAL.Value", "INENC1.VAL.Min", "INENC1.VAL.Max"]
    other = replace(start, fields=(fields[0], replace(fields[0], name="INENC2.VAL")), sample_bytes=8)
    with pytest.raises(CaptureError, match="two columns are called 'x'"):
        stored_columns(other, {"INENC1.VAL": "x", "INENC2.VAL": "x"})
    for bad in ("acquisitions", "a/b", "..", "\0"):
        with pytest.raises(CaptureError, match="cannot be the name"):
            stored_columns(start, {"INENC1.VAL": bad})


def test_a_deviation_without_its_mean() -> None:
    start = StartData((FieldCapture("INENC1.VAL", "StdDev", "int96", 1.0, 0.0),), 0, "Raw", 12)
    with pytest.raises(CaptureError, match=r"INENC1\.VAL\.StdDev is made of INENC1\.VAL\.Mean"):
        stored_columns(start)


@given(
    st.lists(
        st.tuples(st.integers(1, 2**32 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**96 - 1)),
        min_size=1,
        max_size=5,
    )
)
def test_variance_is_exact_to_the_last_bits(rows: list[tuple[int, int, int]]) -> None:
    count, total, squares = (np.array(column, object) for column in zip(*rows, strict=True))
    words = np.array([[number >> shift & 0xFFFFFFFF for shift in (0, 32, 64)] for number in squares], np.uint32)
    found = variance_numerator(count.astype(np.uint32), total.astype(np.int64), words)
    for result, n, s, q in zip(found, count, total, squares, strict=True):
        exact = max(n * q - s * s, 0)
        assert abs(Fraction(float(result)) - exact) <= Fraction(exact, 2**51), (n, s, q, isqrt(exact))
