"""The control connection: any split of the bytes, any number of commands, and all errors."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.protocol import (
    COMPLETION,
    ChangeGroup,
    Command,
    CommandError,
    ControlConnection,
    Get,
    GetLine,
    GetMultiline,
    Identify,
    LocalProtocolError,
    Poll,
    Put,
    Raw,
    RemoteProtocolError,
)
from panda_ioc.protocol.control import MAX_REPLY_LINE


def finished(connection: ControlConnection) -> list[tuple[Command[Any], Any]]:
    return list(connection.responses())


def converse(command: Command[Any], replies: bytes) -> Any:
    """Return the response of a command to replies that arrive together."""
    connection = ControlConnection()
    connection.send(command)
    connection.receive_bytes(replies)
    ((_, response),) = finished(connection)
    return response


def test_a_value() -> None:
    connection = ControlConnection()
    assert connection.send(Get("PULSE1.DELAY")) == b"PULSE1.DELAY?\n"
    assert connection.receive_bytes(b"OK =0.1\n") == b""
    assert finished(connection) == [(Get("PULSE1.DELAY"), b"0.1")]


@pytest.mark.parametrize(
    ("command", "replies", "response"),
    [
        (Get("X1.Y"), b"OK =\n", b""),
        (Get("X1.Y"), b"!a\n!b=c\n.\n", [b"a", b"b=c"]),
        (Get("X1.Y"), b".\n", []),
        (Get("X1.Y"), b"!.\n!!\n.\n", [b".", b"!"]),
        (GetLine("X1.UNITS"), "OK =µm\n".encode(), "µm"),
        (GetLine("X1.UNITS"), b"OK =\xff\n", "\ufffd"),
        (GetMultiline("X1.Y"), b"!1\n.\n", ["1"]),
        (Put("X1.Y", "3"), b"OK\n", None),
        (Raw(["X1.Y?"]), b"ERR No such block\n", ["ERR No such block"]),
        (Raw(["X1.Y?"]), b"OK =1\n", ["OK =1"]),
        (Raw(["X1.T<", "1", ""]), b"OK\n", ["OK"]),
        (Raw(["*BLOCKS?"]), b"!A 1\n.\n", ["!A 1", "."]),
    ],
)
def test_replies(command: Command[Any], replies: bytes, response: Any) -> None:
    assert converse(command, replies) == response


def test_a_refusal_names_command_and_reason() -> None:
    error = converse(Put("TTLOUT1.VAL", "nope"), b"ERR Invalid enumeration value\n")
    assert isinstance(error, CommandError)
    assert error.request == "TTLOUT1.VAL=nope"
    assert error.reason == "Invalid enumeration value"
    assert "TTLOUT1.VAL=nope" in str(error)
    assert "Invalid enumeration value" in str(error)


@pytest.mark.parametrize(
    ("command", "replies"),
    [
        (GetLine("A.B"), b"!1\n.\n"),
        (GetMultiline("A.B"), b"OK =1\n"),
        (Get("A.B"), b"OK\n"),
        (Put("A.B", "1"), b"OK =1\n"),
        (Identify(), b"OK =a printer\n"),
    ],
)
def test_a_reply_of_the_wrong_form_harms_only_its_command(command: Command[Any], replies: bytes) -> None:
    connection = ControlConnection()
    connection.send(command)
    connection.send(Get("C.D"))
    connection.receive_bytes(replies + b"OK =2\n")
    (_, first), (_, second) = finished(connection)
    assert isinstance(first, RemoteProtocolError)
    assert second == b"2"


@pytest.mark.parametrize(
    "line",
    [b"HTTP/1.1 400 Bad Request", b"OKAY", b"OK 3", b"ERR", b"", b"SSH-2.0-OpenSSH_9.2", b"\xff\x00", b"ok"],
)
def test_what_is_no_reply_breaks_the_connection_and_is_named(line: bytes) -> None:
    connection = ControlConnection()
    connection.send(Get("A.B"))
    with pytest.raises(RemoteProtocolError) as caught:
        connection.receive_bytes(line + b"\n")
    assert repr(line) in str(caught.value)
    assert not connection.is_open
    ((_, response),) = finished(connection)
    assert isinstance(response, RemoteProtocolError)
    with pytest.raises(LocalProtocolError, match="failed"):
        connection.send(Get("A.B"))


def test_a_line_that_ends_a_list_wrongly_is_named() -> None:
    connection = ControlConnection()
    connection.send(Get("A.B"))
    with pytest.raises(RemoteProtocolError, match="OK"):
        connection.receive_bytes(b"!1\nOK\n")


def test_an_answer_that_was_not_asked_for() -> None:
    with pytest.raises(RemoteProtocolError, match="no command is pending"):
        ControlConnection().receive_bytes(b"OK\n")


def test_an_endless_line_is_given_up_before_it_fills_memory() -> None:
    connection = ControlConnection()
    connection.send(Get("A.B"))
    received = 0
    with pytest.raises(RemoteProtocolError, match="line longer than"):
        while received < 100 * MAX_REPLY_LINE:
            connection.receive_bytes(b"x" * 4096)
            received += 4096
    assert received <= MAX_REPLY_LINE + 4096


def test_end_of_stream_ends_every_command() -> None:
    connection = ControlConnection()
    connection.send(Get("A.B"))
    connection.send(Put("C.D", "1"))
    connection.receive_bytes(b"OK =1\nO")
    connection.receive_bytes(b"")
    (_, first), (second, error) = finished(connection)
    assert first == b"1"
    assert second == Put("C.D", "1")
    assert isinstance(error, RemoteProtocolError)
    assert "C.D=1" in str(error)
    assert "b'O'" in str(error)
    with pytest.raises(LocalProtocolError, match="closed"):
        connection.send(Get("A.B"))
    with pytest.raises(LocalProtocolError, match="closed"):
        connection.receive_bytes(b"OK\n")


@pytest.mark.parametrize(
    "command",
    [
        Get(""),
        Get("A=B"),
        Get("A<B"),
        Get("A\nB"),
        Put("A?B", "1"),
        Put("A.B", "1\n*IDN?"),
        Put("A.B", "1\r"),
        Put("A.B", "1\0"),
        Put("A.B", "x" * 1100),
        Put("A.B", "µ" * 600),
        Put("A.B", "\ud800"),
        Put("A.TABLE", ["1", "", "2"]),
        Put("A.TABLE", ["1" * 1023]),
        Raw(["A.TABLE<"]),
        Raw(["A.TABLE<", "1"]),
        Raw(["A.B?", "C.D?"]),
        Raw([]),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is_sent(command: Command[Any]) -> None:
    connection = ControlConnection()
    with pytest.raises(LocalProtocolError):
        connection.send(command)
    connection.send(Get("A.B"))
    connection.receive_bytes(b"OK =1\n")
    assert finished(connection) == [(Get("A.B"), b"1")]


REPLIES = [
    (Get("A.B"), b"OK =1\n", b"1"),
    (GetMultiline("A.C"), "!µ\n!2\n.\n".encode(), ["µ", "2"]),
    (Put("A.D", "3"), b"OK\n", None),
    (Raw(["nonsense"]), b"ERR Unknown command\n", ["ERR Unknown command"]),
    (GetLine("A.E"), b"OK =a = b\n", "a = b"),
]


def chunks(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted({cut % len(data) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in zip(places, places[1:], strict=False) if start < end]


@given(st.lists(st.sampled_from(REPLIES), min_size=1, max_size=12), st.lists(st.integers(0, 10_000)))
def test_any_split_of_the_bytes_gives_the_same_responses(
    asked: list[tuple[Command[Any], bytes, Any]], cuts: list[int]
) -> None:
    connection = ControlConnection()
    for command, _, _ in asked:
        connection.send(command)
    for chunk in chunks(b"".join(reply for _, reply, _ in asked), cuts):
        connection.receive_bytes(chunk)
    assert finished(connection) == [(command, response) for command, _, response in asked]


@given(st.binary(min_size=1, max_size=300), st.lists(st.integers(0, 300)))
def test_any_bytes_at_all_give_responses_or_the_documented_error(data: bytes, cuts: list[int]) -> None:
    def outcome(pieces: list[bytes]) -> tuple[list[Any], str]:
        connection = ControlConnection()
        for _ in range(3):
            connection.send(Raw(["*IDN?"]))
        try:
            for piece in pieces:
                connection.receive_bytes(piece)
        except RemoteProtocolError as error:
            return [repr(response) for _, response in finished(connection)], str(error)
        return [repr(response) for _, response in finished(connection)], ""

    assert outcome([data]) == outcome(chunks(data, cuts))


POLL = Poll((ChangeGroup.CONFIG, ChangeGroup.ATTR), ("A.B",))
NOTHING_NEW = POLL.nothing_new({"A.B": "7", COMPLETION: "Ok"})


def polled(*answers: bytes) -> list[Any]:
    """Return the results of a poll with an expected reply, and of a command after it."""
    connection = ControlConnection()
    assert connection.send(POLL, NOTHING_NEW) == b"*CHANGES.CONFIG?\n*CHANGES.ATTR?\nA.B?\n*PCAP.COMPLETION?\n"
    connection.send(Get("C.D"))
    for answer in answers:
        assert connection.receive_bytes(answer) == b""
    return [response for _, response in finished(connection)]


def test_the_expected_answer_is_not_parsed() -> None:
    (answer,) = polled(NOTHING_NEW.answer)
    assert answer is NOTHING_NEW.response


@pytest.mark.parametrize("place", range(1, len(NOTHING_NEW.answer) + 1))
def test_the_expected_answer_in_pieces_and_with_another_behind_it(place: int) -> None:
    data = NOTHING_NEW.answer + b"OK =9\n"
    answer, following = polled(data[:place], data[place:])
    assert answer == converse(POLL, NOTHING_NEW.answer) == NOTHING_NEW.response
    assert following == b"9"


@pytest.mark.parametrize(
    "data",
    [
        b".\n.\nOK =8\nOK =Ok\n",
        b".\n.\nERR no\nOK =Ok\n",
        b".\n!A.B (error)\n.\nOK =7\nOK =Ok\n",
        b"!A.B=7\n.\n.\nOK =7\nOK =Ok\n",
        b"ERR no\n.\nOK =7\nERR no\n",
    ],
)
def test_another_answer_than_the_expected_one(data: bytes) -> None:
    (answer,) = polled(data)
    assert answer == converse(POLL, data) != NOTHING_NEW.response


def test_the_end_instead_of_the_expected_answer() -> None:
    (*_, error) = polled(b".\n", b"")
    assert isinstance(error, RemoteProtocolError)
    first, _ = polled(b"")
    assert "no reply to '*CHANGES.CONFIG?'" in str(first)
