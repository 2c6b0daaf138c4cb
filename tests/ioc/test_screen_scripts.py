"""The scripts of the buttons Submit and Discard, run as Phoebus runs them, against an IOC."""

import asyncio
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest
from aioca import caget, caput

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.link.introspect import introspect
from panda_ioc.ioc.plan.plan import make_plan
from panda_ioc.ioc.screens.make import as_files
from panda_ioc.simulator import Server

from .process import Ioc

Put = Callable[[str, Any], Coroutine[Any, Any, Any]]


class Table:
    """The table of a screen."""

    def __init__(self, rows: list[list[str]]) -> None:
        self.rows = rows

    def getValue(self) -> list[list[str]]:  # noqa: N802
        return self.rows

    def setValue(self, rows: list[list[str]]) -> None:  # noqa: N802
        self.rows = rows


class Widget:
    """The button that was pressed."""

    def getEffectiveMacros(self) -> "Widget":  # noqa: N802
        return self

    def getValue(self, name: str) -> str:  # noqa: N802
        return {"P": "TEST-SCREEN_SCRIPTS", "R": "SEQ1"}[name]


def modules(table: Table, put: Put, told: list[str]) -> dict[str, ModuleType]:
    """What scripts import from Phoebus, Java and Jython."""
    loop = asyncio.get_running_loop()

    class PVUtil:
        @staticmethod
        def writePV(name: str, value: Any, timeout: int) -> None:  # noqa: N802
            asyncio.run_coroutine_threadsafe(put(name, value), loop).result(4 * timeout / 1e3)

        @staticmethod
        def getTable(pv: str) -> list[list[str]]:  # noqa: N802
            return [[pv]]

    class ScriptUtil:
        @staticmethod
        def findWidgetByName(_widget: Widget, name: str) -> Table:  # noqa: N802
            return {"Table": table}[name]

        @staticmethod
        def getPrimaryPV(_widget: Table) -> str:  # noqa: N802
            return "what the PandA holds"

        @staticmethod
        def showErrorDialog(_widget: Widget, text: str) -> None:  # noqa: N802
            told.append(text)

    script = ModuleType("org.csstudio.display.builder.runtime.script")
    script.__dict__.update(PVUtil=PVUtil, ScriptUtil=ScriptUtil)
    java, jarray = ModuleType("java.lang"), ModuleType("jarray")
    java.__dict__.update(Exception=OSError, String=str)
    jarray.__dict__.update(array=lambda values, _kind: list(values))
    parents = {name: ModuleType(name) for name in ("java", "org", "org.csstudio", "org.csstudio.display")}
    deep = {f"org.csstudio.display.{name}": ModuleType(name) for name in ("builder", "builder.runtime")}
    return {**parents, **deep, script.__name__: script, "java.lang": java, "jarray": jarray}


async def press(
    button: str, texts: dict[str, str], table: Table, put: Put, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Press a button; give what was told in dialogs."""
    told: list[str] = []
    root = ET.fromstring(texts["SEQ_TABLE.bob"])
    (script,) = [
        widget.findtext("actions/action/script/text")
        for widget in root.iter("widget")
        if widget.findtext("text") == button
    ]
    for name, module in modules(table, put, told).items():
        monkeypatch.setitem(sys.modules, name, module)
    await asyncio.to_thread(exec, compile(script or "", button, "exec"), {"widget": Widget()})
    return told


@pytest.fixture
async def texts(server: Server) -> dict[str, str]:
    async with AsyncioClient("127.0.0.1", server.control_port) as client:
        return dict(as_files(make_plan(await introspect(client), "TEST-SCREEN_SCRIPTS")))


async def ca(name: str, value: Any) -> Any:
    """As Phoebus puts from scripts: it does not wait until the put is done."""
    return await caput(name, value, timeout=20)


async def holds(ioc: Ioc, times: list[int]) -> None:
    """Wait until the table is seen with some TIME1 and nobody edits it."""
    async with asyncio.timeout(20):
        while True:
            mode = await caget(ioc.pv("SEQ1:TABLE:MODE"), datatype=str)
            if (mode, (await ioc.pva_get("SEQ1:TABLE")).value.time1.tolist()) == ("VIEW", times):
                return
            await asyncio.sleep(0.01)


#: TIME1 of these rows.
TIMES = [10, 2**32 - 1]


def rows() -> list[list[str]]:
    """Two rows, of which the second has changed cells."""
    return [
        ["1", "Immediate", "0", "10", *["true"] + ["false"] * 5, "20", *["0"] * 6],
        ["65535", "POSA>=POSITION", "-5", "4.294967295E9", *["0"] * 6, "7", *["false"] * 5, "1"],
    ]


async def test_submit_writes_what_is_shown(
    ioc: Ioc, texts: dict[str, str], other: AsyncioClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await press("Submit", texts, Table(rows()), ca, monkeypatch) == []
    await holds(ioc, TIMES)
    table = await ioc.pva_get("SEQ1:TABLE")
    assert table.value.repeats.tolist() == [1, 65535]
    assert list(table.value.trigger) == ["Immediate", "POSA>=POSITION"]
    assert table.value.position.tolist() == [0, -5]
    assert (table.value.outa1.tolist(), table.value.outf2.tolist()) == ([1, 0], [0, 1])
    assert (await caget(ioc.pv("SEQ1:TABLE:PLOT:TIME"))).tolist() == [0, 10, 30, 30 + 2**32 - 1, 37 + 2**32 - 1]


@pytest.mark.parametrize(("row", "column", "cell"), [(0, 3, "soon"), (1, 1, "Never"), (0, 0, "70000"), (1, 3, "")])
async def test_what_cannot_be_written_changes_nothing(
    ioc: Ioc, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch, row: int, column: int, cell: str
) -> None:
    await press("Submit", texts, Table(rows()), ca, monkeypatch)
    await holds(ioc, TIMES)
    wrong = rows()
    wrong[row][column] = cell
    (told,) = await press("Submit", texts, Table(wrong), ca, monkeypatch)
    assert told.startswith("The table was not written: ")
    await holds(ioc, TIMES)


async def test_discard_shows_what_the_panda_holds(
    ioc: Ioc, texts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table(rows())
    assert await press("Discard", texts, table, ca, monkeypatch) == []
    assert table.rows == [["what the PandA holds"]]
