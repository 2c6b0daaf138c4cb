"""The data connection: any split of the bytes, several acquisitions, and all errors."""

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.protocol import (
    CommandError,
    Data,
    DataConnection,
    EndData,
    EndReason,
    FieldCapture,
    FrameData,
    LocalProtocolError,
    ReadyData,
    RemoteProtocolError,
    StartData,
)

from .. import samples
from ..conftest import SHARED

RECORDED = sorted((SHARED / "recordings" / "data").glob("*.raw.bin")) if SHARED.is_dir() else []


def received(pieces: Iterable[bytes], *, flush_every_frame: bool = True) -> list[Data]:
    connection = DataConnection()
    connection.connect(False)
    return [data for piece in pieces for data in connection.receive_bytes(piece, flush_every_frame)]


def joined(events: list[Data]) -> bytes:
    return b"".join(event.data.tobytes() for event in events if isinstance(event, FrameData))


def chunks(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted({cut % len(data) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in zip(places, places[1:], strict=False) if start < end]


def test_options() -> None:
    assert DataConnection().connect(False) == b"XML FRAMED RAW\n"
    connection = DataConnection()
    assert connection.connect(scaled=True) == b"XML FRAMED SCALED\n"
    with pytest.raises(LocalProtocolError):
        connection.connect(True)
    with pytest.raises(LocalProtocolError):
        list(DataConnection().receive_bytes(b"OK\n"))


def test_an_acquisition() -> None:
    data = samples.rows(5)
    ready, start, frame, end = received([b"OK\n" + samples.acquisition(data)])
    assert isinstance(ready, ReadyData)
    assert isinstance(start, StartData)
    assert start.dtype == samples.DTYPE
    assert start.arm_time == "2026-11-22T07:08:02.609244246Z"
    assert (start.missed, start.process, start.sample_bytes, start.hw_time_offset_ns) == (0, "Raw", 28, None)
    assert start.fields[1] == FieldCapture("PCAP.BITS0", "Value", "uint32")
    assert start.fields[2] == FieldCapture("COUNTER1.OUT", "Value", "int32", 0.5, 10.0, "mm")
    assert start.fields[4].units == ""
    assert [field.dtype for field in start.fields] == ["<i4", "<u4", "<i4", "<i8", "<i8"]
    assert [field.has_scale_or_offset for field in start.fields] == [True, False, True, True, True]
    assert start.format == "Framed"
    assert isinstance(frame, FrameData)
    assert np.array_equal(frame.data, data)
    assert not frame.data.flags.writeable
    assert frame.column_names == tuple(field.column for field in start.fields)
    assert end == EndData(5, EndReason.OK)


@given(st.lists(st.integers(1, 40), max_size=6), st.lists(st.integers(0, 100_000)), st.booleans())
def test_any_split_of_the_bytes_gives_the_same_samples(sizes: list[int], cuts: list[int], flush: bool) -> None:
    frames = [samples.rows(size, number * 100) for number, size in enumerate(sizes)]
    data = b"OK\n" + samples.acquisition(*frames) + samples.acquisition(reason="Disarmed")
    events = received(chunks(data, cuts), flush_every_frame=flush)
    assert joined(events) == b"".join(frame.tobytes() for frame in frames)
    kinds = [type(event) for event in events if not isinstance(event, FrameData)]
    assert kinds == [ReadyData, StartData, EndData, StartData, EndData]
    assert sum(isinstance(event, FrameData) for event in events) == (len(frames) if flush else min(len(frames), 1))


def test_frames_are_put_together_until_they_are_flushed() -> None:
    connection = DataConnection()
    connection.connect(False)
    list(connection.receive_bytes(b"OK\n" + samples.HEADER))
    assert list(connection.flush()) == []
    for number in range(3):
        assert list(connection.receive_bytes(samples.frame(samples.rows(2, number * 2)), False)) == []
    (flushed,) = connection.flush()
    assert np.array_equal(flushed.data, samples.rows(6))
    list(connection.receive_bytes(samples.frame(samples.rows(1)), False))
    (both,) = connection.receive_bytes(samples.frame(samples.rows(1, 1)))
    assert isinstance(both, FrameData)
    assert np.array_equal(both.data, samples.rows(2))


def test_what_is_not_flushed_is_bounded() -> None:
    frame = samples.frame(samples.rows(20000))
    events = received([b"OK\n" + samples.HEADER, *[frame] * 40], flush_every_frame=False)
    flushed = [event for event in events if isinstance(event, FrameData)]
    assert len(flushed) == 2


def test_arrays_stay_as_they_are_while_more_arrives() -> None:
    connection = DataConnection()
    connection.connect(False)
    list(connection.receive_bytes(b"OK\n" + samples.HEADER))
    kept = []
    for number in range(300):
        (frame,) = connection.receive_bytes(samples.frame(samples.rows(1000, number * 1000)))
        assert isinstance(frame, FrameData)
        kept.append(frame.data)
    assert np.array_equal(np.concatenate(kept), samples.rows(300_000))


def test_a_buffer_to_receive_into() -> None:
    data = b"OK\n" + samples.acquisition(samples.rows(300_000))
    connection = DataConnection()
    connection.connect(False)
    events: list[Data] = []
    while data:
        buffer = connection.get_buffer()
        count = min(len(buffer), len(data), 100_000)
        assert len(buffer) >= 65536
        buffer[:count] = data[:count]
        events += connection.buffer_updated(count)
        data = data[count:]
    assert joined(events) == samples.rows(300_000).tobytes()


@given(st.lists(st.integers(1, 700), max_size=60), st.lists(st.integers(0, 100_000)), st.integers(1, 200))
def test_frames_merged_a_few_at_a_time_give_the_same_samples(sizes: list[int], cuts: list[int], limit: int) -> None:
    frames = [samples.rows(size, number * 1000) for number, size in enumerate(sizes)]
    connection = DataConnection()
    connection.connect(False)
    events: list[Data] = []
    for piece in chunks(b"OK\n" + samples.acquisition(*frames) + samples.acquisition(*frames[:3]), cuts):
        connection.get_buffer()[: len(piece)] = piece
        events += connection.buffer_updated(len(piece), limit=limit, merge=True)
        while connection.pending:
            events += connection.parse_pending(limit=limit, merge=True)
    assert joined(events) == b"".join(frame.tobytes() for frame in (*frames, *frames[:3]))
    ends = [event.samples for event in events if isinstance(event, EndData)]
    assert ends == [sum(sizes), sum(sizes[:3])]


def test_small_frames_that_came_together_are_merged_and_parsed_up_to_a_limit() -> None:
    connection = DataConnection()
    connection.connect(False)
    frame = samples.frame(samples.rows(1))
    data = b"OK\n" + samples.HEADER + frame * 3000 + samples.frame(samples.rows(5000)) + b"END 8000 Ok\n"
    connection.get_buffer()[: len(data)] = data
    events = list(connection.buffer_updated(len(data), limit=66, merge=True))
    assert [type(event) for event in events] == [ReadyData, StartData, FrameData]
    assert connection.pending
    events += connection.parse_pending(merge=True)
    assert [len(event.data) for event in events if isinstance(event, FrameData)] == [1024, 1024, 952, 5000]
    assert not connection.pending


def test_all_is_parsed_before_the_end_of_stream() -> None:
    connection = DataConnection()
    connection.connect(False)
    data = b"OK\n" + samples.acquisition(*[samples.rows(1)] * 50)
    connection.get_buffer()[: len(data)] = data
    assert len(list(connection.buffer_updated(len(data), limit=10))) == 2
    events = connection.buffer_updated(0, limit=10)
    assert sum(isinstance(event, FrameData) for event in itertools.islice(events, 51)) == 50
    with pytest.raises(RemoteProtocolError, match="closed the data port$"):
        next(events)


@pytest.mark.parametrize("reason", [*EndReason, "Eaten by a dragon", "x" * 200])
def test_every_reason(reason: str) -> None:
    end = received([b"OK\n" + samples.acquisition(samples.rows(2), reason=reason)])[-1]
    assert end == EndData(2, reason)
    assert isinstance(end, EndData)
    assert end.good == (reason in {"Ok", "Disarmed"})


def test_refused_options() -> None:
    with pytest.raises(CommandError, match="Invalid options"):
        received([b"ERR Invalid options\n"])


XML = samples.HEADER.decode()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"HTTP/1.1 400\r\n", "HTTP/1.1 400"),
        (b"x" * 5000, "without b'\\n'"),
        (b"OK\n" + b"x" * 2_000_000, "without b'</header>"),
        (b"OK\n<header></header>\n\n", "<data> is missing"),
        (b"OK\n<header><data></header>\n\n", "mismatched tag"),
        (b"OK\n" + XML.replace("int64", "int128").encode(), "'int128'"),
        (b"OK\n" + XML.replace('"28"', '"32"').encode(), "have 28 bytes, its samples 32 bytes"),
        (b"OK\n" + XML.replace('"28"', '"many"').encode(), "'many'"),
        (b"OK\n" + XML.replace('missed="0"', 'missed="-9999"').encode(), "missed is -9999, not between 0"),
        (b"OK\n" + XML.replace('missed="0"', f'missed="{10**19}"').encode(), "not between 0"),
        (b"OK\n" + XML.replace('missed="0"', f'missed="0" hw_time_offset_ns="{10**19}"').encode(), "not between -"),
        (b"OK\n" + XML.replace('scale="0.5"', 'scale="half"').encode(), "half"),
        (b"OK\n" + XML.replace(' name="COUNTER1.OUT"', "").encode(), "name"),
        (b"OK\n" + XML.replace("COUNTER1.OUT", "PCAP.BITS0").encode(), "PCAP.BITS0"),
        (b'OK\n<!DOCTYPE x [<!ENTITY a "b">]><header>&a;</header>\n\n', "declarations"),
        (b"OK\n" + samples.HEADER + b"BIN \x0c\x00\x00\x00abcd", "not a whole number of samples"),
        (b"OK\n" + samples.HEADER + b"BIN \xff\xff\xff\xff", "not a whole number of samples"),
        (b"OK\n" + samples.HEADER + b"BIN \x08\x00\x00\x00", "not a whole number of samples"),
        (b"OK\n" + samples.HEADER + b"BINARY nonsense\n", "BINARY nonsense"),
        (b"OK\n" + samples.HEADER + b"END many Ok\n", "END many Ok"),
        (b"OK\n" + samples.HEADER + b"x" * 3000, "without b'\\n'"),
        (b"OK\n<header><data/><fields>" + b"<field/>" * 1025 + b"</fields></header>\n\n", "1025 columns, over 1024"),
    ],
)
def test_what_makes_no_sense_is_named(data: bytes, named: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        received([data])
    assert named in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("data", "within"),
    [
        (b"", False),
        (b"O", False),
        (b"OK\n", False),
        (b"OK\n" + samples.HEADER[:100], True),
        (b"OK\n" + samples.HEADER, True),
        (b"OK\n" + samples.HEADER + samples.frame(samples.rows(3))[:50], True),
        (b"OK\n" + samples.acquisition(samples.rows(3)), False),
    ],
)
def test_the_end_of_the_stream_is_an_error(data: bytes, within: bool) -> None:
    with pytest.raises(RemoteProtocolError, match="the server closed the data port") as caught:
        received([data, b""] if data else [b""])
    assert ("during an acquisition" in str(caught.value)) == within


@given(st.binary(max_size=400), st.sampled_from([b"", b"OK\n", b"OK\n" + samples.HEADER]))
def test_any_bytes_at_all_give_data_or_the_documented_errors(data: bytes, before: bytes) -> None:
    try:
        received([before, data])
    except (RemoteProtocolError, CommandError, LocalProtocolError):
        pass


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
@pytest.mark.parametrize("step", [1, 13, 4096, 10**7])
def test_recorded_acquisitions(path: Path, step: int) -> None:
    for file in (path, path.with_name(path.name.replace(".raw.", ".scaled."))):
        data = file.read_bytes()
        events = received(data[start : start + step] for start in range(0, len(data), step))
        ends = [event for event in events if isinstance(event, EndData)]
        rows = sum(len(event.data) for event in events if isinstance(event, FrameData))
        assert rows == sum(end.samples for end in ends)
        assert len(ends) == data.count(b"\n</header>")
    starts = [event for event in events if isinstance(event, StartData)]
    assert (starts[0].hw_time_offset_ns is not None) == path.name.startswith("hardware-time")
    if path.name.startswith("escaped"):
        assert starts[0].fields[0].units == "<m&\"'>°"
