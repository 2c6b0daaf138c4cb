"""Settings as data: parsing a design, and comparison."""

import json

import numpy as np
import pytest

from panda_ioc.protocol import TableColumn, TableFieldInfo
from panda_ioc.settings import Rows, Settings, SettingsError, compare, parse
from panda_ioc.simulator import Simulation, load

SEQ = TableFieldInfo(
    "table",
    None,
    row_words=2,
    columns={
        "REPEATS": TableColumn("uint", 0, 15),
        "TRIGGER": TableColumn("enum", 16, 19, labels=("Immediate", "BITA=0")),
        "POSITION": TableColumn("int", 32, 63),
    },
)


def test_all_that_a_panda_saves_is_parsed() -> None:
    sim = Simulation(load())
    sim.set_up(
        ["PULSE1.DELAY.UNITS=ms", "PULSE1.DELAY=5", "SEQ1.TABLE<", "1 2 3 4", "", "*METADATA.LAYOUT<", "a", "b", ""]
    )
    saved = [
        "# a comment",
        "",
        *(line.removeprefix("!") for line in sim.say("*CHANGES.CONFIG?", "*CHANGES.ATTR?") if line != "."),
    ]
    settings = parse(
        [
            *saved,
            "SEQ1.TABLE<B",
            *(line[1:] for line in sim.say("SEQ1.TABLE.B?")[:-1]),
            "",
            "*METADATA.LAYOUT<",
            "a",
            "b",
            "",
        ]
    )
    assert settings.shown("PULSE1.DELAY") == "5 ms"
    assert settings.seconds("PULSE1.DELAY") == 0.005
    assert settings.tables["SEQ1.TABLE"].tolist() == [1, 2, 3, 4]
    assert settings.texts == {"*METADATA.LAYOUT": ("a", "b")}
    assert len(settings.values) > 500


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["PULSE1.DELAY"], "line 1: 'PULSE1.DELAY' is neither NAME=value nor the start of a table"),
        (["SEQ1.TABLE<", "1"], "does not end with an empty line"),
        (["SEQ1.TABLE<", "1 x", ""], "table SEQ1.TABLE: 'x' is not a number"),
        (["SEQ1.TABLE<B", "AAA=A", ""], "table SEQ1.TABLE: a line is not valid base64"),
        (["SEQ1.TABLE<B", "AAAA", ""], "table SEQ1.TABLE: 3 bytes are not a whole number of 32-bit words"),
    ],
)
def test_what_is_no_design_is_told(lines: list[str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        parse(lines)


def difference(a: list[str], b: list[str]) -> list[tuple[str, str, str | None, str | None]]:
    return [(one.block, one.field, one.a, one.b) for one in compare(parse(a), parse(b))]


def test_differences_are_told_block_by_block_with_units() -> None:
    a = ["PULSE10.WIDTH.UNITS=us", "PULSE10.WIDTH=3", "PULSE2.TRIG=ZERO", "*METADATA.DESIGN=a", "SEQ1.REPEATS=0"]
    b = [
        "PULSE10.WIDTH.UNITS=us",
        "PULSE10.WIDTH=4",
        "PULSE2.TRIG=TTLIN1.VAL",
        "*METADATA.DESIGN=b",
        "SEQ1.REPEATS=0",
        "LUT1.A=1",
    ]
    assert difference(a, b) == [
        ("LUT1", "A", None, "1"),
        ("PULSE2", "TRIG", "ZERO", "TTLIN1.VAL"),
        ("PULSE10", "WIDTH", "3 us", "4 us"),
        ("*METADATA", "DESIGN", "a", "b"),
    ]
    assert difference(a, a) == []


def test_the_same_number_written_in_another_way_is_no_difference() -> None:
    assert difference(["A.B=0.5"], ["A.B=5e-1"]) == []
    assert difference(["*METADATA.LABEL_A=1"], ["*METADATA.LABEL_A=1.0"]) == [("*METADATA", "LABEL_A", "1", "1.0")]
    in_s, in_ms = ["A.T.UNITS=s", "A.T=0.5"], ["A.T.UNITS=ms", "A.T=500"]
    assert difference(in_s, in_ms) == [("A", "T.UNITS", "s", "ms")]
    assert ("A", "T", "0.5 s", "501 ms") in difference(in_s, ["A.T.UNITS=ms", "A.T=501"])
    assert difference(["A.B=nan"], ["A.B=nan"]) == []
    assert difference(["A.B=010"], ["A.B=0x10"]) == [("A", "B", "010", "0x10")]


def test_times_that_were_saved_in_ticks_are_times() -> None:
    in_ticks = ["PULSE1.DELAY.UNITS=ms", "PULSE1.DELAY.RAW=12500000001"]
    assert parse(in_ticks).shown("PULSE1.DELAY") == "100000.000008 ms"
    assert difference(in_ticks, ["PULSE1.DELAY.UNITS=ms", "PULSE1.DELAY=100000"]) == [
        ("PULSE1", "DELAY", "100000.000008 ms", "100000 ms")
    ]
    assert difference(["A.T.UNITS=us", "A.T.RAW=125"], ["A.T.UNITS=us", "A.T=1"]) == []
    assert difference(["A.T.RAW=125"], ["A.T=1e-6"]) == []


def test_tables_are_compared_row_by_row() -> None:
    a = parse(["SEQ1.TABLE<", "65537 4294967295 2 5", ""])
    b = parse(["SEQ1.TABLE<", "65537 7 2 5 1 1", ""])
    (one,) = compare(a, b, lambda _: Rows(SEQ))
    assert (one.block, one.field, one.a, one.b) == ("SEQ1", "TABLE", "2 rows", "3 rows")
    assert one.rows == ("row 1: POSITION -1 -> 7", "row 3 only in b: REPEATS 1, TRIGGER Immediate, POSITION 1")
    assert json.loads(json.dumps(one.as_json()))["rows"] == list(one.rows)
    assert compare(a, a) == []
    (one,) = compare(parse(["T.T<", *map(str, range(100)), ""]), Settings(), lambda _: Rows(None))
    assert len(one.rows) == 21
    assert (one.a, one.b) == ("100 words", "0 words")
    assert one.rows[0] == "word 1 only in a: all 0"
    assert one.rows[-1] == "and 80 more words"


def test_rows_that_are_cut_off_or_have_unknown_labels_are_read_as_far_as_they_go() -> None:
    rows = Rows(SEQ).read(np.array([9 << 16, 5, 1], np.uint32))
    assert rows == [{"REPEATS": 0, "TRIGGER": 9, "POSITION": 5}]
