"""Conversion between table words and columns."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panda_ioc.protocol import (
    GetFieldInfo,
    GetTable,
    LocalProtocolError,
    PutTable,
    RemoteProtocolError,
    TableColumn,
    TableFieldInfo,
    columns_to_words,
    words_to_columns,
)

from ..peers import Peers

INFO = TableFieldInfo(
    "table",
    None,
    max_length=60,
    row_words=3,
    columns={
        "REPEATS": TableColumn("uint", 0, 15),
        "TRIGGER": TableColumn("enum", 16, 19, labels=("Immediate", "BITA=0", "BITA=1")),
        "SMALL": TableColumn("int", 20, 23),
        "OUT": TableColumn("uint", 31, 31),
        "POSITION": TableColumn("int", 32, 63),
        "TIME": TableColumn("uint", 64, 95),
    },
)


def test_both_ways_against_the_simulated_panda() -> None:
    peers = Peers()
    info = peers.ask(GetFieldInfo("SEQ"))["TABLE"]
    words = columns_to_words({"TRIGGER": ["Immediate", "BITA=1"], "POSITION": [-5, 3], "OUTF2": [True, False]}, info)
    assert words.tolist() == [1 << 31, 2**32 - 5, 0, 0, 2 << 16, 3, 0, 0]
    peers.ask(PutTable("SEQ1.TABLE", words))
    columns = words_to_columns(peers.ask(GetTable("SEQ1.TABLE")).words, info, labels=True)
    assert list(columns) == list(info.columns)
    assert columns["TRIGGER"].tolist() == ["Immediate", "BITA=1"]
    assert (columns["POSITION"].dtype.str, columns["POSITION"].tolist()) == ("<i4", [-5, 3])
    assert (columns["OUTF2"].dtype.str, columns["OUTF2"].tolist()) == ("|u1", [1, 0])
    assert (columns["REPEATS"].dtype.str, columns["TIME1"].dtype.str) == ("<u2", "<u4")
    assert words_to_columns(words, info)["TRIGGER"].tolist() == [0, 2]


@given(st.lists(st.integers(0, 2**32 - 1), max_size=10).map(lambda words: words * 3), st.booleans())
def test_any_words_there_and_back(words: list[int], labels: bool) -> None:
    used = np.array(words, np.uint32)
    used[::3] &= 0x80FFFFFF
    columns = words_to_columns(used, INFO, labels=labels)
    assert np.array_equal(columns_to_words(columns, INFO), used)
    assert np.array_equal(columns_to_words({name: list(column) for name, column in columns.items()}, INFO), used)


def test_empty_tables() -> None:
    assert columns_to_words({}, INFO).size == 0
    assert columns_to_words({"TIME": [], "TRIGGER": []}, INFO).size == 0
    assert {len(column) for column in words_to_columns([], INFO, labels=True).values()} == {0}


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"TIMES": [1]}, "unknown column 'TIMES': the columns are REPEATS"),
        ({"TIME": [1], "OUT": [1, 0]}, "different numbers of rows: TIME 1, OUT 2"),
        ({"TIME": [0] * 21}, "21 rows do not fit: the table holds 20 rows"),
        ({"OUT": [0, 2]}, "OUT in row 1 is 2, not between 0 and 1"),
        ({"SMALL": [-9]}, "SMALL in row 0 is -9, not between -8 and 7"),
        ({"TIME": [-1]}, "TIME in row 0 is -1"),
        ({"TIME": [2**32]}, "TIME in row 0 is 4294967296"),
        ({"TIME": [1.5]}, "TIME must be integers, not float64"),
        ({"TIME": ["1"]}, "TIME in row 0 is '1', not a number"),
        ({"TIME": [10**30]}, "TIME in row 0 is 1000000000000000000000000000000"),
        ({"TIME": [None]}, "TIME in row 0 is None, not a number"),
        ({"TIME": [[1]]}, "TIME must be one-dimensional"),
        ({"TIME": 1}, "TIME must be one-dimensional"),
        ({"TRIGGER": ["Immediate", "BITC=1"]}, "TRIGGER in row 1 is 'BITC=1', not one of Immediate, BITA=0, BITA=1"),
        ({"TRIGGER": [16]}, "TRIGGER in row 0 is 16, not between 0 and 15"),
        ({"TRIGGER": ["code 16"]}, "TRIGGER in row 0 is 16, not between 0 and 15"),
    ],
)
def test_what_does_not_fit_is_named(columns: dict[str, Any], named: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        columns_to_words(columns, INFO)
    assert named in str(caught.value)


@pytest.mark.parametrize("words", [[1], [1, 2, 2**32], [1.0, 2.0, 3.0], [["1"]], [[1, 2, 3]], ["1", "2", "3"]])
def test_words_that_are_none(words: Any) -> None:
    with pytest.raises(LocalProtocolError, match="words"):
        words_to_columns(words, INFO)


@pytest.mark.parametrize("column", [TableColumn("uint", 0, 40), TableColumn("uint", 96, 97)])
def test_a_column_outside_of_the_row(column: TableColumn) -> None:
    info = TableFieldInfo("table", None, max_length=60, row_words=3, columns={"X": column})
    with pytest.raises(RemoteProtocolError, match="column X has bits"):
        words_to_columns([1, 2, 3], info)
    with pytest.raises(RemoteProtocolError, match="column X has bits"):
        columns_to_words({"X": [1]}, info)
