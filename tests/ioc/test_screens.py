"""Screens, without a viewer: what they name is served, what they show has room, and people's own files stay."""

import logging
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
from aioca import caget

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.link.introspect import introspect
from panda_ioc.ioc.plan.buses import BUSES
from panda_ioc.ioc.plan.model import Block, Model
from panda_ioc.ioc.plan.plan import Plan, make_plan
from panda_ioc.ioc.plan.record import Access
from panda_ioc.ioc.screens.files import is_ours, try_write, write
from panda_ioc.ioc.screens.make import as_files
from panda_ioc.protocol import BlockInfo, Changes, EnumFieldInfo, FieldInfo, Identity
from panda_ioc.simulator import Server, load

from ..command import panda_ioc
from ..conftest import SHARED, free_port
from ..replay import replaying
from .bobfiles import Opened, badly_laid, opened, unknown
from .process import running_ioc


async def plan_of(port: int, prefix: str) -> Plan:
    async with AsyncioClient("127.0.0.1", port) as client:
        return make_plan(await introspect(client), prefix, designs=True)


@pytest.fixture(scope="module", params=["simulated", "recorded"])
async def plan(request: pytest.FixtureRequest) -> AsyncIterator[Plan]:
    if request.param == "recorded":
        if not SHARED.is_dir():
            pytest.skip("there are no recordings of a real server here")
        async with replaying(SHARED, free_port(), free_port()) as port:
            yield await plan_of(port, "XF:31ID1-ES{PANDA:1}")
    else:
        async with Server(load(), control_port=0, data_port=0) as server:
            yield await plan_of(server.control_port, "PANDA")


@pytest.fixture(scope="module")
def screens(plan: Plan) -> list[Opened]:
    return opened(as_files(plan))


def plan_of_fields(fields: Mapping[str, FieldInfo], number: int = 1, block: str = "NEW") -> Plan:
    model = Model(Identity("a", "b", "c"), {block: Block(block, BlockInfo(number), fields)}, Changes())
    return make_plan(model, "X")


def test_phoebusgen_takes_all_that_it_is_given(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    as_files(plan)
    assert capsys.readouterr().out == ""


def test_every_pv_on_a_screen_is_served(plan: Plan, screens: list[Opened]) -> None:
    assert sum(len(screen.pvs) for screen in screens) > 2000
    assert unknown(screens, plan) == set()


def test_nothing_overlaps_is_cut_or_leaves_its_parent(screens: list[Opened]) -> None:
    assert [problem for screen in screens for problem in badly_laid(screen)] == []


def test_every_screen_can_be_reached_and_has_its_macros(plan: Plan, screens: list[Opened]) -> None:
    assert {screen.file for screen in screens} == set(as_files(plan))
    assert [screen.file for screen in screens if any("$(" in pv for pv in screen.pvs)] == []


def test_every_setting_is_two_clicks_away(plan: Plan, screens: list[Opened]) -> None:
    settable = set[str]().union(*(screen.settable for screen in screens if screen.clicks <= 2))
    tables = {f"{table.name}:" for table in plan.tables}
    missing = [
        record.name
        for record in plan.records
        if record.access is not Access.READ
        and not record.name.endswith(":TEXT")
        and not record.name.startswith(tuple(tables))  # the table itself is edited
        and not {plan.pv(name) for name in (record.name, f"{record.name}:TEXT")} & settable
    ]
    assert missing == []
    edited = [table for table in plan.tables if table.access is Access.READ_WRITE and table.service != BUSES]
    assert {plan.pv(table.name) for table in edited} <= settable  # of the buses each row is there


def test_multiplexers_and_enums_have_all_choices(plan: Plan) -> None:
    root = ET.fromstring(as_files(plan)["TTLOUT.bob"])
    combo = next(widget for widget in root.iter("widget") if widget.findtext("pv_name") == "$(P):$(R):VAL")
    labels = next(record.labels for record in plan.records if record.name == "TTLOUT1:VAL")
    assert [item.text for item in combo.findall("items/item")] == list(labels)
    assert len(labels) > 100
    description = next(record.description for record in plan.records if record.name == "TTLOUT1:VAL")
    assert (combo.findtext("tooltip") or "").startswith(f"{description}\n")


def test_screens_fit_a_monitor(screens: list[Opened]) -> None:
    sizes = {screen.file: [int(screen.root.findtext(tag) or 0) for tag in ("width", "height")] for screen in screens}
    assert {file: size for file, size in sizes.items() if size[0] > 1920 or size[1] > 1030} == {}


def test_all_screens_are_written_in_two_seconds(plan: Plan, tmp_path: Path) -> None:
    as_files(plan)  # phoebusgen is imported
    began = time.process_time()
    written = write(as_files(plan), tmp_path)
    assert time.process_time() - began < 2
    assert len(written.written) == len(list(tmp_path.iterdir()))


def test_texts_that_nobody_foresaw(tmp_path: Path) -> None:
    labels = ("$(P)", "<&>", "x" * 300, "\x01\x1b", "é" * 20)
    fields: dict[str, FieldInfo] = {
        "A": FieldInfo("param", "lut", "<b> & $(P) ${X} \x00 \ufffe ]]>"),
        "B": EnumFieldInfo("param", "enum", "\n\n", labels),
        **{f"P{number}": FieldInfo("param", "bit", "") for number in range(100)},
    }
    plan = plan_of_fields(fields, 3)
    texts = as_files(plan)
    screens = opened(texts)
    assert {"NEW.bob", "Overview.bob"} <= set(texts)
    assert unknown(screens, plan) == set()
    assert [one for screen in screens for one in badly_laid(screen) if "no room" not in one] == []
    write(texts, tmp_path)


@pytest.mark.parametrize("block", ["DATA", "data", "OVERVIEW", "Plot"])
def test_a_block_with_the_name_of_a_screen(block: str) -> None:
    plan = plan_of_fields({"A": FieldInfo("param", "bit", "")}, 2, block)
    texts = as_files(plan)
    assert len({name.lower() for name in texts}) == len(texts)
    assert unknown(opened(texts), plan) == set()


def test_instances_that_differ_have_screens_of_their_own() -> None:
    one, two = FieldInfo("param", "bit", ""), FieldInfo("param", "uint", "")
    blocks = {"A1": Block("A1", BlockInfo(1), {"X": one}), "A2": Block("A2", BlockInfo(1), {"X": two})}
    texts = as_files(make_plan(Model(Identity("a", "b", "c"), blocks, Changes()), "X"))
    assert {"A1.bob", "A2.bob"} <= set(texts)


TEXTS = {"One.bob": "<a/>\n", "Two.bob": "<b/>\n"}


def test_what_people_changed_is_kept(tmp_path: Path) -> None:
    write(TEXTS, tmp_path)
    changed, theirs = tmp_path / "One.bob", tmp_path / "Theirs.bob"
    changed.write_text(changed.read_text().replace("<a/>", "<c/>"))
    theirs.write_text("<d/>\n")
    before = {path.name: path.read_bytes() for path in (changed, theirs)}
    done = write({**TEXTS, "Theirs.bob": "<e/>\n"}, tmp_path, clear=True)
    assert (done.written, done.kept, done.removed) == (["Two.bob"], ["One.bob", "Theirs.bob"], [])
    assert {path.name: path.read_bytes() for path in (changed, theirs)} == before


def test_clearing_removes_only_ours(tmp_path: Path) -> None:
    write({**TEXTS, "Old.bob": "<x/>\n", "Edited.bob": "<y/>\n"}, tmp_path)
    (tmp_path / "Edited.bob").write_text("<y>1</y>\n")
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "link.bob").symlink_to(tmp_path / "One.bob")
    assert write(TEXTS, tmp_path).removed == []
    assert write(TEXTS, tmp_path, clear=True).removed == ["Old.bob"]
    assert {path.name for path in tmp_path.iterdir()} == {"One.bob", "Two.bob", "Edited.bob", "notes.txt", "link.bob"}


