"""Introspection of a PandA."""

import re
from pathlib import Path
from typing import Any

import pytest

from panda_ioc.protocol import (
    BitMuxFieldInfo,
    BitOutFieldInfo,
    BlockInfo,
    Command,
    ControlConnection,
    EnumFieldInfo,
    ExtOutBitsFieldInfo,
    FieldInfo,
    GetBlockInfo,
    GetFieldInfo,
    GetPcapBitsLabels,
    LocalProtocolError,
    PosMuxFieldInfo,
    PosOutFieldInfo,
    RemoteProtocolError,
    ScalarFieldInfo,
    TableColumn,
    TableFieldInfo,
    TimeFieldInfo,
    UintFieldInfo,
)

from ..peers import Peers


def test_blocks() -> None:
    blocks = Peers().ask(GetBlockInfo())
    assert blocks["PULSE"] == BlockInfo(4, "Delays, stretches and multiplies pulses")
    assert list(blocks) == sorted(blocks)
    assert len(blocks) == 24


@pytest.mark.parametrize(
    ("block", "field", "cls", "members"),
    [
        ("PULSE", "PULSES", UintFieldInfo, {"type": "param", "subtype": "uint", "max_value": 2**32 - 1}),
        ("PULSE", "QUEUED", UintFieldInfo, {"type": "read", "max_value": 1023}),
        ("PULSE", "DELAY", TimeFieldInfo, {"type": "time", "subtype": None, "unit_labels": ("min", "s", "ms", "us")}),
        ("SEQ", "PRESCALE", TimeFieldInfo, {"type": "param", "subtype": "time"}),
        ("PULSE", "TRIG_EDGE", EnumFieldInfo, {"labels": ("Rising", "Falling", "Either")}),
        ("PULSE", "TRIG", BitMuxFieldInfo, {"max_delay": 31}),
        ("CALC", "INPA", PosMuxFieldInfo, {"subtype": None}),
        ("SYSTEM", "TEMP_ZYNQ", ScalarFieldInfo, {"scale": 0.001, "offset": 0.0, "units": "deg"}),
        ("COUNTER", "OUT", PosOutFieldInfo, {"attributes": ("CAPTURE", "INFO", "OFFSET", "SCALE", "SCALED", "UNITS")}),
        ("PULSE", "OUT", BitOutFieldInfo, {"capture_word": "PCAP.BITS2", "offset": 1}),
        ("INENC", "SETP", FieldInfo, {"type": "write", "subtype": "int"}),
        ("LUT", "FUNC", FieldInfo, {"type": "param", "subtype": "lut"}),
    ],
)
def test_fields(block: str, field: str, cls: type[FieldInfo], members: dict[str, Any]) -> None:
    info = Peers().ask(GetFieldInfo(block))[field]
    assert type(info) is cls
    assert info.description
    for name, value in members.items():
        assert getattr(info, name) == value


def test_fields_are_in_display_order() -> None:
    fields = Peers().ask(GetFieldInfo("PULSE"))
    assert list(fields) == [
        *("ENABLE", "TRIG", "DELAY", "WIDTH", "PULSES", "STEP", "TRIG_EDGE"),
        *("OUT", "QUEUED", "DROPPED"),
    ]


def test_a_table() -> None:
    table = Peers().ask(GetFieldInfo("SEQ"))["TABLE"]
    assert isinstance(table, TableFieldInfo)
    assert (table.max_length, table.row_words, table.max_rows) == (1048576, 4, 262144)
    assert table.columns["POSITION"] == TableColumn("int", 32, 63, "Position of the trigger condition")
    assert table.columns["TRIGGER"].labels[7] == "POSA>=POSITION"
    assert next(iter(table.columns)) == "REPEATS"


def test_bits_of_captured_words() -> None:
    peers = Peers()
    labels = peers.ask(GetPcapBitsLabels())
    assert list(labels) == ["PCAP.BITS0", "PCAP.BITS1", "PCAP.BITS2", "PCAP.BITS3"]
    assert labels["PCAP.BITS1"][0] == "PCAP.ACTIVE"
    assert all(len(names) == 32 for names in labels.values())
    assert labels["PCAP.BITS3"][-1] == ""
    assert peers.sent.count(b"\n") == 5
    out = peers.ask(GetFieldInfo("PULSE"))["OUT"]
    assert labels[out.capture_word][out.offset] == "PULSE1.OUT"


def test_what_is_not_asked_for() -> None:
    peers = Peers()
    blocks = peers.ask(GetBlockInfo(skip_description=True))
    assert blocks["PULSE"] == BlockInfo(4, "")
    fields = peers.ask(GetFieldInfo("SEQ", extended_metadata=False))
    assert fields["TABLE"] == FieldInfo("table", None)
    assert fields["PRESCALE"] == FieldInfo("param", "time")
    assert list(fields) == list(peers.ask(GetFieldInfo("SEQ")))
    assert peers.sent.startswith(b"*BLOCKS?\nSEQ.*?\nSEQ.*?\n")


