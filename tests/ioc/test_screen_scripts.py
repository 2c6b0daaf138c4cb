"""The scripts of the buttons Submit and Discard, in Jython as in Phoebus and with its PV Access client, against an IOC.

They need Java and two jars in the local repository of Maven, or in the folder that PHOEBUS_HOME names:

    mvn -q dependency:get -Dartifact=org.phoebus:core-pva:5.0.5
    mvn -q dependency:get -Dartifact=org.python:jython-standalone:2.7.4 -Dtransitive=false
"""

import asyncio
import json
import os
import random
import shutil
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aioca import caget

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.link.introspection import introspect
from panda_ioc.ioc.plan.plan import make_plan
from panda_ioc.ioc.screens.make import as_files
from panda_ioc.simulator import Server, load

from .process import Ioc, becomes, running_ioc

#: Folders of jars, and the required jars.
PLACES = (Path(os.environ.get("PHOEBUS_HOME") or "/no/phoebus"), Path.home() / ".m2" / "repository")
JARS = ("jython-standalone-*.jar", "core-pva-5.*.jar", "bcprov-*.jar", "bcpkix-*.jar", "bcutil-*.jar")

ROW_LIMIT = 200


def jars() -> list[str]:
    """Return the available jars, the newest version of each."""
    found = [sorted(path for place in PLACES for path in place.rglob(pattern)) for pattern in JARS]
    return [str(paths[-1]) for paths in found if paths]


class Jython:
    """A Jython that runs scripts of screens."""

    def __init__(self, process: asyncio.subprocess.Process, texts: Mapping[str, str], prefix: str) -> None:
        self._process = process
        self._texts = texts
        self._prefix = prefix

    async def press(self, button: str, rows: list[list[str]], *, moved: bool = False) -> tuple[list[str], Any]:
        """Press a button of a table screen; return the dialogs and the displayed rows.

        Args:
            button: the text of the button
            rows: the displayed rows
            moved: whether the last column was moved to the front
        """
        root = ET.fromstring(self._texts["SEQ_TABLE.bob"])
        (script,) = [
            widget.findtext("actions/action/script/text")
            for widget in root.iter("widget")
            if widget.findtext("text") == button
        ]
        headers = [column.findtext("name") for column in root.iter("column")]
        if moved:
            headers.insert(0, headers.pop())
        macros = {"P": self._prefix, "R": "SEQ1"}
        asked = {"script": script, "rows": rows, "headers": headers, "macros": macros}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        answer = json.loads(await asyncio.wait_for(self._process.stdout.readline(), 60))
        assert "failed" not in answer, answer["failed"]
        return answer["told"], answer["rows"]


@pytest.fixture(scope="module")
async def ioc(ca_ports: Iterator[int]) -> AsyncIterator[Ioc]:
    """The IOC of the module."""
    async with (
        Server(load(), control_port=0, data_port=0) as panda,
        running_ioc(panda.control_port, "TEST-SCREEN_SCRIPTS", ca_ports, "--data-port", str(panda.data_port)) as ioc,
    ):
        await becomes(ioc.pv("Status"), 2)
        yield ioc


