"""The record plan, made without EPICS."""

import re
from dataclasses import replace

import pytest

from panda_ioc.ioc.plan.codecs import ChoiceCodec, DecodeError, LabelCodec, Refusal, near_matches
from panda_ioc.ioc.plan.model import Block, Model
from panda_ioc.ioc.plan.plan import Plan, PlanError, make_plan
from panda_ioc.ioc.plan.record import DESC_BYTES, Access, Kind, Record, short_labels, shorten
from panda_ioc.ioc.servers.ca.database import database, texts_with_macros
from panda_ioc.protocol import (
    BlockInfo,
    Changes,
    EnumFieldInfo,
    FieldInfo,
    GetBlockInfo,
    GetChanges,
    GetFieldInfo,
    Identify,
    Put,
)

from ..peers import Peers


def pandabox() -> Model:
    peers = Peers()
    blocks = peers.ask(GetBlockInfo())
    return Model(
        peers.ask(Identify()),
        {name: Block(name, info, peers.ask(GetFieldInfo(name))) for name, info in blocks.items()},
        peers.ask(GetChanges()),
    )


def records(plan: Plan) -> dict[str, Record]:
    return {name: record for record in plan.records for name in (record.name, *record.aliases)}


def plan_of(*fields: tuple[str, FieldInfo], block: str = "NEW", number: int = 1) -> dict[str, Record]:
    """The records of a PandA with a single kind of block."""
    model = replace(pandabox(), blocks={block: Block(block, BlockInfo(number), dict(fields))}, changes=Changes())
    return records(make_plan(model, "X"))


def test_the_same_panda_gives_the_same_plan() -> None:
    assert make_plan(pandabox(), "X") == make_plan(pandabox(), "X")


def test_our_descriptions_are_whole_in_desc() -> None:
    """EPICS truncates DESC to 39 bytes. Descriptions of fields come from the PandA; another PV has longer ones."""
    model = pandabox()
    of_fields = {info.description for _, _, info in model.fields()}
    plan = make_plan(model, "X", designs=True)
    ours = [record for record in plan.records if record.description not in of_fields]
    assert len(ours) > 1000
    assert {record.description for record in ours if not 0 < len(record.description) <= DESC_BYTES} == set()


def test_names_and_kinds() -> None:
    plan = records(make_plan(pandabox(), "X"))
    for name, kind, access in [
        ("PULSE1:PULSES", Kind.AO, Access.READ_WRITE),
        ("PULSE1:QUEUED", Kind.AI, Access.READ),
        ("PULSE1:DELAY:UNITS", Kind.MBBO, Access.READ_WRITE),
        ("PULSE1:OUT", Kind.BI, Access.READ),
        ("TTLOUT10:VAL", Kind.STRINGOUT, Access.READ_WRITE),
        ("TTLOUT10:VAL:DELAY", Kind.LONGOUT, Access.READ_WRITE),
        ("INENC1:SETP", Kind.LONGOUT, Access.WRITE),
        ("SRGATE1:FORCE_SET", Kind.BO, Access.EXECUTE),
        ("PCAP:HEALTH", Kind.STRINGIN, Access.READ),
        ("PCAP:ARM", Kind.BO, Access.READ_WRITE),
        ("COUNTER1:OUT:SCALED", Kind.AI, Access.READ),
        ("COUNTER1:OUT:CAPTURE:TEXT", Kind.TEXTOUT, Access.READ_WRITE),
        ("BITS:CHOICES", Kind.TEXTIN, Access.READ),
        ("SEQ2:LABEL", Kind.TEXTOUT, Access.READ_WRITE),
    ]:
        assert (plan[name].kind, plan[name].access) == (kind, access), name


def test_rows_are_aliases() -> None:
    plan = records(make_plan(pandabox(), "X"))
    assert plan["POSITIONS:2:SCALE"] is plan["COUNTER1:OUT:SCALE"]
    assert plan["POSITIONS:2:VAL"] is plan["COUNTER1:OUT:SCALED"]
    assert plan["POSITIONS:2:NAME"].constant == "COUNTER1:OUT"
    assert plan["BITS:32:VAL"] is plan["PCAP:ACTIVE"]
    assert plan["BITS:127:CAPTURE"] is plan["PCAP:BITS3:CAPTURE"]
    assert "BITS:127:NAME" not in plan


def test_a_type_from_the_future_is_served_as_text() -> None:
    plan = plan_of(
        ("A", FieldInfo("param", "hologram")), ("B", FieldInfo("quux", None)), ("C", FieldInfo("write", "x"))
    )
    assert (plan["NEW:A"].kind, plan["NEW:A"].target) == (Kind.STRINGOUT, "NEW.A")
    assert (plan["NEW:B"].kind, plan["NEW:B"].target) == (Kind.STRINGIN, None)
    assert (plan["NEW:C"].kind, plan["NEW:C"].sources) == (Kind.STRINGOUT, ())
    assert plan["NEW:A:TEXT"].kind is Kind.TEXTOUT


