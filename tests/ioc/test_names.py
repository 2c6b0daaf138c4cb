"""Invalid and duplicate names: the IOC omits and reports their records, and serves all others."""

from collections.abc import Iterator

import numpy as np
from aioca import caget, caput

from panda_ioc.simulator import DeviceSpec, Server
from panda_ioc.simulator.tables import TableField
from panda_ioc.validation import validated

from ..command import panda_ioc
from ..relay import Relay
from .process import running_ioc

#: Of a block with a table whose name just fits, of one whose columns do not, and whose PVI does not.
FITS, COLUMNS, PVI = "F" * 36, "C" * 30, "P" * 40

#: The longest prefix that EPICS accepts with the longest name.
PREFIX = "TEST-A-LONG-NAME1"

TABLE = {
    "type": "table",
    "max_length": 64,
    "row_words": 1,
    "columns": {"POSITION_OF_IT": {"bits": "31:0", "type": "int"}},
}
COUNT = {"type": "param int", "value": "3"}


def device() -> DeviceSpec:
    blocks = {
        FITS: {"count": 1, "fields": {"TABLE": TABLE}},
        COLUMNS: {"count": 1, "fields": {"TABLE": TABLE, "A": COUNT}},
        PVI: {"count": 1, "fields": {"A": COUNT}},
        "FOO": {"count": 2, "fields": {"TABLE": TABLE, "A": COUNT, "B": TABLE}},
        "FOO1": {"count": 1, "fields": {"TABLE": TABLE, "A": TABLE, "B": COUNT}},
        "GOOD": {"count": 1, "fields": {"TABLE": TABLE}},
    }
    return validated({"name": "names", "blocks": blocks}, DeviceSpec)


async def test_what_has_a_bad_name_is_left_out(ca_ports: Iterator[int]) -> None:
    async with Server(device(), control_port=0, data_port=0) as server:
        async with running_ioc(server.control_port, PREFIX, ca_ports) as ioc:
            assert await caget([ioc.pv(f"{PVI}:A"), ioc.pv(f"{COLUMNS}:A"), ioc.pv("FOO2:A")], timeout=5) == [3, 3, 3]
            for block in (FITS, COLUMNS, "FOO2", "GOOD"):
                columns = {"position_of_it": np.array([1, -2], np.int32)}
                await ioc.raw.put(ioc.pv(f"{block}:TABLE"), {"value": columns})
                table = server.panda.fields[f"{block}.TABLE"]
                assert isinstance(table, TableField)
                assert table.words.view(np.int32).tolist() == [1, -2]
            await caput(ioc.pv("GOOD:TABLE:MODE"), "EDIT", wait=True, timeout=5)
            links = (await ioc.raw_get("PVI")).value
            assert "good" in links.keys()  # noqa: SIM118 - it is no mapping
            assert not {COLUMNS.lower(), PVI.lower()} & set(links.keys())
            remarks = [line.split("WARNING ")[1] for line in ioc.output if "is not served" in line]
        said = await panda_ioc("records", "127.0.0.1", PREFIX, "--control-port", str(server.control_port))
    for name in (f"{FITS}:TABLE:MODE", f"{COLUMNS}:TABLE:POSITION_OF_IT", f"{COLUMNS}:TABLE:APPEND_LAST", f"{PVI}:PVI"):
        assert any(remark.startswith(name) for remark in remarks), name
    for name in ("FOO1:TABLE", "FOO1:A"):
        assert any(remark.startswith(f"{name} is not served for") for remark in remarks), name
    assert [remark for remark in remarks if remark not in said] == []


async def test_a_block_that_cannot_be_asked_for(panda: Server) -> None:
    async with Relay(panda.control_port, after=b"*BLOCKS?", harm="!BAD-BLOCK 1\n!A$(B) 2\n!PULSE 4\n.\n") as relay:
        said = await panda_ioc("records", "127.0.0.1", "X", "--control-port", str(relay.port))
    for name in ("BAD-BLOCK", "A$(B)"):
        assert f"block {name} is not served" in said
    assert "PULSE4:DELAY" in said
