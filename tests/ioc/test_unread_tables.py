"""Tables that cannot be read: they are in alarm, and the IOC does not overwrite their unknown content."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aioca import FORMAT_TIME, caget, caput
from p4p.client.asyncio import RemoteError

from panda_ioc.simulator import Server, load
from panda_ioc.simulator.fields import Attribute
from panda_ioc.simulator.numbers import Refused
from panda_ioc.simulator.tables import TableField

from ..conftest import free_port, until
from ..relay import Relay
from .process import Ioc, becomes, running_ioc
from .test_tables import same, sequence

INVALID = 3
NOT_KNOWN = "unknown whether the PandA executed it"


class Broken:
    """The first SEQ table, which is unreadable until it is repaired."""

    def __init__(self, server: Server) -> None:
        table = server.panda.fields["SEQ1.TABLE"]
        assert isinstance(table, TableField)
        self.table = table
        self._sound = table.attributes["B"]
        self.put([1, 2, 3, 4])
        self.harm()

    def put(self, words: list[int]) -> None:
        self.table.put("", [" ".join(map(str, words))])

    def harm(self, read: Callable[[], Any] | None = None) -> None:
        self.table.attributes["B"] = Attribute("", read or self._refuse)

    def mend(self) -> None:
        self.table.attributes["B"] = self._sound

    def _refuse(self) -> list[str]:
        raise Refused("Error reading register")


@asynccontextmanager
async def broken_table(ca_ports: Iterator[int], prefix: str, *options: str) -> AsyncIterator[tuple[Ioc, Broken]]:
    async with Server(load(), control_port=0, data_port=0) as server:
        table = Broken(server)
        async with running_ioc(server.control_port, prefix, ca_ports, *options) as ioc:
            yield ioc, table


async def mode_after(ioc: Ioc, mode: str) -> tuple[str, int, str]:
    """Put MODE; return its value, its severity and the reason of the last refusal."""
    pv = ioc.pv("SEQ1:TABLE:MODE")
    await caput(pv, mode, timeout=5, wait=True, throw=False)
    shown = await caget(pv, datatype=str, format=FORMAT_TIME)
    return str(shown), shown.severity, str(await ioc.pva_get("IOC:LAST_REFUSED"))


async def test_a_table_that_cannot_be_read_at_the_start(ca_ports: Iterator[int]) -> None:
    async with broken_table(ca_ports, "TEST-UNREAD1") as (ioc, broken):
        for name in ("SEQ1:TABLE:ROWS", "SEQ1:TABLE:REPEATS", "SEQ1:TABLE:TRIGGER", "SEQ1:TABLE:STATE"):
            assert (await caget(ioc.pv(name), format=FORMAT_TIME)).severity == INVALID, name
        alarm = (await ioc.raw_get("SEQ1:TABLE")).alarm
        assert (alarm.severity, "Error reading register" in alarm.message) == (INVALID, True)
        assert (await ioc.raw_get("SEQ2:TABLE")).alarm.severity == 0
        for mode, says in (("EDIT", "Error reading register"), ("SUBMIT", "no edited columns")):
            shown, severity, refusal = await mode_after(ioc, mode)
            assert (shown, severity, says in refusal) == ("VIEW", 2, True)
        # Columns are not written either, because the others are unknown.
        with pytest.raises(RemoteError, match="Error reading register"):
            await ioc.raw.put(ioc.pv("SEQ1:TABLE"), {"value": {"repeats": np.empty(0, np.uint16)}})
        assert broken.table.words.tolist() == [1, 2, 3, 4]
        # The table appears as soon as it is readable; an operator can already select the edit mode.
        broken.mend()
        assert (await mode_after(ioc, "EDIT"))[0] == "EDIT"
        assert list(await caget(ioc.pv("SEQ1:TABLE:POSITION"))) == [2]
        assert (await caget(ioc.pv("SEQ1:TABLE:ROWS"), format=FORMAT_TIME)).severity == 0


@pytest.mark.long
async def test_it_is_read_again_by_itself(ca_ports: Iterator[int]) -> None:
    async with broken_table(ca_ports, "TEST-UNREAD2") as (ioc, broken):
        seen = await ioc.monitor("SEQ1:TABLE")
        broken.mend()
        async with asyncio.timeout(20):
            while (table := await seen.get()).alarm.severity:
                pass
        assert table.value.position.tolist() == [2]


async def test_all_of_it_can_be_written_although_it_cannot_be_read(ca_ports: Iterator[int]) -> None:
    async with broken_table(ca_ports, "TEST-UNREAD3") as (ioc, broken):
        await ioc.raw.put(ioc.pv("SEQ1:TABLE"), {"value": sequence(3)})
        assert len(broken.table.words) == 12
        broken.mend()
        await ioc.raw.put(ioc.pv("SEQ1:TABLE"), {"value": sequence(3)})
        assert same((await ioc.raw_get("SEQ1:TABLE")).value.todict(), sequence(3))


async def test_what_is_edited_stays_while_the_table_cannot_be_read(ca_ports: Iterator[int]) -> None:
    async with broken_table(ca_ports, "TEST-UNREAD4") as (ioc, broken):
        broken.mend()
        assert (await mode_after(ioc, "EDIT"))[0] == "EDIT"
        await caput(ioc.pv("SEQ1:TABLE:POSITION"), [77], wait=True, timeout=5)
        broken.harm()
        broken.put([5, 6, 7, 8])
        await becomes(ioc.pv("SEQ1:TABLE:ROWS.SEVR"), INVALID)
        shown, _, refusal = await mode_after(ioc, "SUBMIT")
        assert (shown, "Error reading register" in refusal) == ("EDIT", True)
        assert broken.table.words.tolist() == [5, 6, 7, 8]
        broken.mend()
        assert (await mode_after(ioc, "SUBMIT"))[0] == "VIEW"
        assert broken.table.words.tolist() == [1, 77, 3, 4]


async def test_a_panda_that_was_away_at_the_start(ca_ports: Iterator[int], tmp_path: Path) -> None:
    """The cached description has no tables."""
    port, options = free_port(), ("--state-dir", str(tmp_path))
    async with Server(load(), control_port=port, data_port=0):
        async with running_ioc(port, "TEST-UNREAD5", ca_ports, *options):
            await until(lambda: any(tmp_path.rglob("*.json")))
    async with running_ioc(port, "TEST-UNREAD5", ca_ports, *options) as ioc:
        shown, severity, refusal = await mode_after(ioc, "EDIT")
        assert (shown, severity) == ("VIEW", INVALID), refusal
        assert "SEQ1:TABLE:MODE = 'EDIT': " in refusal
        async with Server(load(), control_port=port, data_port=0) as server:
            table = server.panda.fields["SEQ1.TABLE"]
            assert isinstance(table, TableField)
            table.put("", ["1 2 3 4"])
            await becomes(ioc.pv("SEQ1:TABLE:ROWS"), 1, timeout=20)
            assert (await mode_after(ioc, "EDIT"))[0] == "EDIT"
            assert (await mode_after(ioc, "SUBMIT"))[0] == "VIEW"
            assert table.words.tolist() == [1, 2, 3, 4]


async def test_columns_are_put_beside_those_that_the_panda_has_now(ca_ports: Iterator[int]) -> None:
    """Also if the IOC does not know yet that the tables have changed."""
    async with Server(load(), control_port=0, data_port=0) as server:
        table = server.panda.fields["SEQ1.TABLE"]
        assert isinstance(table, TableField)
        async with running_ioc(server.control_port, "TEST-UNREAD6", ca_ports, "--poll", "TABLE=60") as ioc:
            await ioc.raw.put(ioc.pv("SEQ1:TABLE"), {"value": sequence(1)})
            table.put("", ["1 2 3 4"])
            await ioc.raw.put(ioc.pv("SEQ1:TABLE"), {"value": {"repeats": np.array([9], np.uint16)}})
            assert table.words.tolist() == [9, 2, 3, 4]


async def test_an_answer_that_is_none_to_a_table_put(panda: Server, ca_ports: Iterator[int]) -> None:
    async with Relay(panda.control_port, after=b"PGEN1.TABLE<", harm="!PGEN1.TABLE\n.\n") as relay:
        async with running_ioc(relay.port, "TEST-UNREAD7", ca_ports) as ioc:
            with pytest.raises(RemoteError, match=NOT_KNOWN):
                await ioc.raw.put(ioc.pv("PGEN1:TABLE"), {"value": {"position": np.empty(0, np.int32)}})