def test_a_whole_panda_takes_five_round_trips() -> None:
    peers = Peers()
    blocks = peers.ask(GetBlockInfo())
    to_send = b"".join(peers.connection.send(GetFieldInfo(block)) for block in blocks)
    rounds = 0
    while to_send:
        rounds += 1
        to_send = peers.connection.receive_bytes(b"".join(peers.session.receive(to_send)))
    assert len(list(peers.connection.responses())) == len(blocks)
    assert rounds <= 5


@pytest.mark.parametrize("name", ["", "SEQ1.TABLE", "A B", "*", "µ", "A=1"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        Peers().ask(GetFieldInfo(name))


class Script:
    """A server that answers from a dictionary, and with ERR to all other lines."""

    def __init__(self, replies: dict[str, list[str]]) -> None:
        self.replies = replies
        self.connection = ControlConnection()

    def ask(self, command: Command[Any]) -> Any:
        to_send = self.connection.send(command)
        while to_send:
            lines = to_send.decode().splitlines()
            answers = [answer for line in lines for answer in self.replies.get(line, ["ERR No such thing"])]
            to_send = self.connection.receive_bytes("".join(f"{answer}\n" for answer in answers).encode())
        ((_, response),) = self.connection.responses()
        if isinstance(response, Exception):
            raise response
        return response


def fields_of(*lines: str, **replies: list[str]) -> dict[str, FieldInfo]:
    said = {line.replace("__", "."): answer for line, answer in replies.items()}
    infos: dict[str, FieldInfo] = Script(
        {"NEW.*?": [*(f"!{line}" for line in lines), "."], **{f"NEW1.{k}?": v for k, v in said.items()}}
    ).ask(GetFieldInfo("NEW"))
    return infos


def test_types_and_attributes_from_the_future_are_kept() -> None:
    fields = fields_of(
        "B 1 param hologram",
        "A 0 quux",
        "C 2 param uint",
        "D 3 ext_out tensor of rank 3",
        "E 4 table",
        **{"C.*": ["!MAX", "!MOOD", "."], "C.MAX": ["OK =0x10"]},
    )
    assert list(fields) == ["A", "B", "C", "D", "E"]
    assert fields["A"] == FieldInfo("quux", None)
    assert fields["B"] == FieldInfo("param", "hologram")
    assert fields["C"] == UintFieldInfo("param", "uint", "", ("MAX", "MOOD"), 16)
    assert fields["D"] == FieldInfo("ext_out", "tensor of rank 3")
    assert isinstance(fields["E"], TableFieldInfo)
    assert fields["E"].columns == {}


@pytest.mark.parametrize(
    ("line", "replies", "named"),
    [
        ("X", {}, "'X'"),
        ("X y uint", {}, "'y'"),
        ("X 0 param uint", {"X.*": ["!MAX", "."], "X.MAX": ["OK =lots"]}, "'lots'"),
        ("X 0 param scalar", {"X.*": ["!SCALE", "."], "X.SCALE": ["OK =big"]}, "'big'"),
        ("X 0 table", {"X.*": ["!FIELDS", "."], "X.FIELDS": ["!0:15 A uint", "."]}, "'0:15 A uint'"),
        ("X 0 table", {"X.*": ["!FIELDS", "."], "X.FIELDS": ["!40:15 A uint", "."]}, "'40:15 A uint'"),
        ("X 0 table", {"X.*": ["!FIELDS", "."], "X.FIELDS": ["!all A uint", "."]}, "'all A uint'"),
    ],
)
def test_an_answer_that_makes_no_sense_is_named(line: str, replies: dict[str, list[str]], named: str) -> None:
    with pytest.raises(RemoteProtocolError, match=re.escape(named)):
        fields_of(line, **replies)


def test_the_recorded_pandabox(shared: Path) -> None:
    replies: dict[str, list[str]] = {}
    for line in (shared / "recordings" / "pandabox-no-fmc.txt").read_text().splitlines():
        if line.startswith("> "):
            lines = replies.setdefault(line[2:], [])
            fresh = not lines
        elif fresh:
            lines.append(line[2:])
    script = Script(replies)
    blocks = script.ask(GetBlockInfo())
    assert blocks["SEQ"].number == 2
    infos = {f"{block}.{name}": info for block in blocks for name, info in script.ask(GetFieldInfo(block)).items()}
    assert len(infos) == sum(len(replies[f"{block}.*?"]) - 1 for block in blocks)
    assert all(info.description for info in infos.values())
    assert infos["PCAP.SHIFT_SUM"].max_value == 8
    assert len(infos["OUTENC.HEALTH"].labels[1]) == 72
    assert isinstance(infos["PCAP.BITS0"], ExtOutBitsFieldInfo)
    assert infos["SEQ.TABLE"].columns["TRIGGER"].labels[2] == "BITA=1"
    assert infos["COUNTER.OUT"].capture_labels[-1] == "Mean StdDev"
    unknown = {name for name, info in infos.items() if type(info) is FieldInfo}
    assert {infos[name].subtype for name in unknown} == {"int", "bit", "lut", "action"}