def test_more_choices_than_an_mbbo_holds() -> None:
    labels = tuple(f"choice {number}" for number in range(17))
    plan = plan_of(("MODE", EnumFieldInfo("param", "enum", labels=labels)))
    assert (plan["NEW:MODE"].kind, plan["NEW:MODE"].codec) == (Kind.STRINGOUT, LabelCodec(labels))
    assert plan["NEW:MODE:CHOICES"].constant == "\n".join(labels)
    sixteen = plan_of(("MODE", EnumFieldInfo("param", "enum", labels=labels[:16])))
    assert (sixteen["NEW:MODE"].kind, sixteen["NEW:MODE"].codec) == (Kind.MBBO, ChoiceCodec(labels[:16]))
    assert "NEW:MODE:CHOICES" not in sixteen


def test_labels_longer_than_an_mbbo_holds() -> None:
    labels = ("short", "x" * 30 + "1", "x" * 30 + "2", "µ" * 72)
    plan = plan_of(("MODE", EnumFieldInfo("param", "enum", labels=labels)))
    assert plan["NEW:MODE"].kind is Kind.MBBO
    assert plan["NEW:MODE:TEXT"].codec == LabelCodec(labels)
    assert plan["NEW:MODE:CHOICES"].constant == "\n".join(labels)
    short = short_labels(labels)
    assert short == ("short", "x" * 25, "x" * 23 + "~2", "µ" * 12)
    assert len(set(short)) == 4


def test_an_enum_without_labels() -> None:
    assert plan_of(("MODE", EnumFieldInfo("param", "enum")))["NEW:MODE"].kind is Kind.STRINGOUT


def test_long_descriptions_are_whole_somewhere() -> None:
    long = "What this is, in more words than the 40 bytes that EPICS has for it"
    plan = plan_of(("A", FieldInfo("param", "int", long)), ("B", FieldInfo("param", "int", "short")))
    assert plan["NEW:A:DESCRIPTION"].constant == long
    assert "NEW:B:DESCRIPTION" not in plan


def test_block_names_that_end_in_a_digit() -> None:
    plan = plan_of(("OUT", FieldInfo("pos_out", None)), block="ADC10", number=2)
    assert plan["ADC101:OUT"].sources == ("ADC101.OUT",)
    assert plan["ADC102:OUT:SCALED"].sources == ("ADC102.OUT", "ADC102.OUT.SCALE", "ADC102.OUT.OFFSET")


def test_names_that_come_twice_are_remarked_and_served_once() -> None:
    field = {"A": FieldInfo("param", "int")}
    blocks = {"FOO": Block("FOO", BlockInfo(2), field), "FOO1": Block("FOO1", BlockInfo(1), field)}
    plan = make_plan(replace(pandabox(), blocks=blocks, changes=Changes()), "X")
    assert [record.name for record in plan.records].count("FOO1:A") == 1
    assert len(plan.remarks) == 1
    assert "FOO1:A" in plan.remarks[0]


@pytest.mark.parametrize("prefix", ["BL01T-EA-PANDA-01", "XF:31ID1-ES{PANDA:1}", "a" * 20, "X"])
def test_good_prefixes(prefix: str) -> None:
    make_plan(pandabox(), prefix)


@pytest.mark.parametrize(
    ("prefix", "says"),
    [
        ("", "it is empty"),
        ("A B", "does not allow ' '"),
        ("PANDA.1", "does not allow"),
        ("PÄNDA", "does not allow Ä"),
        ("A$(B)", "does not allow $ ( )"),
        ('A"B', "does not allow"),
        ("P" * 50, "use a prefix of at most"),
    ],
)
def test_bad_prefixes(prefix: str, says: str) -> None:
    with pytest.raises(PlanError) as caught:
        make_plan(pandabox(), prefix)
    assert says in str(caught.value)


