"""The screens in CS-Studio Phoebus with the demo. The results of clicks are checked by PV.

PHOEBUS_HOME names a directory with Phoebus' jars, or with a folder `lib` of them; Java and Xvfb are required.
Without them, these tests are skipped. SCREEN_PICTURES names a directory that keeps a picture of every screen,
PHOEBUS_MINUTES sets how long the plots are observed.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aioca import caget

from panda_ioc.simulator import Server, load, load_scenario
from panda_ioc.simulator.scenario import DEMO

from ..ioc.bobfiles import Opened, expanded, opened
from ..ioc.process import Ioc, becomes, running_ioc
from ..ioc.test_screen_scripts import a_table, cells_of
from .driver import Phoebus, missing, running

pytestmark = [pytest.mark.phoebus, pytest.mark.slow]

PREFIX = "PHOEBUS-DEMO"
TABLE = "SEQ2 Table"

#: Whether the table shows the value of its PV, not edits.
_SHOWN = f"isinstance(named({TABLE!r}, 'Table').getPropertyValue('value'), VTable)"

#: Warnings of Phoebus about correct screens.
HARMLESS = (
    "Unsupported JavaFX configuration",
    "phoebus.folder.name.preference",
    "PhoebusApplication",
    "BufferUtil",
    "No archived data",
    "Gdk-WARNING",
    # A screen was closed while it still connected.
    "while channel is null",
    # With only the first sample of an acquisition, the time range is empty.
    "Axis time: Invalid value range",
)


@dataclass
class Stage:
    """Screens in a directory, their IOC, and a Phoebus."""

    directory: Path
    ioc: Ioc
    phoebus: Phoebus

    async def open(self, file: str, title: str, **macros: str) -> None:
        """Open a screen."""
        await self.phoebus.open(self.directory / file, title, macros)

    async def rows(self) -> list[list[str]]:
        """Return the displayed rows."""
        shown: list[list[str]] = await self.phoebus.run(
            f"result = [list(row) for row in named({TABLE!r}, 'Table').getValue()]"
        )
        return shown

    async def submit(self, rows: list[list[str]]) -> None:
        """Edit the table and press Submit."""
        await self.phoebus.run(f"named({TABLE!r}, 'Table').setValue({rows!r}); press({TABLE!r}, 'Submit')")

    async def held(self) -> list[list[str]]:
        """Return the rows of the PandA."""
        return cells_of((await self.ioc.raw_get("SEQ2:TABLE")).value)

    async def holds(self, rows: list[list[str]]) -> None:
        """Wait until the PandA has a table, and the screen shows it instead of the edits."""
        async with asyncio.timeout(20):
            while True:
                if await self.held() == rows:
                    break
                await asyncio.sleep(0.02)
        await self.phoebus.becomes(_SHOWN)


@pytest.fixture(scope="module")
async def stage(ca_ports: Iterator[int], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    if reason := missing():
        pytest.skip(reason)
    screens, designs, files = (tmp_path_factory.mktemp(name) for name in ("screens", "designs", "phoebus"))
    async with Server(load(), control_port=0, data_port=0, scenario=load_scenario(DEMO)) as panda:
        options = ("--data-port", str(panda.data_port), "--screens-dir", str(screens), "--designs-dir", str(designs))
        async with running_ioc(panda.control_port, PREFIX, ca_ports, *options) as ioc:
            await ioc.wait_for("screens, 0 removed")
            async with running(files, ioc.environment) as phoebus:
                yield Stage(screens, ioc, phoebus)


@pytest.fixture
async def table(stage: Stage) -> Stage:
    """The screen of a table, which shows the rows of the PandA."""
    await stage.open("SEQ_TABLE.bob", TABLE, P=PREFIX, R="SEQ2")
    await stage.phoebus.becomes(_SHOWN)
    return stage


def title_of(screen: Opened) -> str:
    return expanded(screen.root.findtext("name") or "", screen.macros)


async def test_every_screen_opens_and_all_of_it_connects(stage: Stage, tmp_path: Path) -> None:
    texts = {path.name: path.read_text() for path in stage.directory.glob("*.bob")}
    screens = {screen.file: screen for screen in reversed(opened(texts))}
    pictures = Path(os.environ.get("SCREEN_PICTURES") or tmp_path)
    for screen in screens.values():
        title = title_of(screen)
        await stage.phoebus.open(stage.directory / screen.file, title, screen.macros)
        count = await stage.phoebus.run(f"result = len(channels({title!r}))")
        assert count >= len(screen.root.findall(".//pv_name")) * 0.3
        await stage.phoebus.settled(title)
        await stage.phoebus.picture(title, pictures / f"{screen.file.removesuffix('.bob')}.png")
        await stage.phoebus.run(f"close({title!r})")
    assert len(screens) > 30
    assert await stage.phoebus.run("result = dialogs()") == []
    lines = stage.phoebus.log.read_text().splitlines()
    assert [line for line in lines if ("WARN" in line or "SEVERE" in line) and not any(map(line.count, HARMLESS))] == []


async def test_a_hundred_submits_arrive_whole(table: Stage) -> None:
    made = random.Random(16)
    for _ in range(100):
        rows = a_table(made, ["Immediate", "BITA=0", "POSC<=POSITION"])
        await table.submit(rows)
        await table.holds(rows)
    assert await table.phoebus.run("result = dialogs()") == []


async def test_a_refused_submit_says_why_and_keeps_the_edit(table: Stage) -> None:
    before = await table.held()
    good = ["1", "Immediate", "0", "10", *["0"] * 6, "20", *["0"] * 6]
    for trigger, told in (("Never", "row 2 of 2, TRIGGER: Never is not one of"), ("code 99", "TRIGGER in row 1")):
        edited = [good, ["", trigger, *[""] * 15]]
        await table.submit(edited)
        await table.phoebus.becomes("len(dialogs())", 1)
        (said,) = await table.phoebus.run("result = dialogs()")
        assert said.startswith("The table was not written: ")
        assert told in said
        await table.phoebus.run("close_dialogs()")
        await table.phoebus.becomes(f"[list(row) for row in named({TABLE!r}, 'Table').getValue()]", edited)
        assert await table.held() == before
    await table.phoebus.run(f"press({TABLE!r}, 'Discard')")
    await table.phoebus.becomes(
        f"[[unicode(cell) for cell in row] for row in named({TABLE!r}, 'Table').getValue()]", before
    )


async def test_a_new_row_is_submitted_without_filling_in_all_cells(table: Stage) -> None:
    await table.submit([["", "", "", "7", *[""] * 13]])
    await table.holds([["0", "Immediate", "0", "7", *["0"] * 13]])


async def test_an_empty_table_has_a_plot(table: Stage) -> None:
    written = len(table.phoebus.log.read_text())
    await table.submit([])
    await table.holds([])
    await table.phoebus.becomes(f"named({TABLE!r}, 'Table').getValue().size()", 0)
    await table.phoebus.settled(TABLE)
    assert "Broken tickmark" not in table.phoebus.log.read_text()[written:]


async def trace(stage: Stage, axis: str, number: int = 0) -> str:
    """Return the PV of a trace of the plot."""
    code = f"result = plot('Data').getPropertyValue('traces[{number}].{axis}_pv')"
    return str(await stage.phoebus.run(code))


async def test_what_is_chosen_is_plotted(stage: Stage) -> None:
    await stage.open("Data.bob", "Data", P=PREFIX)
    assert await trace(stage, "y") == f"pva://{PREFIX}:INENC1:VAL:LIVE"
    assert await trace(stage, "x") == f"pva://{PREFIX}:DATA:LIVE:TIME"
    combos = "[one for one in widgets(find('Data')[1]) if 'LIVE:%s<' in one.getPropertyValue('name')][0]"
    for letter, chosen in (("y", "COUNTER1:OUT"), ("x", "INENC2:VAL")):
        await stage.phoebus.run(f"choose({combos % letter}, {chosen!r})")
        name = f"pva://{PREFIX}:{chosen}:LIVE"
        await stage.phoebus.becomes(f"plot('Data').getPropertyValue('traces[0].{letter}_pv')", name)
        await stage.phoebus.becomes(f"channels('Data').get({name!r})")
    assert await stage.phoebus.run("result = plot('Data').getPropertyValue('y_axes[0].title')") == "COUNTER1:OUT"
    assert await stage.phoebus.run("result = plot('Data').getPropertyValue('x_axis.title')") == "INENC2:VAL"
    offered = await stage.phoebus.run(f"result = list({combos % 'y'}.getItems())")
    captured = await caget(stage.ioc.pv("INENC1:VAL:CAPTURE"), datatype=str)
    assert captured != "No"
    assert "INENC1:VAL" in offered
    assert await caget(stage.ioc.pv("INENC4:VAL:CAPTURE"), datatype=str) == "No"
    assert "INENC4:VAL" not in offered


async def test_the_plots_live(stage: Stage) -> None:
    """The curves of a plot are updated continuously, without errors."""
    await stage.open("Data.bob", "Data", P=PREFIX)
    written = len(stage.phoebus.log.read_text())
    ends = time.monotonic() + 60 * float(os.environ.get("PHOEBUS_MINUTES") or 0.5)
    seen: list[int] = []
    while time.monotonic() < ends:
        await asyncio.sleep(5)
        seen.append(await stage.phoebus.run("result = drawn('Data')"))
    assert all(one != other for one, other in zip(seen, seen[1:], strict=False))
    log = stage.phoebus.log.read_text()[written:]
    assert "Update failed" not in log
    assert "Exception" not in log


async def test_a_capture_of_all_kinds_can_be_chosen(stage: Stage) -> None:
    """Also records with more choices than Channel Access permits."""
    await stage.open("INENC.bob", "INENC3", P=PREFIX, R="INENC3")
    name = f"pva://{PREFIX}:INENC3:VAL:CAPTURE"
    choice = "Min Max StdDev"
    items = await stage.phoebus.run(f"result = list(value_of('INENC3', {name!r}).getDisplay().getChoices())")
    assert len(items) > 16
    wanted = next(item for item in items if set(item.split()) == set(choice.split()))
    await stage.phoebus.run(f"choose(named('INENC3', {name!r}), {wanted!r})")
    await stage.phoebus.becomes(f"value_of('INENC3', {name!r}).getValue()", wanted)
    text = await stage.ioc.raw_get("INENC3:VAL:CAPTURE:TEXT")
    assert set(text.value.split()) == set(choice.split())


async def test_arm_and_disarm(stage: Stage) -> None:
    overview = f"PandA {PREFIX}"
    await stage.open("Overview.bob", overview)
    accepted = await caget(stage.ioc.pv("IOC:PUTS_ACCEPTED"))
    await stage.phoebus.run(f"press({overview!r}, 'Disarm')")
    await becomes(stage.ioc.pv("IOC:PUTS_ACCEPTED"), accepted + 1)
    await stage.phoebus.run(f"press({overview!r}, 'Arm')")
    await becomes(stage.ioc.pv("IOC:PUTS_ACCEPTED"), accepted + 2)
    await becomes(stage.ioc.pv("PCAP:ACTIVE"), 1)


async def test_why_a_press_was_refused_is_shown_where_it_was_pressed(stage: Stage) -> None:
    for file, title in (("Overview.bob", f"PandA {PREFIX}"), ("Data.bob", "Data")):
        await stage.open(file, title, **({"P": PREFIX} if title == "Data" else {}))
        refused = await caget(stage.ioc.pv("IOC:PUTS_REFUSED"))
        await stage.phoebus.run(f"press({title!r}, 'Capture')")
        await becomes(stage.ioc.pv("IOC:PUTS_REFUSED"), refused + 1)
        shown = f"text_of(value_of({title!r}, '{PREFIX}:IOC:LAST_REFUSED'))"
        await stage.phoebus.becomes(f"{shown}.startswith('{PREFIX}:DATA:CAPTURE = ')")


async def test_a_design_is_named_before_it_is_loaded(stage: Stage) -> None:
    await stage.open("Designs.bob", "Designs", P=PREFIX)
    await stage.ioc.pva_put("DESIGN:NAME", "scan 7")
    await stage.phoebus.becomes(
        "named('Designs', 'Load').getPropertyValue('confirm_message')",
        "Replace all settings of the PandA with the design scan 7?",
    )
    await stage.phoebus.run("press('Designs', 'Load')")
    await stage.phoebus.becomes("dialogs()", ["Replace all settings of the PandA with the design scan 7?"])
    await stage.phoebus.run("close_dialogs()")


async def test_the_wiring_follows(stage: Stage) -> None:
    await stage.open("Wiring.bob", "Wiring", P=PREFIX)
    connections = "[list(row)[:2] for row in named('Wiring', 'Table').getValue()]"
    await stage.phoebus.becomes(f"['INENC1.VAL', 'PCOMP1.INP'] in {connections}")
    await stage.ioc.pva_put("TTLOUT3:VAL", "SEQ1.OUTB")
    await stage.phoebus.becomes(f"['SEQ1.OUTB', 'TTLOUT3.VAL'] in {connections}")
    await stage.ioc.pva_put("TTLOUT3:VAL", "ZERO")
    await stage.phoebus.becomes(f"'TTLOUT3.VAL' in [row[1] for row in {connections}]", wanted=False)


async def test_the_way_back_opens_no_more_tabs(stage: Stage) -> None:
    await stage.open("Overview.bob", f"PandA {PREFIX}")
    await stage.phoebus.run(f"press('PandA {PREFIX}', 'PULSE1')")
    await stage.phoebus.becomes("find('PULSE1') is not None")
    tabs = await stage.phoebus.run("result = len(instances())")
    await stage.phoebus.run("press('PULSE1', 'Overview')")
    await stage.phoebus.becomes(f"titles().count('PandA {PREFIX}')", 2)
    assert await stage.phoebus.run("result = (find('PULSE1'), len(instances()))") == [None, tabs]