def test_a_file_of_ours_is_replaced(tmp_path: Path) -> None:
    write(TEXTS, tmp_path)
    write({"One.bob": "<new/>\n"}, tmp_path)
    assert (tmp_path / "One.bob").read_text().startswith("<new/>")
    assert is_ours(tmp_path / "One.bob")
    ET.parse(tmp_path / "One.bob")


@pytest.mark.parametrize("what", ["missing", "a file", "read-only", "a directory in the way"])
def test_a_directory_that_cannot_be_written_to_is_one_warning(
    what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    directory = tmp_path / "screens"
    if what == "a file":
        directory.write_text("")
    elif what == "read-only":
        directory = Path("/proc/self")
    elif what == "a directory in the way":
        (directory / ".Overview.bob.part").mkdir(parents=True)
    plan = plan_of_fields({"A": FieldInfo("param", "bit", "")})
    assert try_write(plan, directory) is None
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert str(directory) in line.getMessage()
    assert "\n" not in line.getMessage()


def test_without_phoebusgen_it_is_told_what_to_install(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "phoebusgen", None)
    monkeypatch.delitem(sys.modules, "panda_ioc.ioc.screens.bob", raising=False)
    assert try_write(plan_of_fields({"A": FieldInfo("param", "bit", "")}), tmp_path) is None
    (line,) = caplog.records
    assert "pip install 'panda-ioc[screens]'" in line.getMessage()
    assert list(tmp_path.iterdir()) == []


async def test_an_ioc_writes_them(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    write({"Old.bob": "<x/>\n"}, tmp_path)
    options = ("--screens-dir", str(tmp_path), "--clear-bobfiles")
    async with running_ioc(panda.control_port, "TEST-SCREENS", ca_ports, *options) as ioc:
        await ioc.wait_for("screens, 1 removed")
    plan = await plan_of(panda.control_port, "TEST-SCREENS")
    assert [name for name in set(as_files(plan)) - {"Designs.bob"} if not is_ours(tmp_path / name)] == []
    assert not (tmp_path / "Old.bob").exists()


async def test_an_ioc_runs_without_them(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    options = ("--screens-dir", str(tmp_path / "missing"))
    async with running_ioc(panda.control_port, "TEST-NO-SCREENS", ca_ports, *options) as ioc:
        await ioc.wait_for("no screens are written")
        assert await caget(ioc.pv("Status"), datatype=str, timeout=5) == "CONNECTED"
        assert sum("screens" in line for line in ioc.output) == 1


async def test_the_command_needs_no_ioc(panda: Server, tmp_path: Path) -> None:
    command = ("screens", "127.0.0.1", "X", tmp_path / "new" / "screens", "--control-port", str(panda.control_port))
    assert "begin with Overview.bob" in await panda_ioc(*command)
    assert not (tmp_path / "new" / "screens" / "Designs.bob").exists()
    overview = tmp_path / "new" / "screens" / "Overview.bob"
    overview.write_text(f"{overview.read_text()}<!-- mine -->\n")
    assert "Overview.bob: changed by people, and kept" in await panda_ioc(*command)
    assert overview.read_text().endswith("mine -->\n")
    assert "Not a directory" in await panda_ioc(*command[:3], overview / "x", *command[4:], code=1)
