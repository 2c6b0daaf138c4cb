"""Screens without a viewer: PVs are served, texts fit, files of users stay."""

import logging
import re
import time
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
from aioca import caget

from panda_ioc.client import AsyncioClient
from panda_ioc.ioc.link.introspection import introspect
from panda_ioc.ioc.plan.buses import BUSES
from panda_ioc.ioc.plan.model import Block, Model
from panda_ioc.ioc.plan.plan import Plan, make_plan
from panda_ioc.ioc.plan.record import Access
from panda_ioc.ioc.screens.files import is_unchanged, try_write, write
from panda_ioc.ioc.screens.make import as_files
from panda_ioc.protocol import BlockInfo, Changes, EnumFieldInfo, FieldInfo, Identity
from panda_ioc.simulator import Server, load

from ..command import panda_ioc
from ..conftest import SHARED, free_port
from ..replay import replaying
from .bobfiles import Opened, badly_laid, choices_of, chosen, expanded, opened, unknown
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
    assert {plan.pv(table.name) for table in edited} <= settable  # the bus screens have every row


def test_multiplexers_and_enums_have_all_choices(plan: Plan) -> None:
    root = ET.fromstring(as_files(plan)["TTLOUT.bob"])
    combo = next(widget for widget in root.iter("widget") if widget.findtext("pv_name") == "$(P):$(R):VAL")
    labels = next(record.labels for record in plan.records if record.name == "TTLOUT1:VAL")
    assert [item.text for item in combo.findall("items/item")] == list(labels)
    assert len(labels) > 100
    description = next(record.description for record in plan.records if record.name == "TTLOUT1:VAL")
    assert (combo.findtext("tooltip") or "").startswith(f"{description}\n")


def test_no_macro_is_in_an_expression_of_a_rule(screens: list[Opened]) -> None:
    """Phoebus expands macros only in the condition of a rule: elsewhere the PV would be literally "$(P):..."."""
    rules = [rule for screen in screens for rule in screen.root.iter("rule")]
    assert len(rules) > 4
    assert [exp.text for rule in rules for exp in rule.iter("expression") if re.search(r"\$[({]", exp.text or "")] == []


def test_every_trace_of_a_waveform_is_read_over_pva(screens: list[Opened]) -> None:
    """Phoebus 5.0.3 to 5.0.5 pads arrays with zeros that it reads over Channel Access."""
    plots = [
        (screen, plot) for screen in screens for plot in screen.root.iter("widget") if plot.find("traces") is not None
    ]
    pvs = [pv.text or "" for _, plot in plots for tag in ("x_pv", "y_pv") for pv in plot.iter(tag)]
    for screen, plot in plots:
        rules = [rule for rule in plot.iter("rule") if (rule.get("prop_id") or "").endswith("_pv")]
        pvs += [chosen(screen, rule, one) for rule in rules for one in choices_of(screen, rule.findtext("pv_name"))]
    assert len(pvs) > 200
    assert [pv for pv in pvs if not pv.startswith("pva://")] == []


def test_every_table_names_its_columns(plan: Plan, screens: list[Opened]) -> None:
    """Phoebus gives columns without a name the same width, which truncates their content."""
    tables = {plan.pv(table.name): table for table in plan.tables}
    shown = [
        (expanded(table.findtext("pv_name") or "", screen.macros).removeprefix("pva://"), table)
        for screen in screens
        for table in screen.root.iter("widget")
        if table.get("type") == "table" and table.findtext("pv_name")
    ]
    assert len(shown) > 3
    for pv, table in shown:
        names = [column.findtext("name") for column in table.findall("columns/column")]
        widths = [int(column.findtext("width") or 0) for column in table.findall("columns/column")]
        assert names, pv
        planned = tables[pv].columns if pv in tables else ()
        assert names == [column.label for column in planned] or not planned, pv
        assert sum(widths) <= int(table.findtext("width") or 0)


def test_a_script_puts_over_pva_alone(screens: list[Opened]) -> None:
    """Over Channel Access, scripts of Phoebus put without completion, so a put can be lost."""
    scripts = [script.findtext("text") or "" for screen in screens for script in screen.root.iter("script")]
    assert len(scripts) > 2
    names = [name for script in scripts for name in re.findall(r'"([\w:/]*%s:[^" ]*)"', script)]
    names += [
        pv.text or "" for screen in screens for script in screen.root.iter("script") for pv in script.iter("pv_name")
    ]
    assert len(names) > 200
    assert [name for name in names if not name.startswith("pva://")] == []


def widgets_of(screen: Opened, kind: str) -> list[ET.Element]:
    return [widget for widget in screen.root.iter("widget") if widget.get("type") == kind]


def test_every_screen_leads_back_to_the_overview(screens: list[Opened]) -> None:
    """The link replaces the screen: in tabs, Phoebus would open another overview for every set of macros."""
    for screen in screens:
        links = {action.findtext("file"): action for action in screen.root.iter("action")}
        if screen.file != "Overview.bob":
            assert "Overview.bob" in links, screen.file
            assert links["Overview.bob"].findtext("target") == "replace"


