"""The structures by which clients find everything, without an IOC."""

from dataclasses import replace

from panda_ioc.ioc.plan.pvi import planned_pvi, pvi_records, pvi_trees
from panda_ioc.ioc.plan.record import Access, Column, Kind, Record, Table


def record(name: str, block: str = "", access: Access = Access.READ) -> Record:
    return Record(name, Kind.LONGOUT, "", access=access, block=block)


def test_groups_letters_and_names() -> None:
    items: list[Record | Table] = [
        record("Status"),
        record("SEQ:ENABLE:DELAY", "SEQ", Access.READ_WRITE),
        record("SEQ:2D", "SEQ"),
        record("SEQ:A-B", "SEQ", Access.EXECUTE),
        replace(record("SEQ:COLUMN", "SEQ", Access.READ_WRITE), staged=True),
        Table("SEQ:TABLE", "", (Column("a", "A", "u1"),), 1, Access.READ_WRITE, "SEQ"),
        Table("SEQ:LIVE", "", (), 1, Access.READ, "SEQ"),
        record("IOC:UPTIME"),
        record("BITS:3:NAME"),
        record("SEQ:ENABLE:DELAY:TEXT", "SEQ"),
    ]
    pvi, _ = planned_pvi(items)
    trees = pvi_trees(pvi, "X")
    assert set(trees) == {"PVI", "SEQ:PVI", "IOC:PVI"}
    assert trees["SEQ:PVI"]["value"] == {
        "enable_delay": {"rw": "X:SEQ:ENABLE:DELAY"},
        "_2d": {"r": "X:SEQ:2D"},
        "a_b": {"x": "X:SEQ:A-B"},
        "column": {"r": "X:SEQ:COLUMN"},
        "table": {"rw": "X:SEQ:TABLE"},
    }
    assert trees["PVI"]["value"] == {
        "status": {"r": "X:Status"},
        "ioc": {"d": "X:IOC:PVI"},
        "seq": {"d": "X:SEQ:PVI"},
    }
    assert {made.name: made.constant for made in pvi_records(pvi, "X")} == {
        "IOC:PVI_PV": "X:IOC:PVI",
        "IOC:PVI:DESCRIPTION": "PVs making up Interface for IOC",
        "SEQ:PVI_PV": "X:SEQ:PVI",
        "SEQ:PVI:DESCRIPTION": "PVs making up Interface for SEQ",
    }


def groups(*blocks: str) -> dict[str, object]:
    pvi, _ = planned_pvi([record(f"{block}:A", block) for block in blocks])
    return dict(pvi_trees(pvi, "X")["PVI"]["value"])


def test_numbered_blocks_are_lists_where_there_is_no_gap() -> None:
    link = {"d": "X:A1:PVI"}
    assert groups("A1") == {"a": [None, link]}
    assert list(groups(*(f"A{number}" for number in range(1, 12)))) == ["a"]
    assert groups("A2") == {"a2": {"d": "X:A2:PVI"}}
    assert set(groups("A1", "A3")) == {"a1", "a3"}
    assert set(groups("A", "A1")) == {"a", "a1"}
    assert set(groups("A01")) == {"a01"}
    assert set(groups("B99999999")) == {"b99999999"}
