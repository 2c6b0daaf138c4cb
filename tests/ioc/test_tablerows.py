"""Words of tables and their columns, without a PandA."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from panda_ioc.ioc.plan.codecs import Refusal
from panda_ioc.ioc.plan.tablerows import rows_of
from panda_ioc.protocol import TableFieldInfo
from panda_ioc.protocol.fields import TableColumn


def info(columns: Mapping[str, TableColumn], max_length: int = 10) -> TableFieldInfo:
    return TableFieldInfo("table", None, max_length=max_length, row_words=2, columns=columns)


COLUMNS = {
    "FLAG": TableColumn("uint", 0, 0),
    "SMALL": TableColumn("int", 1, 5),
    "MIDDLE": TableColumn("int", 6, 16),
    "KIND": TableColumn("enum", 17, 18, labels=("none", "one")),
    "CODE": TableColumn("enum", 19, 21),
    "WIDE": TableColumn("int", 32, 63),
}
ODD = info(COLUMNS)


def test_types_are_as_wide_as_the_bits_need() -> None:
    types = {bits.column.name: bits.column.dtype for bits in rows_of(ODD).bits}
    assert types == {"flag": "u1", "small": "i1", "middle": "i2", "kind": "str", "code": "u1", "wide": "i4"}


def test_any_words_survive_both_ways() -> None:
    rows = rows_of(info(COLUMNS, max_length=1000))
    used = np.array([(1 << 22) - 1, 2**32 - 1] * 100, np.uint32)
    words = np.random.default_rng(1).integers(0, 2**32, 200, dtype=np.uint32)
    assert np.array_equal(rows.encode(rows.decode(words)), words & used)


def test_signs_and_codes() -> None:
    columns = rows_of(ODD).decode(np.array([0x3FFFFF, 0xFFFFFFFE], np.uint32))
    assert {name: list(column) for name, column in columns.items()} == {
        "flag": [1],
        "small": [-1],
        "middle": [-1],
        "kind": ["code 3"],
        "code": [7],
        "wide": [-2],
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"flag": [2]}, "FLAG in row 0 is 2: it must be in the range 0 to 1"),
        ({"small": [16]}, "SMALL in row 0 is 16: it must be in the range -16 to 15"),
        ({"small": [-17]}, "-17: it must be in the range"),
        ({"wide": [2**31]}, "WIDE in row 0"),
        ({"wide": np.array([2**63], np.uint64)}, "WIDE in row 0"),
        ({"wide": [1.5]}, "WIDE in row 0 is 1.5: it must be a whole number"),
        ({"wide": ["x"]}, "WIDE must be an array of whole numbers, not of <U1"),
        ({"kind": ["two"]}, "KIND in row 0 is 'two': it must be one of the choices"),
        ({"kind": ["code 4"]}, "must be one of the choices"),
        ({"kind": [3]}, "must be one of the choices"),
        ({"flag": [0, 0]}, "must have the same number of rows: flag 2, small 1"),
        ({"flag": []}, "must have the same number of rows"),
    ],
)
def test_what_cannot_be_there_is_refused(change: dict[str, Any], says: str) -> None:
    rows = rows_of(ODD)
    columns = rows.decode(np.zeros(2, np.uint32))
    with pytest.raises(Refusal, match=says):
        rows.encode({**columns, **change})


def test_too_many_rows_and_missing_columns() -> None:
    rows = rows_of(ODD)
    with pytest.raises(Refusal, match="too many rows: 6, the table holds at most 5"):
        rows.encode(rows.decode(np.zeros(12, np.uint32)))
    with pytest.raises(Refusal, match="missing columns: flag, small, middle, kind, code"):
        rows.encode({"wide": np.zeros(1, np.int32)})


def test_a_part_of_a_row_is_left_out() -> None:
    assert len(rows_of(ODD).decode(np.zeros(5, np.uint32))["wide"]) == 2


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({}, "no columns"),
        ({"A": TableColumn("uint", 64, 65)}, "column A has bits 65:64, which are not in one word of a row of 2 words"),
        ({"A": TableColumn("uint", 31, 32)}, "column A has bits 32:31, which are not in one word of a row of 2 words"),
        ({"1A": TableColumn("uint", 0, 1)}, "invalid column name '1A'"),
        ({"Ä": TableColumn("uint", 0, 1)}, "invalid column name"),
        ({"A": TableColumn("uint", 0, 1), "a": TableColumn("uint", 2, 3)}, "two columns have the same name"),
    ],
)
def test_tables_that_make_no_sense(columns: dict[str, TableColumn], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        rows_of(info(columns))