def test_every_capture_leads_to_the_positions(screens: list[Opened]) -> None:
    capturing = [screen for screen in screens if any(pv.endswith(":CAPTURE") for pv in screen.settable)]
    own = {"Position_Bus.bob", "Bit_Bus.bob", "Data.bob"}
    files = {screen.file: [action.findtext("file") for action in screen.root.iter("action")] for screen in capturing}
    assert len(files) > 5
    assert [file for file, links in files.items() if "Position_Bus.bob" not in links and file not in own] == []


def test_a_refusal_is_shown_where_one_presses(plan: Plan, screens: list[Opened]) -> None:
    shown = {screen.file for screen in screens if plan.pv("IOC:LAST_REFUSED") in screen.pvs}
    assert {"Overview.bob", "Data.bob", "Diagnostics.bob"} <= shown


def test_a_set_point_is_beside_what_it_may_differ_from(screens: list[Opened]) -> None:
    pairs = (("INENC.bob", "SETP", "VAL"), ("COUNTER.bob", "SET", "OUT"), ("Data.bob", "NUM_POINTS", "CURRENT_POINT"))
    for file, setting, readback in pairs:
        screen = next(screen for screen in screens if screen.file == file)
        rows: dict[str, set[str | None]] = {setting: set(), readback: set()}
        for widget in screen.root.iter("widget"):
            last = (widget.findtext("pv_name") or "").rpartition(":")[2]
            if last in rows:
                rows[last].add(widget.findtext("y"))
        assert rows[setting] & rows[readback], file


def test_what_can_only_be_written_is_not_in_alarm(plan: Plan, screens: list[Opened]) -> None:
    names = {plan.pv(record.name) for record in plan.records if record.access is Access.WRITE}
    found = {
        pv: widget.findtext("border_alarm_sensitive")
        for screen in screens
        for widget in widgets_of(screen, "textentry")
        if (pv := expanded(widget.findtext("pv_name") or "", screen.macros)) in names
    }
    assert found
    assert set(found.values()) == {"false"}


def test_all_ways_to_capture_can_be_chosen(plan: Plan, screens: list[Opened]) -> None:
    """Over Channel Access there are 16 choices at most, and "Other" for the rest."""
    texts = {
        plan.pv(record.name.removesuffix(":TEXT")) for record in plan.records if record.name.endswith(":CAPTURE:TEXT")
    }
    pvs = [
        expanded(widget.findtext("pv_name") or "", screen.macros)
        for screen in screens
        for widget in widgets_of(screen, "combo")
    ]
    chosen = [pv for pv in pvs if pv.removeprefix("pva://") in texts]
    assert chosen
    assert [pv for pv in chosen if not pv.startswith("pva://")] == []


def test_texts_are_not_wrapped(screens: list[Opened]) -> None:
    """Phoebus wraps by default: it would show only the first words of a long text in one line."""
    shown = [widget for screen in screens for widget in widgets_of(screen, "textupdate")]
    assert {widget.findtext("wrap_words") for widget in shown} == {"false"}


def test_screens_fit_a_monitor(screens: list[Opened]) -> None:
    sizes = {screen.file: [int(screen.root.findtext(tag) or 0) for tag in ("width", "height")] for screen in screens}
    assert {file: size for file, size in sizes.items() if size[0] > 1920 or size[1] > 1030} == {}


def test_all_screens_are_written_in_two_seconds(plan: Plan, tmp_path: Path) -> None:
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
    assert is_unchanged(tmp_path / "One.bob")
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


async def test_an_ioc_writes_them(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    write({"Old.bob": "<x/>\n"}, tmp_path)
    options = ("--screens-dir", str(tmp_path), "--clear-bobfiles")
    async with running_ioc(panda.control_port, "TEST-SCREENS", ca_ports, *options) as ioc:
        await ioc.wait_for("screens, 1 removed")
    plan = await plan_of(panda.control_port, "TEST-SCREENS")
    assert [name for name in set(as_files(plan)) - {"Designs.bob"} if not is_unchanged(tmp_path / name)] == []
    assert not (tmp_path / "Old.bob").exists()


async def test_an_ioc_runs_without_them(panda: Server, ca_ports: Iterator[int], tmp_path: Path) -> None:
    options = ("--screens-dir", str(tmp_path / "missing"))
    async with running_ioc(panda.control_port, "TEST-NO-SCREENS", ca_ports, *options) as ioc:
        await ioc.wait_for("no screens written")
        assert await caget(ioc.pv("Status"), datatype=str, timeout=5) == "CONNECTED"
        assert sum("screens" in line for line in ioc.output) == 1


async def test_the_command_needs_no_ioc(panda: Server, tmp_path: Path) -> None:
    command = ("screens", "127.0.0.1", "X", tmp_path / "new" / "screens", "--control-port", str(panda.control_port))
    assert "start with Overview.bob" in await panda_ioc(*command)
    assert not (tmp_path / "new" / "screens" / "Designs.bob").exists()
    overview = tmp_path / "new" / "screens" / "Overview.bob"
    overview.write_text(f"{overview.read_text()}<!-- mine -->\n")
    assert "Overview.bob: not overwritten, because it was edited" in await panda_ioc(*command)
    assert overview.read_text().endswith("mine -->\n")
    assert "Not a directory" in await panda_ioc(*command[:3], overview / "x", *command[4:], code=1)
