"""Columns: raw data that are scaled here equal the scaled data of the server."""

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
from panda_ioc.capture.int128 import variance_numerator
from panda_ioc.capture.options import ColumnOptions
from panda_ioc.protocol import Data, FieldCapture, FrameData, StartData

from .. import samples
from .recorded import RAW, events, scaled_twin


def acquisitions(recorded: list[Data]) -> list[tuple[StartData, Frame]]:
    """Yield the start of each acquisition with all its samples."""
    found: list[tuple[StartData, list[Frame]]] = []
    for data in recorded:
        if isinstance(data, StartData):
            found.append((data, []))
        elif isinstance(data, FrameData):
            found[-1][1].append(data.data)
    return [(start, np.concatenate(frames) if frames else np.empty(0, start.dtype)) for start, frames in found]


def values(start: StartData, frame: Frame, options: ColumnOptions | None = None) -> dict[str, npt.NDArray[np.generic]]:
    stored = {}
    for column in stored_columns(start, options):
        stored[column.field.column] = np.empty((len(frame), *column.shape), column.dtype)
        column.fill(frame, stored[column.field.column])
    return stored


@pytest.mark.skipif(not RAW, reason="needs the recordings")
@pytest.mark.parametrize("raw", RAW, ids=lambda path: path.name.partition(".")[0])
def test_scaled_here_equals_scaled_there(raw: Path) -> None:
    here, there = acquisitions(events(raw.read_bytes())), acquisitions(events(scaled_twin(raw).read_bytes()))
    assert len(here) == len(there)
    for (raw_start, raw_frame), (scaled_start, scaled_frame) in zip(here, there, strict=True):
        ours = values(raw_start, raw_frame, ColumnOptions(asked=frozenset(scaled_start.dtype.names or ())))
        theirs = values(scaled_start, scaled_frame)
        assert set(ours) == set(theirs)
        for name, column in theirs.items():
            assert ours[name].dtype == column.dtype, name
            np.testing.assert_array_equal(ours[name], column, err_msg=name)


def test_raw_columns_are_the_integers_that_came() -> None:
    ((start, frame),) = acquisitions(events(b"OK\n" + samples.acquisition(samples.rows(10))))
    stored = values(start, frame, ColumnOptions(raw=True))
    assert {name: str(column.dtype) for name, column in stored.items()} == {
        "PCAP.GATE_DURATION.Value": "uint32",
        "PCAP.BITS0.Value": "uint32",
        "COUNTER1.OUT.Value": "int32",
        "PCAP.TS_TRIG.Value": "int64",
        "INENC1.VAL.Mean": "int64",
    }
    for name, column in stored.items():
        np.testing.assert_array_equal(column, samples.rows(10)[name])


def named(start: StartData, names: dict[str, str], *, nexus: bool = False) -> list[str]:
    return [column.name for column in stored_columns(start, ColumnOptions(names, nexus=nexus))]


def test_names_that_people_gave() -> None:
    fields = tuple(FieldCapture("INENC1.VAL", capture, "int32", 1.0, 0.0, "mm") for capture in ("Value", "Min", "Max"))
    start = StartData(fields, 0, "Raw", 12)
    assert named(start, {"INENC1.VAL": "x"}) == ["x", "x-min", "x-max"]
    assert named(start, {}) == ["INENC1.VAL.Value", "INENC1.VAL.Min", "INENC1.VAL.Max"]
    other = replace(start, fields=(fields[0], replace(fields[0], name="INENC2.VAL")), sample_bytes=8)
    with pytest.raises(CaptureError, match="two columns are called 'x'"):
        named(other, {"INENC1.VAL": "x", "INENC2.VAL": "x"})
    for bad in ("acquisitions", "a/b", "..", "\0"):
        with pytest.raises(CaptureError, match="invalid dataset name"):
            named(start, {"INENC1.VAL": bad})


def test_names_for_nexus() -> None:
    fields = tuple(FieldCapture("INENC1.VAL", capture, "int32", 1.0, 0.0, "mm") for capture in ("Value", "Min"))
    start = StartData(fields, 0, "Raw", 8)
    for name, called in {"x": ["x", "x_min"], "Δ x-1": ["__x_1", "__x_1_min"], ".a.": ["_a_", "_a._min"]}.items():
        assert named(start, {"INENC1.VAL": name}, nexus=True) == called
    assert named(start, {}, nexus=True) == ["INENC1.VAL.Value", "INENC1.VAL.Min"]
    with pytest.raises(CaptureError, match="'x+_min' is too long for NeXus: use up to 63 characters"):
        named(start, {"INENC1.VAL": "x" * 60}, nexus=True)
    other = replace(start, fields=(fields[0], replace(fields[0], name="INENC2.VAL")))
    with pytest.raises(CaptureError, match="two columns are called 'a_b'"):
        named(other, {"INENC1.VAL": "a-b", "INENC2.VAL": "a b"}, nexus=True)


GATE, SUM, SQUARES = (
    FieldCapture("PCAP.GATE_DURATION", "Value", "int32", 8e-9, 0.0, "s"),
    FieldCapture("A.B", "Mean", "int64", 2.0, 0.5, "mm"),
    FieldCapture("A.B", "StdDev", "int96", 2.0, 0.5, "mm"),
)
DEVIATION = StartData((GATE, SUM, SQUARES), 0, "Raw", 24)


