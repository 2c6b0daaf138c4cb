"""Both connections in every order of calls and every split of the bytes: a model predicts the events.

Only the documented errors may be raised, and no event may be lost, duplicated, or delivered after an error. FUZZ_STEPS
sets the number of examples of each.
"""

import os
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

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
    GetChanges,
    GetFieldInfo,
    GetLine,
    GetMultiline,
    Identify,
    LocalProtocolError,
    Put,
    Raw,
    ReadyData,
    RemoteProtocolError,
    Request,
    StartData,
)
from panda_ioc.protocol.exchange import Conversation
from panda_ioc.simulator import load

from .. import samples
from ..peers import Peers

#: Sizes of deliveries in bytes: often small, so that every delimiter is split somewhere.
COUNTS = st.one_of(st.integers(1, 12), st.integers(1, 700), st.just(100000))

#: Whether to end a conversation: rarely, otherwise most would be short.
SELDOM = st.integers(0, 9).map(lambda number: number == 9)

EXAMPLES = int(os.environ.get("FUZZ_STEPS", "60"))

DEVICE = load()

GARBAGE = [b"HTTP/1.1 400\r\n", b"OKAY\n", b"\xff\x00\n", b"ERR\n", b"x" * 70000, b"\n"]


class Mistaken(Command[None]):
    """A command that fails in its second round."""

    def conversation(self) -> Conversation[None]:
        yield [Request("*IDN?"), Request("*CLOCK_FREQ?")]
        raise ZeroDivisionError("a mistake")


#: Functions that make a command and check its response.
COMMANDS: list[tuple[Any, Any]] = [
    (lambda: GetLine("*CLOCK_FREQ"), lambda response: response == "125000000"),
    (lambda: Get("PULSE1.PULSES"), lambda response: response == b"0"),
    (lambda: GetMultiline("SEQ1.TABLE.FIELDS"), lambda response: len(response) == 17),
    (lambda: Put("PULSE1.PULSES", "0"), lambda response: response is None),
    (lambda: Raw(["nonsense"]), lambda response: response == ["ERR Unknown command"]),
    (lambda: Get("NOPE.X"), lambda response: isinstance(response, CommandError)),
    (Identify, lambda response: response.software == "4.1"),
    (lambda: GetFieldInfo("SEQ"), lambda response: "TABLE" in response),
    (GetChanges, lambda response: isinstance(response.values, dict)),
    (Mistaken, lambda response: isinstance(response, ZeroDivisionError)),
]

#: Commands that cannot be sent.
WRONG: list[Any] = [Get("A=B"), Put("A.B", "1\n2"), Put("A.B", object()), Raw([]), Raw(["T<", "1"])]  # type: ignore[arg-type]