@pytest.fixture(scope="module")
async def jython(ioc: Ioc) -> AsyncIterator[Jython]:
    found = jars()
    if shutil.which("java") is None or len(found) < len(JARS):
        pytest.skip("there are no Java, no Jython, or no client of Phoebus for PV Access here")
    async with Server(load(), control_port=0, data_port=0) as panda:
        async with AsyncioClient("127.0.0.1", panda.control_port) as client:
            texts = dict(as_files(make_plan(await introspect(client), ioc.prefix)))
    process = await asyncio.create_subprocess_exec(
        *("java", "-cp", ":".join(found), "-Dpython.import.site=false", "-Dpython.cachedir.skip=true"),
        *("org.python.util.jython", str(Path(__file__).with_name("stand_ins.jy"))),
        env={**os.environ, **ioc.environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    try:
        yield Jython(process, texts, ioc.prefix)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


#: Rows as they come from a table in Phoebus, of which the second has empty cells.
ROWS = [
    ["1", "Immediate", "0", "10", *["true"] + ["false"] * 5, "20", *["0"] * 6],
    ["65535", "POSA>=POSITION", "-5", "4.294967295E9", *[""] * 6, " 7 ", *["false"] * 5, "1"],
    [""] * 17,
]


async def test_submit_writes_what_is_shown(ioc: Ioc, jython: Jython) -> None:
    assert (await jython.press("Submit", ROWS))[0] == []
    value = (await ioc.pva_get("SEQ1:TABLE")).value
    assert value.repeats.tolist() == [1, 65535, 0]
    assert list(value.trigger) == ["Immediate", "POSA>=POSITION", "Immediate"]
    assert value.position.tolist() == [0, -5, 0]
    assert value.time1.tolist() == [10, 2**32 - 1, 0]
    assert (value.outa1.tolist(), value.outf2.tolist()) == ([1, 0, 0], [0, 1, 0])
    assert (await caget(ioc.pv("SEQ1:TABLE:PLOT:TIME"))).tolist()[:5] == [0, 10, 30, 30 + 2**32 - 1, 37 + 2**32 - 1]
    # None of this uses the column records, which another client may be editing.
    assert await caget(ioc.pv("SEQ1:TABLE:MODE"), datatype=str) == "VIEW"


@pytest.mark.parametrize(
    ("row", "column", "cell", "told"),
    [
        (0, 3, "soon", "row 1 of 3, TIME1: soon is not a number"),
        (1, 1, "Never", "row 2 of 3, TRIGGER: Never is not one of Immediate, BITA=0"),
        (0, 0, "70000", "row 1 of 3, REPEATS: 70000 is not a whole number from 0 to 65535"),
        (2, 3, "1.5", "row 3 of 3, TIME1: 1.5 is not a whole number from 0 to 4294967295"),
        (2, 2, "inf", "row 3 of 3, POSITION: inf is not a whole number from -2147483648 to 2147483647"),
        (2, 4, "\N{EURO SIGN}", "row 3 of 3, OUTA1: \N{EURO SIGN} is not a number"),
    ],
)
async def test_what_cannot_be_written_is_named_and_changes_nothing(
    ioc: Ioc, jython: Jython, row: int, column: int, cell: str, told: str
) -> None:
    assert (await jython.press("Submit", ROWS))[0] == []
    wrong = [list(cells) for cells in ROWS]
    wrong[row][column] = cell
    (said,), shown = await jython.press("Submit", wrong)
    assert said.startswith(f"The table was not written: {told}")
    assert shown == wrong  # the edits are still there
    assert (await ioc.pva_get("SEQ1:TABLE")).value.time1.tolist() == [10, 2**32 - 1, 0]


async def test_what_the_ioc_refuses_is_told_and_keeps_the_edit(ioc: Ioc, jython: Jython) -> None:
    unknown = [ROWS[0], [*ROWS[1][:1], "code 99", *ROWS[1][2:]]]  # valid in a cell, but not in this table
    (said,), shown = await jython.press("Submit", unknown)
    assert said.startswith("The table was not written: ")
    assert "TRIGGER in row 1" in said
    assert "code 99" in said
    assert shown == unknown


async def test_a_column_that_was_moved_is_still_the_same_column(ioc: Ioc, jython: Jython) -> None:
    """Phoebus has buttons for that."""
    moved = [[row[-1], *row[:-1]] for row in ROWS]
    assert (await jython.press("Submit", moved, moved=True))[0] == []
    assert (await ioc.pva_get("SEQ1:TABLE")).value.time1.tolist() == [10, 2**32 - 1, 0]


async def test_submit_of_no_rows_empties_the_table(ioc: Ioc, jython: Jython) -> None:
    assert (await jython.press("Submit", ROWS))[0] == []
    assert (await jython.press("Submit", []))[0] == []
    assert len((await ioc.pva_get("SEQ1:TABLE")).value.time1) == 0


async def test_discard_shows_what_the_panda_holds(ioc: Ioc, jython: Jython) -> None:
    assert (await jython.press("Submit", ROWS))[0] == []
    told, shown = await jython.press("Discard", [["typed"] * 17])
    assert told == []
    assert [row[1] for row in shown] == ["Immediate", "POSA>=POSITION", "Immediate"]


def a_table(random: random.Random, triggers: list[str]) -> list[list[str]]:
    """A table as an operator may type it."""

    def number(low: int, high: int) -> str:
        return str(random.choice((low, high, random.randint(low, high))))

    def outputs() -> list[str]:
        return [random.choice(("0", "1")) for _ in range(6)]

    return [
        [
            *(number(0, 2**16 - 1), random.choice(triggers), number(-(2**31), 2**31 - 1)),
            *(number(0, 2**32 - 1), *outputs(), number(0, 2**32 - 1), *outputs()),
        ]
        for _ in range(random.randint(1, ROW_LIMIT))
    ]


def cells_of(value: Any) -> list[list[str]]:
    """The cells of a table as PV Access has it."""
    columns = [np.asarray(column).astype(str).tolist() for column in value.todict().values()]
    return [list(row) for row in zip(*columns, strict=True)]


@pytest.mark.long
async def test_every_submit_arrives_whole(ioc: Ioc, jython: Jython) -> None:
    made = random.Random(16)
    triggers = ["Immediate", "BITA=0", "BITC=1", "POSA>=POSITION", "POSC<=POSITION"]
    for _ in range(100):
        rows = a_table(made, triggers)
        assert (await jython.press("Submit", rows))[0] == []
        assert cells_of((await ioc.raw_get("SEQ1:TABLE")).value) == rows