def sample(gate: int, total: int, squares: int) -> Frame:
    words = [squares >> shift & 0xFFFFFFFF for shift in (0, 32, 64)]
    return np.array([(np.uint32(gate).astype(np.int32), total, words)], DEVIATION.dtype)


def test_a_gate_of_17_seconds_or_more() -> None:
    """GATE_DURATION is negative there if it is read as int32, as the header states."""
    gate = 2**31 + 8
    frame = sample(gate, 12345 * gate, (12345**2 + 9) * gate)
    stored = values(DEVIATION, frame)
    assert stored["PCAP.GATE_DURATION.Value"] == gate * 8e-9
    assert stored["A.B.Mean"] == 24690.5
    assert stored["A.B.StdDev"] == 6.0
    assert values(DEVIATION, frame, ColumnOptions(raw=True))["PCAP.GATE_DURATION.Value"] == gate


@pytest.mark.parametrize(("gate", "total", "squares"), [(0, 0, 0), (0, 5, 0), (0, -5, 25)])
def test_a_gate_that_was_never_high_has_no_mean(gate: int, total: int, squares: int) -> None:
    stored = values(DEVIATION, sample(gate, total, squares))
    assert np.isnan(stored["A.B.Mean"])
    assert np.isnan(stored["A.B.StdDev"])


def test_squares_that_no_samples_have_are_no_deviation() -> None:
    assert np.isnan(values(DEVIATION, sample(3, 10, 33))["A.B.StdDev"])


@pytest.mark.parametrize(
    ("asked", "scaled"),
    [
        ({"A.B.StdDev"}, ["A.B.StdDev"]),
        ({"A.B.StdDev", "A.B.Mean"}, ["A.B.Mean", "A.B.StdDev"]),
        ({"A.B.StdDev", "PCAP.GATE_DURATION.Value"}, ["PCAP.GATE_DURATION.Value", "A.B.StdDev"]),
        (None, ["PCAP.GATE_DURATION.Value", "A.B.Mean", "A.B.StdDev"]),
        # Selections that do not fit the acquisition: another client has just changed them.
        ({"A.B.Value"}, ["PCAP.GATE_DURATION.Value", "A.B.Mean", "A.B.StdDev"]),
        ({"A.B.StdDev", "C.D.Value"}, ["PCAP.GATE_DURATION.Value", "A.B.Mean", "A.B.StdDev"]),
    ],
)
def test_what_the_panda_added_is_stored_with_raw_data_only(asked: set[str] | None, scaled: list[str]) -> None:
    options = ColumnOptions(asked=frozenset(asked) if asked else None)
    assert [column.name for column in stored_columns(DEVIATION, options)] == scaled
    raw = stored_columns(DEVIATION, replace(options, raw=True))
    assert [column.name for column in raw] == ["PCAP.GATE_DURATION.Value", "A.B.Mean", "A.B.StdDev"]


def test_only_named_fields_with_what_scales_them() -> None:
    options = ColumnOptions({"A.B": "x"}, only_named=True)
    assert [column.name for column in stored_columns(DEVIATION, options)] == ["x-mean", "x-stddev"]
    raw = stored_columns(DEVIATION, replace(options, raw=True))
    assert [column.name for column in raw] == ["PCAP.GATE_DURATION.Value", "x-mean", "x-stddev"]


def test_bits_as_ophyd_async_declares_them() -> None:
    start = StartData((FieldCapture("PCAP.BITS0", "Value", "uint32"),), 0, "Raw", 4)
    frame = np.array([(0,), (2**32 - 1,)], start.dtype)
    (bits,) = values(start, frame, ColumnOptions(bits="float64")).values()
    assert bits.dtype == np.float64
    assert bits.tolist() == [0.0, 4294967295.0]
    (raw,) = values(start, frame, ColumnOptions(bits="float64", raw=True)).values()
    assert raw.dtype == np.uint32
    with pytest.raises(CaptureError, match="invalid type of bits 'int8': use uint32 or float64"):
        stored_columns(start, ColumnOptions(bits="int8"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            (SQUARES,),
            r"cannot scale A\.B\.StdDev: the PandA did not send A\.B\.Mean and PCAP\.GATE_DURATION\.Value",
        ),
        ((SUM,), r"cannot scale A\.B\.Mean: the PandA did not send PCAP\.GATE_DURATION\.Value"),
        ((GATE, SUM, replace(SQUARES, type="int32")), r"cannot scale A\.B\.StdDev: unexpected type int32 of a StdDev"),
        ((GATE, replace(SUM, type="int96")), r"cannot scale A\.B\.Mean: unexpected type int96 of a Mean"),
    ],
)
def test_columns_that_cannot_be_scaled(fields: tuple[FieldCapture, ...], message: str) -> None:
    start = StartData(fields, 0, "Raw", 0)
    with pytest.raises(CaptureError, match=message):
        stored_columns(start)
    assert len(stored_columns(start, ColumnOptions(raw=True))) == len(fields)


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
        exact = n * q - s * s
        if exact < 0:
            assert np.isnan(result)
            continue
        assert abs(Fraction(float(result)) - exact) <= Fraction(exact, 2**51), (n, s, q, isqrt(exact))