class ControlMachine(RuleBasedStateMachine):
    """A control connection with the simulated PandA at its other end."""

    def __init__(self) -> None:
        super().__init__()
        self.peers = Peers(DEVICE)
        self.connection = ControlConnection()
        self.on_their_way = b""
        self.expected: dict[int, tuple[Command[Any], Any]] = {}
        self.state = ConnectionState.OPEN
        self.garbled = False

    def write(self, data: bytes) -> None:
        """The PandA replies immediately; its replies wait for delivery."""
        if not self.garbled:
            self.on_their_way += b"".join(self.peers.session.receive(data))

    def over(self) -> bool:
        return self.state is not ConnectionState.OPEN

    @rule(which=st.sampled_from(COMMANDS))
    def send(self, which: tuple[Any, Any]) -> None:
        make, check = which
        command = make()
        try:
            to_send = self.connection.send(command)
        except LocalProtocolError:
            assert self.over()
            return
        assert not self.over()
        self.expected[id(command)] = (command, check)
        self.write(to_send)

    @rule(command=st.sampled_from(WRONG))
    def send_what_cannot_be_sent(self, command: Command[Any]) -> None:
        try:
            self.connection.send(command)
        except LocalProtocolError:
            return
        raise AssertionError("it was sent")

    @rule(count=COUNTS)
    def deliver(self, count: int) -> None:
        data, self.on_their_way = self.on_their_way[:count], self.on_their_way[count:]
        self.receive(data)

    @rule()
    def deliver_all(self) -> None:
        self.deliver(len(self.on_their_way))

    @precondition(lambda self: not self.garbled)
    @rule(garbage=st.sampled_from(GARBAGE), seldom=SELDOM)
    def the_server_goes_mad(self, garbage: bytes, seldom: bool) -> None:
        if not seldom:
            return
        self.on_their_way += garbage
        self.garbled = True

    @precondition(lambda self: not self.on_their_way)
    @rule(seldom=SELDOM)
    def the_stream_ends(self, seldom: bool) -> None:
        if not seldom:
            return
        over = self.over()
        try:
            assert self.connection.receive_bytes(b"") == b""
        except LocalProtocolError:
            assert over
            return
        assert not over
        self.state = ConnectionState.CLOSED
        self.take(lost=True)

    def receive(self, data: bytes) -> None:
        if not data:
            return
        try:
            self.write(self.connection.receive_bytes(data))
        except LocalProtocolError:
            assert self.over()
        except RemoteProtocolError:
            assert self.garbled
            assert not self.over()
            self.state = ConnectionState.ERROR
            self.take(lost=True)

    @rule()
    def take_responses(self) -> None:
        self.take(lost=self.over() or self.garbled)

    def take(self, *, lost: bool) -> None:
        """Check the responses: each command gets one, exactly once; at the end, all have one."""
        for command, response in self.connection.responses():
            known, check = self.expected.pop(id(command))
            assert known is command
            assert (lost and isinstance(response, RemoteProtocolError)) or check(response), (command, response)
        if self.over():
            assert not self.expected

    @invariant()
    def the_state_is_as_the_model_has_it(self) -> None:
        assert self.connection.state is self.state
        assert self.connection.is_open == (self.state is ConnectionState.OPEN)

    def teardown(self) -> None:
        while self.on_their_way and not self.over():
            self.deliver_all()
        self.take(lost=self.over() or self.garbled)
        assert self.garbled or not self.expected


