"""Each command against the simulated PandA."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from panda_ioc.protocol import (
    Append,
    Arm,
    ChangeGroup,
    Changes,
    CommandError,
    ControlConnection,
    Disarm,
    ForgetChanges,
    Get,
    GetChanges,
    GetLine,
    GetMetadata,
    GetState,
    GetTable,
    Identify,
    Identity,
    LocalProtocolError,
    Put,
    PutTable,
    RemoteProtocolError,
    SetState,
    StateError,
)
from panda_ioc.protocol.changes import parse_changes
from panda_ioc.protocol.exchange import MAX_REQUEST_LINE

from ..peers import Peers


def test_identify() -> None:
    assert Peers().ask(Identify()) == Identity("4.1", "0.0.0 00000000 00000000", "panda-ioc simulator")


def test_identity_of_a_server_before_1_1() -> None:
    connection = ControlConnection()
    connection.send(Identify())
    connection.receive_bytes(b"OK =PandA SW: 1.0 FPGA: 0.1.9 00000000 00000000\n")
    ((_, identity),) = connection.responses()
    assert identity == Identity("1.0", "0.1.9 00000000 00000000", "")


@pytest.mark.parametrize(
    ("software", "version"), [("4.1", (4, 1)), ("3.0-11-g6422090", (3, 0)), ("4.1rc2", (4, 1)), ("", ()), ("x", ())]
)
def test_software_version(software: str, version: tuple[int, ...]) -> None:
    assert Identity(software, "", "").software_version == version


def test_arm_and_disarm() -> None:
    peers = Peers()
    with pytest.raises(CommandError, match="Nothing configured for capture"):
        peers.ask(Arm())
    peers.ask(Disarm())
    assert peers.sent == b"*PCAP.ARM=\n*PCAP.DISARM=\n"


def test_changes() -> None:
    peers = Peers()
    everything: Changes = peers.ask(GetChanges())
    assert everything.values["PULSE1.DELAY.UNITS"] == "s"
    assert everything.values["TTLOUT10.VAL"] == "ZERO"
    assert "INENC1.SETP" not in everything.values
    assert set(everything.multiline) == {
        *("SEQ1.TABLE", "SEQ2.TABLE", "PGEN1.TABLE", "PGEN2.TABLE"),
        *("*METADATA.LAYOUT", "*METADATA.EXPORTS"),
    }
    assert peers.ask(GetChanges()) == Changes()
    peers.ask(Put("COUNTER1.OUT.UNITS", "µm = 1"))
    peers.ask(Put("PULSE1.PULSES", "3"))
    assert peers.ask(GetChanges(ChangeGroup.CONFIG)) == Changes({"PULSE1.PULSES": "3"})
    assert peers.ask(GetChanges([ChangeGroup.CONFIG, ChangeGroup.ATTR])) == Changes({"COUNTER1.OUT.UNITS": "µm = 1"})


def test_each_connection_has_its_own_account_of_changes() -> None:
    one = Peers()
    other = Peers(panda=one.panda)
    one.ask(ForgetChanges())
    other.ask(ForgetChanges())
    one.ask(Put("PULSE1.PULSES", "3"))
    assert one.ask(GetChanges()) == other.ask(GetChanges()) == Changes({"PULSE1.PULSES": "3"})
    one.ask(ForgetChanges(ChangeGroup.CONFIG, restart=True))
    assert len(one.ask(GetChanges(ChangeGroup.CONFIG)).values) > 300
    assert other.ask(GetChanges()) == Changes()


def test_a_field_in_error_is_told_in_the_first_full_answer_only() -> None:
    peers = Peers()
    peers.panda.set_error("SYSTEM.TEMP_ZYNQ", in_error=True)
    assert peers.ask(GetChanges(ChangeGroup.READ)).in_error == ("SYSTEM.TEMP_ZYNQ",)
    assert peers.ask(GetChanges(ChangeGroup.READ)) == Changes()
    peers.panda.set_error("SYSTEM.TEMP_ZYNQ", in_error=False)
    peers.panda.set_error("SYSTEM.TEMP_PSU", in_error=True)
    assert peers.ask(GetChanges(ChangeGroup.READ)) == Changes()


def test_a_field_that_works_again_is_told_with_another_value() -> None:
    peers = Peers()
    peers.ask(ForgetChanges())
    peers.panda.set_error("SYSTEM.TEMP_ZYNQ", in_error=True)
    peers.panda.set_raw("SYSTEM.TEMP_ZYNQ", 50000)
    assert peers.ask(GetChanges()) == Changes()
    peers.panda.set_error("SYSTEM.TEMP_ZYNQ", in_error=False)
    assert peers.ask(GetChanges()) == Changes({"SYSTEM.TEMP_ZYNQ": "50"})


@pytest.mark.parametrize("line", ["", "X1.Y", "X1.Y (err)", "<=", "A <B=3"])
def test_a_change_that_makes_no_sense_is_named(line: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_changes(["A.B=1", line])
    assert repr(line) in str(caught.value)


def test_metadata() -> None:
    peers = Peers()
    peers.ask(Put("*METADATA.DESIGN", "my design"))
    peers.ask(Put("*METADATA.LAYOUT", ["line 1", "line 2"]))
    metadata = peers.ask(GetMetadata())
    assert metadata["DESIGN"] == "my design"
    assert metadata["LAYOUT"] == ["line 1", "line 2"]
    assert metadata["LABEL_SEQ2"] == ""


@pytest.mark.parametrize("base64", [True, False])
@pytest.mark.parametrize(
    ("words", "stored"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        ([-1, -(2**31), 2**31, 2**32 - 1], [2**32 - 1, 2**31, 2**31, 2**32 - 1]),
        ([], []),
        (np.arange(4000, dtype=np.int16), list(range(4000))),
        (np.full(8, 2**40 - 2**40 + 7, dtype=np.uint64), [7] * 8),
    ],
)
def test_put_table(base64: bool, words: Sequence[int], stored: list[int]) -> None:
    peers = Peers()
    peers.ask(PutTable("SEQ1.TABLE", words, base64=base64))
    assert [int(word) for word in peers.ask(Get("SEQ1.TABLE"))] == stored
    assert max(map(len, peers.sent.split(b"\n"))) <= MAX_REQUEST_LINE


@pytest.mark.parametrize("words", [[2**32], [-(2**31) - 1], [0.5], [[1, 2], [3, 4]], ["a"], [2**70]])
def test_words_that_do_not_fit_are_not_sent(words: list[object]) -> None:
    peers = Peers()
    with pytest.raises(LocalProtocolError, match=r"PGEN1\.TABLE"):
        peers.ask(PutTable("PGEN1.TABLE", words))  # type: ignore[arg-type]
    assert not peers.sent


def test_a_refused_table_stays_as_it_was() -> None:
    peers = Peers()
    peers.ask(PutTable("SEQ1.TABLE", [1, 2, 3, 4]))
    with pytest.raises(CommandError, match="not a whole number of rows"):
        peers.ask(PutTable("SEQ1.TABLE", [1, 2, 3]))
    assert peers.ask(Get("SEQ1.TABLE")) == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("count", [0, 4, 4000, 4004])
def test_get_table(count: int) -> None:
    peers = Peers()
    words = np.random.default_rng(count).integers(0, 2**32, count, dtype=np.uint32)
    peers.ask(PutTable("SEQ1.TABLE", words))
    content = peers.ask(GetTable("SEQ1.TABLE"))
    assert np.array_equal(content.words, words)
    assert (content.words.dtype, content.mode) == (np.uint32, "FIXED" if count else "INIT")
    with pytest.raises(CommandError):
        peers.ask(GetTable("SEQ1.NONE"))


@pytest.mark.parametrize(
    ("answer", "words", "mode"),
    [
        (b"!AQAAAA==\n!AgAAAA==\n.\nOK =FIXED\n", [1, 2], "FIXED"),  # each line with its own padding
        (b".\nERR No such attribute\n", [], ""),  # a server before 4.0
    ],
)
def test_tables_of_other_servers(answer: bytes, words: list[int], mode: str) -> None:
    connection = ControlConnection()
    connection.send(GetTable("SEQ1.TABLE"))
    connection.receive_bytes(answer)
    ((_, content),) = connection.responses()
    assert (content.words.tolist(), content.mode) == (words, mode)


@pytest.mark.parametrize("answer", [b"!???\n.\n", b"!AAAA\n.\n", b"OK =AAAA\n", b"!AQAAAA==!\n.\n"])
def test_a_table_that_makes_no_sense(answer: bytes) -> None:
    connection = ControlConnection()
    connection.send(GetTable("SEQ1.TABLE"))
    connection.receive_bytes(answer + b"OK =FIXED\n")
    ((_, error),) = connection.responses()
    assert isinstance(error, RemoteProtocolError)
    assert "SEQ1.TABLE.B?" in str(error)


@pytest.mark.parametrize("base64", [True, False])
def test_append(base64: bool) -> None:
    peers = Peers()
    peers.ask(Append("PGEN1.TABLE", [1, 2], base64=base64))
    assert peers.ask(GetLine("PGEN1.TABLE.MODE")) == "STREAMING"
    peers.ask(Append("PGEN1.TABLE", [3], base64=base64, last=True))
    assert peers.ask(GetLine("PGEN1.TABLE.MODE")) == "STREAMING_LAST"
    with pytest.raises(CommandError, match="Last streaming table was sent"):
        peers.ask(Append("PGEN1.TABLE", [4], base64=base64))
    assert b"PGEN1.TABLE<<|" in peers.sent


SETUP = {
    "PULSE1.DELAY.UNITS": "ms",
    "PULSE1.DELAY": "2.5",
    "TTLOUT1.VAL": "PULSE1.OUT",
    "TTLOUT1.VAL.DELAY": "7",
    "COUNTER1.OUT.CAPTURE": "Min Max Mean",
    "COUNTER1.OUT.UNITS": "µm",
    "LUT1.FUNC": "A&~B",
    "*METADATA.LABEL_PULSE1": "shutter",
}


def test_a_state_restores_another_panda() -> None:
    one, other = Peers(), Peers()
    for name, value in SETUP.items():
        one.ask(Put(name, value))
    one.ask(Put("*METADATA.LAYOUT", ["a", "b"]))
    one.ask(PutTable("SEQ2.TABLE", range(8)))
    state = one.ask(GetState())
    other.ask(SetState(state))
    for name, value in SETUP.items():
        assert other.ask(GetLine(name)) == value
    assert other.ask(Get("SEQ2.TABLE")) == one.ask(Get("SEQ2.TABLE"))
    assert other.ask(Get("*METADATA.LAYOUT")) == [b"a", b"b"]
    assert other.ask(GetState()) == state


def test_all_of_a_state_is_written_and_all_refusals_are_told() -> None:
    peers = Peers()
    with pytest.raises(StateError) as caught:
        peers.ask(SetState(["NOPE.X=1", "PULSE1.PULSES=4", "SEQ1.TABLE<", "1 2", "", "CALC1.SHIFT=9"]))
    assert caught.value.failures == (
        ("NOPE.X=1", "No such block"),
        ("SEQ1.TABLE<", "Table write is not a whole number of rows"),
        ("CALC1.SHIFT=9", "Number out of range"),
    )
    assert "2 more" in str(caught.value)
    assert peers.ask(GetLine("PULSE1.PULSES")) == "4"


@pytest.mark.parametrize("state", [["PULSE1.PULSES?"], ["nonsense"], ["SEQ1.TABLE<", "1"], ["A=1\nB=2"]])
def test_a_state_that_makes_no_sense_is_not_sent(state: list[str]) -> None:
    peers = Peers()
    with pytest.raises(LocalProtocolError):
        peers.ask(SetState(["PULSE1.PULSES=4", *state]))
    assert not peers.sent


def test_changes_with_what_has_several_lines() -> None:
    peers = Peers()
    peers.ask(PutTable("PGEN1.TABLE", [3, -1]))
    peers.ask(Put("*METADATA.LAYOUT", ["a", "b"]))
    changes = peers.ask(GetChanges((ChangeGroup.TABLE, ChangeGroup.METADATA), get_multiline=True))
    assert changes.multiline == ()
    assert changes.multiline_values["PGEN1.TABLE"] == ["3", "4294967295"]
    assert changes.multiline_values["*METADATA.LAYOUT"] == ["a", "b"]
    assert changes.multiline_values["SEQ1.TABLE"] == []
    peers.ask(PutTable("SEQ1.TABLE", [1, 2, 3, 4]))
    assert peers.ask(GetChanges()).multiline == ("SEQ1.TABLE",)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (5, b"A.B=5\n"),
        (-3, b"A.B=-3\n"),
        (True, b"A.B=1\n"),
        (False, b"A.B=0\n"),
        (0.25, b"A.B=0.25\n"),
        (5.0, b"A.B=5\n"),
        (1e-9, b"A.B=1e-09\n"),
        (np.float64(0.1), b"A.B=0.1\n"),
        (np.float32(0.5), b"A.B=0.5\n"),
        (np.int32(7), b"A.B=7\n"),
        (np.uint8(7), b"A.B=7\n"),
        (np.True_, b"A.B=1\n"),
        (["a", "b"], b"A.B<\na\nb\n\n"),
        (("1", 2, 3.0), b"A.B<\n1\n2\n3\n\n"),
        ([], b"A.B<\n\n"),
        (np.arange(3), b"A.B<\n0\n1\n2\n\n"),
        (range(2), b"A.B<\n0\n1\n\n"),
    ],
)
def test_what_can_be_put(value: Any, sent: bytes) -> None:
    assert ControlConnection().send(Put("A.B", value)) == sent


@pytest.mark.parametrize("value", [None, b"1", object(), {"a": 1}, [None], [["1"]], np.zeros((2, 2)), 1j, {"x"}])
def test_what_cannot_be_put_is_named(value: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"A\.B: cannot write"):
        ControlConnection().send(Put("A.B", value))
