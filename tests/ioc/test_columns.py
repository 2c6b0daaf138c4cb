"""Columns over Channel Access: the IOC refuses numbers out of range, for each type that clients send."""

from typing import Any

import numpy as np
import pytest
from aioca import DBR_DOUBLE, FORMAT_TIME, caget, caput

from panda_ioc.simulator import Server
from panda_ioc.simulator.tables import TableField

from .process import Ioc, is_refused

MAJOR = 2


@pytest.fixture
async def columns(ioc: Ioc, server: Server) -> list[int]:
    """Edit a table of one row; return its words."""
    words = [7, 5, 1000, 2000]
    table = server.panda.fields["SEQ1.TABLE"]
    assert isinstance(table, TableField)
    seen = await ioc.monitor("SEQ1:TABLE")
    table.put("", [" ".join(map(str, words))])
    while len((await seen.get()).value.repeats) != 1:
        pass
    for mode in ("DISCARD", "EDIT"):
        await caput(ioc.pv("SEQ1:TABLE:MODE"), mode, wait=True, timeout=5)
    return words


def words_of(server: Server) -> list[int]:
    table = server.panda.fields["SEQ1.TABLE"]
    assert isinstance(table, TableField)
    words: list[int] = table.words.tolist()
    return words


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("REPEATS", 70000, "REPEATS in row 0 is 70000: it must be in the range 0 to 65535"),
        ("REPEATS", -1, "REPEATS in row 0 is -1:"),
        ("REPEATS", 65536, "REPEATS in row 0 is 65536:"),
        ("REPEATS", 5e9, "REPEATS in row 0 is "),
        ("REPEATS", float("nan"), "REPEATS in row 0 is "),
        ("OUTA1", 256, "OUTA1 in row 0 is 256: it must be in the range 0 to 1"),
        ("OUTA1", -256, "OUTA1 in row 0 is -256:"),
        ("TIME1", 5e9, "TIME1 in row 0 is 5000000000: it must be in the range 0 to 4294967295"),
        ("TIME1", -1, "TIME1 in row 0 is -1:"),
        ("TIME1", 2.0**32, "TIME1 in row 0 is 4294967296:"),
        ("TIME1", 1.5, "TIME1 in row 0 is 1.5: it must be a whole number"),
        ("TIME1", float("nan"), "TIME1 in row 0 is nan:"),
        ("TIME1", 1e300, "TIME1 in row 0 is 1e+300:"),
        ("POSITION", 3e9, "POSITION in row 0 is 3000000000:"),
        ("POSITION", -(2.0**31) - 1, "POSITION in row 0 is -2147483649:"),
        ("POSITION", float("inf"), "POSITION in row 0 is inf:"),
    ],
)
async def test_what_does_not_fit(
    ioc: Ioc, server: Server, columns: list[int], name: str, value: float, says: str
) -> None:
    pv = ioc.pv(f"SEQ1:TABLE:{name}")
    before = await caget(pv)
    await is_refused(pv, np.array([value]), datatype=DBR_DOUBLE)
    assert says in await ioc.pva_get("IOC:LAST_REFUSED")
    shown: Any = await caget(pv, format=FORMAT_TIME)
    assert (list(shown), shown.severity) == (list(before), MAJOR)
    await caput(ioc.pv("SEQ1:TABLE:MODE"), "SUBMIT", wait=True, timeout=5)
    assert words_of(server) == columns


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("REPEATS", [0, 65535]),
        ("OUTA1", [0, 1]),
        ("TIME1", [0, 2**32 - 1]),
        ("POSITION", [-(2**31), 2**31 - 1]),
    ],
)
async def test_what_just_fits(ioc: Ioc, columns: list[int], name: str, values: list[int]) -> None:
    pv = ioc.pv(f"SEQ1:TABLE:{name}")
    for value in values:
        await caput(pv, np.array([value], float), datatype=DBR_DOUBLE, wait=True, timeout=5)
        await caput(ioc.pv("SEQ1:TABLE:MODE"), "SUBMIT", wait=True, timeout=5)
        table = (await ioc.raw_get("SEQ1:TABLE")).value.todict()
        assert table[name.lower()].tolist() == [value] == list(await caget(pv))
        await caput(ioc.pv("SEQ1:TABLE:MODE"), "EDIT", wait=True, timeout=5)


async def test_the_table_itself_has_the_types_that_clients_expect(ioc: Ioc, columns: list[int]) -> None:
    types = {
        name: values.dtype.str for name, values in (await ioc.raw_get("SEQ1:TABLE")).value.items() if name != "trigger"
    }
    assert types == {
        "repeats": "<u2",
        "position": "<i4",
        **dict.fromkeys(("time1", "time2"), "<u4"),
        **dict.fromkeys((f"out{letter}{phase}" for letter in "abcdef" for phase in (1, 2)), "|u1"),
    }