def test_the_longest_prefix_fits() -> None:
    with pytest.raises(PlanError) as caught:
        make_plan(pandabox(), "P" * 60)
    room = int(str(caught.value).rsplit(" ", 1)[1])
    plan = make_plan(pandabox(), "P" * room)
    assert max(len(plan.pv(name)) for name in records(plan)) == 60


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PULSE1:DELAY", "monitor@1"),
        ("PULSE1:DELAY:UNITS", "monitor@1"),
        ("PULSE1:TRIG", "monitor@1"),
        ("TTLOUT1:VAL:DELAY", "monitor@1"),
        ("PCAP:ARM", "monitor@1"),
        ("INENC1:HEALTH", "monitor@1"),
        ("INENC1:VAL:CAPTURE", "monitor@1"),
        ("Status", "monitor@1"),
        ("SYSTEM:FPGA_VERSION", "monitor@1"),
        ("DATA:CAPTURE", "monitor@1"),
        ("DATA:NUM_CAPTURED", "scan@1"),
        ("INENC1:VAL:SCALED", "scan@1"),
        ("SYSTEM:TEMP_ZYNQ", "scan@10"),
        ("INENC1:VAL", None),
        ("INENC1:VAL:CAPTURE:TEXT", None),
        ("INENC1:VAL:LIVE", None),
        ("INENC1:SETP", None),
        ("INENC1:HOMED", None),
        ("BITS:OUTA", None),
        ("PULSE1:FORCE_RST", None),
        ("SEQ1:TABLE:TIME1", None),
        ("PULSE1:LABEL", None),
        ("IOC:UPTIME", None),
    ],
)
def test_hints_for_archivers(name: str, hint: str | None) -> None:
    plan = make_plan(pandabox(), "X")
    text = re.search(rf'"X:{name}"\) {{(.*?)\n}}', database(plan), re.DOTALL)
    found = re.search(r'info\(archive, "(.*)"\)', text[1]) if text else None
    assert (found and found[1]) == hint
    assert text or name not in records(plan)


def test_text_is_quoted_for_the_database() -> None:
    model = replace(
        pandabox(),
        blocks={"NEW": Block("NEW", BlockInfo(1), {"A": FieldInfo("param", "int", 'say "$(HOME)" \\ µ\t')})},
    )
    plan = make_plan(model, "X")
    assert 'field(DESC, "say \\x22(HOME)\\x22 \\x5c µ\\x09")' in database(plan)
    assert list(texts_with_macros(plan)) == [("NEW:A", "DESC", 'say "$(HOME)" \\ µ\t')]


@pytest.mark.parametrize(
    ("text", "limit", "short"), [("abc", 3, "abc"), ("abcd", 3, "abc"), ("aµ", 2, "a"), ("\ud800", 9, "?")]
)
def test_shorten(text: str, limit: int, short: str) -> None:
    assert shorten(text, limit).encode(errors="replace") == short.encode()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PULSE1:PULSES", "many"),
        ("PULSE1:PULSES", "4294967296"),
        ("COUNTER1:MAX", "2147483648"),
        ("PULSE1:DELAY", ""),
        ("BITS:A", "2"),
        ("TTLIN1:TERM", "75-Ohm"),
        ("COUNTER1:OUT:SCALED", "1\n2\nx"),
    ],
)
def test_what_the_panda_cannot_mean_is_not_shown(name: str, text: str) -> None:
    with pytest.raises(DecodeError):
        records(make_plan(pandabox(), "X"))[name].codec.decode(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PULSE1:PULSES", 0.5),
        ("PULSE1:PULSES", -1),
        ("PULSE1:PULSES", float("nan")),
        ("PULSE1:DELAY", float("inf")),
        ("PULSE1:DELAY", -1e-9),
        ("TTLIN1:TERM", 2),
        ("TTLOUT1:VAL", "TTLOUT1.VAL"),
        ("COUNTER1:OUT:UNITS", "m\nm"),
        ("COUNTER1:OUT:CAPTURE:TEXT", "No Value"),
        ("COUNTER1:OUT:CAPTURE:TEXT", "Everything"),
        ("PULSE1:LABEL", "x" * 233),
        ("PULSE1:LABEL", "µ" * 117),
        ("COUNTER1:OUT:UNITS:TEXT", "x" * 238),
        ("LUT1:FUNC:TEXT", "A|" * 150 + "A"),
    ],
)
def test_what_cannot_be_meant_is_not_sent(name: str, value: object) -> None:
    record = records(make_plan(pandabox(), "X"))[name]
    with pytest.raises(Refusal):
        record.codec.command(record.target or "", value, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("PULSE1:LABEL", "x" * 232), ("PULSE1:LABEL", "µ" * 116), ("COUNTER1:OUT:UNITS:TEXT", "x" * 236)],
)
def test_the_longest_text_that_a_panda_gives_back_is_sent(name: str, value: str) -> None:
    record = records(make_plan(pandabox(), "X"))[name]
    assert record.codec.command(record.target or "", value, None) == Put(record.target or "", value)


def test_near_matches() -> None:
    labels = ("TTLIN1.VAL", "TTLIN2.VAL", "SEQ1.OUTA", "ZERO")
    assert near_matches("seq1.outa", labels) == "; did you mean SEQ1.OUTA?"
    assert near_matches("TTLIN3.VAL", labels).startswith("; did you mean TTLIN")
    assert near_matches("%%%", labels) == ""
