"""The states of both connections: permitted calls, and no events after an error."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from panda_ioc.protocol import (
    TRANSITIONS,
    Command,
    CommandError,
    ConnectionState,
    ControlConnection,
    Data,
    DataConnection,
    EndData,
    FrameData,
    Get,
    LocalProtocolError,
    ReadyData,
    RemoteProtocolError,
    Request,
    StartData,
    Transition,
)
from panda_ioc.protocol.data import MAX_QUEUED

from .. import samples

GARBAGE = b"BIN \x0c\x00\x00\x00abcd"


def connected(data: bytes = b"") -> DataConnection:
    """A data connection that has received some bytes, and whose events have been consumed."""
    connection = DataConnection()
    connection.connect(False)
    if data:
        list(connection.receive_bytes(data))
    return connection


def test_the_table_ends_where_it_says() -> None:
    for state in (ConnectionState.CLOSED, ConnectionState.ERROR):
        assert not any(before is state for before, _ in TRANSITIONS)
    for state in set(ConnectionState) - {ConnectionState.IDLE, ConnectionState.CLOSED, ConnectionState.ERROR}:
        assert TRANSITIONS[state, Transition.STREAM_ENDED] is ConnectionState.CLOSED
        assert TRANSITIONS[state, Transition.FAILED] is ConnectionState.ERROR


def test_the_states_of_a_data_connection() -> None:
    connection = DataConnection()
    states = [connection.state]
    connection.connect(False)
    states.append(connection.state)
    for piece in (b"OK\n", samples.HEADER, samples.frame(samples.rows(2)), b"END 2 Ok\n"):
        list(connection.receive_bytes(piece))
        states.append(connection.state)
    with pytest.raises(RemoteProtocolError):
        list(connection.receive_bytes(b""))
    states.append(connection.state)
    state = ConnectionState
    assert states == [
        *(state.IDLE, state.NEGOTIATING, state.OPEN, state.ACQUIRING, state.ACQUIRING, state.OPEN, state.CLOSED)
    ]


def test_the_states_of_a_control_connection() -> None:
    closed, broken = ControlConnection(), ControlConnection()
    states = [closed.state]
    closed.receive_bytes(b"")
    assert [*states, closed.state] == [ConnectionState.OPEN, ConnectionState.CLOSED]
    with pytest.raises(RemoteProtocolError):
        broken.receive_bytes(b"HTTP\n")
    assert broken.state is ConnectionState.ERROR
    with pytest.raises(LocalProtocolError, match="the connection failed: .*HTTP"):
        broken.send(Get("A.B"))
    with pytest.raises(LocalProtocolError, match="the connection failed: .*HTTP"):
        broken.receive_bytes(b"OK\n")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"OK\n" + samples.HEADER + GARBAGE, RemoteProtocolError),
        (b"OK\n" + samples.HEADER.replace(b"int64", b"int128"), RemoteProtocolError),
        (b"HTTP/1.1 400\n", RemoteProtocolError),
        (b"ERR Invalid options\n", CommandError),
    ],
)
def test_nothing_is_delivered_after_an_error(data: bytes, error: type[Exception]) -> None:
    connection = connected()
    with pytest.raises(error):
        list(connection.receive_bytes(data))
    assert connection.state is ConnectionState.ERROR
    for more in (b"OK\n", samples.acquisition(samples.rows(3)), b"\n" + samples.frame(samples.rows(3)), b""):
        with pytest.raises(LocalProtocolError, match="the data connection failed"):
            list(connection.receive_bytes(more))
    assert list(connection.events()) == []
    assert list(connection.flush()) == []


def test_what_came_before_an_error_is_given_before_it() -> None:
    connection, got = connected(b"OK\n"), list[Data]()
    frames = samples.frame(samples.rows(2)) + samples.frame(samples.rows(2, 2))
    with pytest.raises(RemoteProtocolError, match="not a whole number of samples"):
        got.extend(connection.receive_bytes(samples.HEADER + frames + GARBAGE, flush_every_frame=False))
    assert [type(data) for data in got] == [StartData, FrameData]
    assert sum(len(data.data) for data in got if isinstance(data, FrameData)) == 4


def test_bytes_are_taken_although_nobody_iterates() -> None:
    connection = connected()
    for piece in (b"OK\n", samples.HEADER, samples.frame(samples.rows(3))):
        connection.receive_bytes(piece)
    ready, start, frame, end = connection.receive_bytes(b"END 3 Ok\n")
    assert (type(ready), type(start), type(frame)) == (ReadyData, StartData, FrameData)
    assert isinstance(frame, FrameData)
    assert np.array_equal(frame.data, samples.rows(3))
    assert end == EndData(3, "Ok")


def test_bytes_in_the_buffer_are_taken_although_nobody_iterates() -> None:
    connection = connected()
    for piece in (b"OK\n", samples.acquisition(samples.rows(2)), samples.acquisition(samples.rows(2, 2))):
        connection.get_buffer()[: len(piece)] = piece
        connection.buffer_updated(len(piece))
    rows = [data.data for data in connection.events() if isinstance(data, FrameData)]
    assert np.array_equal(np.concatenate(rows), samples.rows(4))


def test_who_stops_iterating_misses_nothing() -> None:
    connection = connected()
    seen = [next(iter(connection.receive_bytes(b"OK\n" + samples.acquisition(samples.rows(1)))))]
    seen += list(connection.receive_bytes(samples.acquisition()))
    assert [type(data) for data in seen] == [ReadyData, StartData, FrameData, EndData, StartData, EndData]


def test_what_nobody_takes_is_bounded() -> None:
    connection = connected(b"OK\n" + samples.HEADER)
    frame = samples.frame(samples.rows(300_000))
    with pytest.raises(LocalProtocolError, match="bytes of events are queued"):
        for _ in range(2 * MAX_QUEUED // len(frame)):
            connection.receive_bytes(frame)
    taken = sum(len(data.data) for data in connection.events() if isinstance(data, FrameData))
    assert taken * samples.DTYPE.itemsize > MAX_QUEUED
    connection.receive_bytes(frame)  # and it continues


def test_a_flush_keeps_the_order() -> None:
    connection = connected(b"OK\n" + samples.HEADER)
    connection.receive_bytes(samples.frame(samples.rows(1)))
    connection.receive_bytes(samples.frame(samples.rows(1, 1)), flush_every_frame=False)
    assert list(connection.flush()) == []
    rows = [data.data for data in connection.events() if isinstance(data, FrameData)]
    assert np.array_equal(np.concatenate(rows), samples.rows(2))


def test_arrays_outlive_an_error() -> None:
    connection = connected(b"OK\n" + samples.HEADER)
    (frame,) = connection.receive_bytes(samples.frame(samples.rows(3)))
    with pytest.raises(RemoteProtocolError):
        list(connection.receive_bytes(GARBAGE))
    connection.get_buffer()[:] = b"\xff" * len(connection.get_buffer())
    assert isinstance(frame, FrameData)
    assert np.array_equal(frame.data, samples.rows(3))


@dataclass(frozen=True)
class Wrong(Command[None]):
    """A command with an error in its first round, or in its second."""

    rounds: int
    asks: Any = None

    def conversation(self) -> Any:
        for _ in range(self.rounds):
            yield [Request("A.B?")]
        if self.asks is not None:
            yield self.asks
        raise ZeroDivisionError("a mistake")


@pytest.mark.parametrize("asks", [None, ["A.B?"], [5], 5, [Request("A.B?"), None]])
def test_a_mistake_in_a_command_harms_no_other(asks: Any) -> None:
    connection = ControlConnection()
    before, wrong, after = Get("A.A"), Wrong(1, asks), Get("A.C")
    sent = b"".join(map(connection.send, (before, wrong, after)))
    with pytest.raises((ZeroDivisionError, TypeError, LocalProtocolError)):
        connection.send(Wrong(0, asks))
    assert sent == b"A.A?\nA.B?\nA.C?\n"
    assert connection.receive_bytes(b"OK =1\nOK =2\nOK =3\n") == b""
    first, second, third = connection.responses()
    assert (first, third) == ((before, b"1"), (after, b"3"))
    assert second[0] is wrong
    assert isinstance(second[1], ZeroDivisionError | TypeError | LocalProtocolError)
    assert connection.state is ConnectionState.OPEN