class DataMachine(RuleBasedStateMachine):
    """A data connection, and the possible data of a server."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = DataConnection()
        self.on_their_way = b""
        #: The remaining expected events, in order: kinds of events, numbers of samples, and an error at the end.
        self.expected: list[type[Data] | int] = []
        self.wrong: type[Exception] | None = None
        self.said_ok = self.acquiring = self.over = False
        self.number = 0

    @initialize(scaled=st.booleans(), early=st.booleans())
    def connect(self, scaled: bool, early: bool) -> None:
        if early:
            for call in (lambda: self.connection.receive_bytes(b"OK\n"), lambda: self.connection.receive_bytes(b"")):
                self.refused(call)
        assert self.connection.connect(scaled).startswith(b"XML FRAMED ")
        self.refused(lambda: self.connection.connect(scaled))

    def refused(self, call: Any) -> None:
        try:
            call()
        except LocalProtocolError:
            return
        raise AssertionError("it was accepted")

    @precondition(lambda self: self.wrong is None)
    @rule(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=8), reason=st.sampled_from(["Ok", "Data overrun"]))
    def say(self, sizes: list[int], reason: str) -> None:
        for size in sizes:
            self.say_next(size, reason)

    def say_next(self, size: int, reason: str) -> None:
        """Send the next part of a valid conversation."""
        if not self.said_ok:
            self.on_their_way += b"OK\n"
            self.expected.append(ReadyData)
            self.said_ok = True
        elif not self.acquiring:
            self.on_their_way += samples.HEADER
            self.expected.append(StartData)
            self.acquiring = True
        elif size % 4:
            self.on_their_way += samples.frame(samples.rows(size, self.number))
            self.expected += range(self.number, self.number + size)
            self.number += size
        else:
            self.on_their_way += f"END {self.number} {reason}\n".encode()
            self.expected.append(EndData)
            self.acquiring = False

    @precondition(lambda self: self.wrong is None)
    @rule(length=st.sampled_from([0, 7, 8, 12, 2**32 - 1]), seldom=SELDOM)
    def say_what_is_wrong(self, length: int, seldom: bool) -> None:
        if not seldom:
            return
        if not self.said_ok:
            self.on_their_way += b"ERR Invalid options\n" if length else b"HTTP/1.1 400\n"
            self.wrong = CommandError if length else RemoteProtocolError
            return
        self.wrong = RemoteProtocolError
        if self.acquiring:
            self.on_their_way += b"BIN " + length.to_bytes(4, "little") + b"abcd"
        else:
            self.on_their_way += samples.HEADER.replace(b"int64", b"int128")
        self.on_their_way += samples.acquisition(samples.rows(3))  # which must not be treated as data

    @rule(count=COUNTS, flush=st.booleans(), buffer=st.booleans(), take=st.sampled_from([0, 1, 99999]))
    def deliver(self, count: int, flush: bool, buffer: bool, take: int) -> None:
        data, self.on_their_way = self.on_their_way[:count], self.on_their_way[count:]
        if not data:
            return
        try:
            if buffer:
                self.connection.get_buffer()[: len(data)] = data
                events = self.connection.buffer_updated(len(data), flush_every_frame=flush)
            else:
                events = self.connection.receive_bytes(data, flush)
        except LocalProtocolError:
            assert self.connection.state in {ConnectionState.CLOSED, ConnectionState.ERROR}
            return
        self.take(events, take)

    @rule()
    def take_events(self) -> None:
        self.take(self.connection.events(), 99999)

    @rule()
    def flush(self) -> None:
        self.take(self.connection.flush(), 99999)

    @precondition(lambda self: not self.on_their_way)
    @rule(seldom=SELDOM)
    def the_stream_ends(self, seldom: bool) -> None:
        if not seldom:
            return
        before = self.connection.state
        try:
            events = self.connection.receive_bytes(b"")
        except LocalProtocolError:
            assert before in {ConnectionState.CLOSED, ConnectionState.ERROR}
            return
        assert TRANSITIONS[before, next(t for _, t in TRANSITIONS if t.name == "STREAM_ENDED")] is self.connection.state
        self.wrong = RemoteProtocolError
        self.take(events, 99999)
        assert self.over

    def take(self, events: Any, most: int) -> None:
        """Compare the events with the expected ones, in order."""
        try:
            for _, data in zip(range(most), events, strict=False):
                if isinstance(data, FrameData):
                    rows = data.data["PCAP.BITS0.Value"].tolist()
                    assert rows == self.expected[: len(rows)]
                    assert np.array_equal(data.data, samples.rows(len(rows), rows[0]))
                    del self.expected[: len(rows)]
                else:
                    assert type(data) is self.expected.pop(0)
        except (RemoteProtocolError, CommandError) as error:
            raised = type(error)
        else:
            return
        assert raised is self.wrong
        assert not self.over
        assert not self.expected
        self.over = True

    @invariant()
    def an_error_is_final(self) -> None:
        if self.over:
            assert self.connection.state in {ConnectionState.CLOSED, ConnectionState.ERROR}
            assert list(self.connection.events()) == []

    def teardown(self) -> None:
        if self.connection.state is ConnectionState.IDLE:
            return
        while self.on_their_way and not self.over:
            self.deliver(100000, flush=True, buffer=False, take=99999)
        self.take(self.connection.flush(), 99999)
        self.take(self.connection.events(), 99999)
        assert not self.expected
        assert self.over == (self.wrong is not None)


SETTINGS = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestControlConnection = ControlMachine.TestCase
TestControlConnection.settings = SETTINGS
TestDataConnection = DataMachine.TestCase
TestDataConnection.settings = SETTINGS
